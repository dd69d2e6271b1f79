//! How an action names a Kubernetes object: by namespace, name and UID, so that a new object of the same name is never
//! mistaken for it.

use nimbus_protocol::v1;

use super::{malformed, unexpected};
use crate::refusal::Refusal;

/// Does the action name an object completely?
pub(super) fn named(field: &str, target: Option<&v1::Target>) -> Result<(), Refusal> {
    match target {
        Some(t) if !t.namespace.is_empty() && !t.name.is_empty() && !t.uid.is_empty() => Ok(()),
        _ => malformed(field, "a namespace, a name and a UID"),
    }
}

/// Are both objects in one namespace?
pub(super) fn same_namespace(a: Option<&v1::Target>, b: Option<&v1::Target>) -> Result<(), Refusal> {
    if namespace(a) == namespace(b) {
        Ok(())
    } else {
        malformed("action", "an object and its owner in one namespace")
    }
}

/// The namespace; empty when the action names no object, which no policy allows.
pub(super) fn namespace(target: Option<&v1::Target>) -> &str {
    target.map_or("", |t| t.namespace.as_str())
}

/// Namespace and name, for a message.
pub(super) fn name(target: Option<&v1::Target>) -> String {
    target.map_or_else(|| "(none)".to_owned(), |t| format!("{}/{}", t.namespace, t.name))
}

/// The metadata that was found, if it is that of the same object (by UID) and that is not being deleted.
pub(super) fn same<'a>(
    kind: &str,
    wanted: Option<&v1::Target>,
    found: Option<&'a v1::ObjectMeta>,
) -> Result<&'a v1::ObjectMeta, Refusal> {
    let uid = wanted.map_or("", |t| t.uid.as_str());
    match found {
        Some(meta) if !uid.is_empty() && meta.uid == uid && meta.deleting_since_us == 0 => Ok(meta),
        Some(meta) if meta.uid == uid => {
            Err(unexpected(format!("expected {kind} {} to stay, found it being deleted", name(wanted))))
        }
        _ => {
            let found = found.map_or("", |m| m.uid.as_str());
            Err(unexpected(format!("expected {kind} {} with UID {uid}, found UID {found:?}", name(wanted))))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unnecessary_wraps, reason = "the fields of messages are optional")]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn target(uid: &str) -> Option<v1::Target> {
        Some(v1::Target { namespace: "ns".into(), name: uid.into(), uid: uid.into() })
    }

    pub(in super::super) fn meta(uid: &str, owner: &str) -> Option<v1::ObjectMeta> {
        Some(v1::ObjectMeta { uid: uid.into(), owner_uid: owner.into(), ..Default::default() })
    }
}
