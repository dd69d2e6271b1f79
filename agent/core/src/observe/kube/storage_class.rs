//! The slim StorageClass: who makes its volumes, and whether they may grow. Its parameters, which may name accounts and keys of a
//! storage system, are not read.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta};
use crate::observe::bounded;

/// A StorageClass.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimStorageClass {
    metadata: SlimMeta,
    provisioner: String,
    allow_volume_expansion: Option<bool>,
}

impl Slim for SlimStorageClass {
    const KIND: ObjectKind = ObjectKind::StorageClass;
    const PATH: &'static str = "/apis/storage.k8s.io/v1/storageclasses";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        v1::observation::Body::StorageClass(v1::StorageClass {
            meta: Some(self.metadata.observe()),
            provisioner: bounded(&self.provisioner),
            // Where it is not said, Kubernetes lets no claim of it grow.
            allows_expansion: self.allow_volume_expansion.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_that_does_not_say_that_its_volumes_grow_lets_none_grow() {
        for (said, allows) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
            let class = json!({
                "metadata": {"uid": "s", "name": "fast"}, "provisioner": "csi.example.com",
                "parameters": {"account": "secret"}, "allowVolumeExpansion": said,
            });
            let Body::StorageClass(seen) =
                serde_json::from_value::<SlimStorageClass>(class).unwrap().observe()
            else {
                panic!()
            };
            assert_eq!((seen.provisioner.as_str(), seen.allows_expansion), ("csi.example.com", allows));
        }
    }
}
