//! The actions that a job can carry, as one list from which all other crates take their names.
//!
//! Each action is a message of its own in `proto/nimbus/v1/action/`. Adding one is that file, a line in the `oneof` of
//! `action.proto`, and a line here; a room that does not name it then fails to compile.

use prost::Message as _;

use crate::v1;
pub use crate::v1::action::Body;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        crate::words! {
            /// Which action it is.
            ActionKind { $($(#[$doc])* $name = $word,)* }
        }

        impl Body {
            /// Which action this is.
            pub fn kind(&self) -> ActionKind {
                match self { $(Self::$name(_) => ActionKind::$name),* }
            }
        }
    };
}

actions! {
    /// Evict a crash-looping pod, so that its controller makes another one.
    RestartPod = "restart_pod",
    /// Put a Deployment's pod template back to that of an earlier revision.
    RollbackDeployment = "rollback_deployment",
    /// Put a watched file back to its baseline.
    RestoreFile = "restore_file",
    /// Take a watched file's present state as its baseline.
    AcceptBaseline = "accept_baseline",
    /// Uncordon a node that still carries a cordon of Nimbus.
    UncordonNode = "uncordon_node",
    /// Make what was a watched file's baseline before the accepted one its baseline again.
    WithdrawBaseline = "withdraw_baseline",
    /// Raise the memory limit of a container that is killed for it, in its Deployment's pod template.
    RaiseMemoryLimit = "raise_memory_limit",
    /// Start a systemd service of a host again that failed.
    RestartUnit = "restart_unit",
    /// Raise how much storage a PersistentVolumeClaim asks for, whose volume is nearly full.
    ExpandVolume = "expand_volume",
    /// Raise how many replicas an autoscaler may make, which is held back by its maximum.
    RaiseAutoscalerMaximum = "raise_autoscaler_maximum",
    /// Give a workload more pods while it is busy, within the bound that its label states, and take them back later.
    ScaleWorkload = "scale_workload",
    /// Ask cert-manager to issue a Certificate anew now, instead of after the wait that follows a failure.
    RenewCertificate = "renew_certificate",
}

/// With these words in its reason an agent refuses to raise a memory limit for which a namespace has no room: the same is not
/// asked for again soon.
pub const NO_ROOM: &str = "expected room for the higher limit";

/// With these words in its reason an agent refuses to expand a volume that the API server does not let grow, such as by a quota: the
/// same is not asked for again soon.
pub const NOT_LET_GROW: &str = "expected a claim that the API server lets grow";

/// With these words in its reason an agent refuses to raise an autoscaler's maximum, or to scale a workload out, where a quota has no room
/// for more replicas, or the API server lets nobody do it: the same is not asked for again soon.
pub const MORE_REPLICAS: &str = "expected that more replicas may be made";

/// With these words in its reason an agent refuses to start a unit that systemd does not let its user start: the same is not asked
/// for again.
pub const MAY_START: &str = "expected that this agent may start";

/// The bytes of an action, as a plan stores them and a job carries them.
pub fn encode(body: Body) -> Vec<u8> {
    v1::Action { body: Some(body) }.encode_to_vec()
}

/// Why the bytes of an action are not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// It is none that this build knows.
    #[error("expected an action that this version knows, found another")]
    Action,
    /// It says more than this build reads, or says it in other bytes.
    #[error("expected {0} with the fields that this version knows, found more than those in it")]
    Field(ActionKind),
}

/// The action in these bytes, if this build understands every one of them.
///
/// A field that it does not know may be a condition or a limit: to act as if the field were absent would be to do what
/// nobody planned or approved. What was read is therefore encoded again and has to give the same bytes.
pub fn decode(bytes: &[u8]) -> Result<Body, NotUnderstood> {
    let body = v1::Action::decode(bytes).ok().and_then(|action| action.body);
    let body = body.ok_or(NotUnderstood::Action)?;
    if encode(body.clone()) == bytes { Ok(body) } else { Err(NotUnderstood::Field(body.kind())) }
}

/// The fields of an action as JSON, hashes as hex, for people and for the REST interface.
pub fn to_json(body: &Body) -> serde_json::Value {
    // An externally tagged enum: one key, the action's word, around its fields.
    let tagged = serde_json::to_value(body).unwrap_or_default();
    tagged.as_object().and_then(|tagged| tagged.values().next().cloned()).unwrap_or_default()
}

/// Bytes as hex in JSON.
pub(crate) mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::to_hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::from_hex(&text).ok_or_else(|| D::Error::custom(format!("expected hex, found {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_own_word_and_survives_its_bytes() {
        for kind in ActionKind::ALL {
            assert_eq!(kind.as_str().parse::<ActionKind>().unwrap(), *kind);
        }
        let body = Body::RestartPod(v1::RestartPod { container: "app".into(), ..Default::default() });
        assert_eq!(decode(&encode(body.clone())), Ok(body));
    }

    #[test]
    fn people_read_the_fields_of_an_action_with_hashes_as_hex() {
        let facts = v1::FileFacts { kind: "file".into(), sha256: vec![0xab; 2], ..Default::default() };
        let body = Body::RestoreFile(v1::RestoreFile { restore_to: Some(facts), ..Default::default() });
        let json = to_json(&body);
        assert_eq!(
            (&json["restore_to"]["sha256"], &json["restore_to"]["kind"]),
            (&"abab".into(), &"file".into())
        );
        assert!(json["expect_current"].is_null());
    }

    /// A field 100 that is true, inside the action's own message, inside the pod that it names, and beside the action.
    #[test]
    fn an_action_with_a_field_of_a_newer_build_is_not_read_without_it() {
        const MORE: [u8; 3] = [0xa0, 0x06, 0x01];
        let nested = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
        let pod = v1::Target { namespace: "shop".into(), name: "web".into(), uid: "u".into() };
        let newer_pod = [&pod.encode_to_vec()[..], &MORE].concat();
        let restart = v1::RestartPod { pod: Some(pod), ..Default::default() };
        let known = encode(Body::RestartPod(restart.clone()));
        assert_eq!(decode(&known), Ok(Body::RestartPod(restart.clone())));
        for bytes in [
            nested(0x0a, &[&restart.encode_to_vec()[..], &MORE].concat()),
            nested(0x0a, &nested(0x0a, &newer_pod)),
            [&known[..], &MORE].concat(),
        ] {
            assert!(v1::Action::decode(&bytes[..]).is_ok(), "a decoder passes over what it does not know");
            assert_eq!(decode(&bytes), Err(NotUnderstood::Field(ActionKind::RestartPod)));
        }
    }

    #[test]
    fn bytes_of_a_newer_build_are_no_action_of_this_one() {
        // Field 4000 of the oneof, length 0.
        for bytes in [&[0x82, 0xfa, 0x01, 0x00][..], b"\xff\xff", b""] {
            assert_eq!(decode(bytes), Err(NotUnderstood::Action));
        }
        assert!("drain_node_2".parse::<ActionKind>().unwrap_err().to_string().contains("restart_pod"));
    }
}
