//! The classes of storage.

use serde::Deserialize;

use super::{Metadata, items};
use crate::check::Gathered;

/// The annotations that make a class the default one; the second is of before Kubernetes 1.6 and still heeded.
const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// What makes no volumes by itself.
const BY_HAND: &str = "kubernetes.io/no-provisioner";

/// A StorageClass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageClass {
    /// Its name.
    pub name: String,
    /// Is it the one of volumes that name none?
    pub is_default: bool,
    /// Does it make volumes by itself?
    pub provisions: bool,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    provisioner: String,
}

/// Of `kubectl get storageclasses -o json`.
pub fn storage_classes(printed: &[u8]) -> Gathered<Vec<StorageClass>> {
    let objects: Vec<Object> = items(printed, "kubectl get storageclasses -o json")?;
    Ok(objects
        .into_iter()
        .map(|Object { metadata, provisioner }| StorageClass {
            is_default: DEFAULT
                .iter()
                .any(|name| metadata.annotations.get(*name).is_some_and(|value| value == "true")),
            name: metadata.name,
            provisions: provisioner != BY_HAND,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_class_is_the_annotated_one() {
        let printed = br#"{"items": [
            {"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "x"},
            {"metadata": {"name": "slow", "annotations": {"storageclass.kubernetes.io/is-default-class": "false"}}, "provisioner": "x"},
            {"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner"}
        ]}"#;
        let read: Vec<_> = storage_classes(printed)
            .unwrap()
            .into_iter()
            .map(|class| (class.name, class.is_default, class.provisions))
            .collect();
        let expected = [("fast", true, true), ("slow", false, true), ("local", false, false)];
        assert_eq!(read, expected.map(|(name, default, makes)| (name.to_owned(), default, makes)));
    }
}
