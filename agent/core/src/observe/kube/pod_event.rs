//! The slim Event: why a pod's volumes cannot be mounted, where that is a ConfigMap, a Secret or a key that is missing. No
//! condition of the pod says it.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta};
use crate::observe::bounded;

/// An Event about a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimPodEvent {
    metadata: SlimMeta,
    involved_object: Involved,
    reason: String,
    message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Involved {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
}

impl Slim for SlimPodEvent {
    const KIND: ObjectKind = ObjectKind::PodEvent;
    const PATH: &'static str = "/api/v1/events";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let about = &self.involved_object;
        let [owner_kind, owner_name, owner_uid, owner_api_version] =
            [&about.kind, &about.name, &about.uid, &about.api_version].map(|text| bounded(text));
        let meta = v1::ObjectMeta {
            owner_kind,
            owner_name,
            owner_uid,
            owner_api_version,
            ..self.metadata.observe()
        };
        let message =
            if names_what_is_missing(&self.message) { bounded(&self.message) } else { String::new() };
        v1::observation::Body::PodEvent(v1::PodEvent {
            meta: Some(meta),
            reason: bounded(&self.reason),
            message,
        })
    }
}

/// Of what a mount says, only this leaves the cluster: the arguments of a mount may hold a password.
fn names_what_is_missing(message: &str) -> bool {
    let thing = message.contains("configmap \"") || message.contains("secret \"");
    let missing = message.contains("not found") || message.contains("references non-existent");
    let arguments = message.contains("arguments") || message.contains("Output:");
    (thing && missing || message.contains("references non-existent")) && !arguments
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::json;

    use super::*;

    fn seen(message: &str) -> v1::PodEvent {
        let object = json!({
            "metadata": {"uid": "e", "name": "web-1.17", "namespace": "shop"},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "web-1", "uid": "p"},
            "type": "Warning", "reason": "FailedMount", "message": message,
        });
        let Body::PodEvent(seen) = serde_json::from_value::<SlimPodEvent>(object).unwrap().observe() else {
            panic!()
        };
        seen
    }

    #[test]
    fn what_is_missing_is_named_and_the_pod_is_its_owner() {
        let message =
            "MountVolume.SetUp failed for volume \"settings\" : configmap \"web-settings\" not found";
        let event = seen(message);
        assert_eq!(event.message, message);
        let meta = event.meta.unwrap();
        assert_eq!((meta.owner_uid.as_str(), meta.owner_kind.as_str()), ("p", "Pod"));
    }

    #[test]
    fn the_arguments_of_a_mount_stay() {
        for message in [
            "MountVolume.SetUp failed: mount failed: exit status 32 Mounting arguments: -o username=a,password=hunter2",
            "Unable to attach or mount volumes: timed out waiting for the condition",
            "secret \"x\" not found; Mounting arguments: password=hunter2",
        ] {
            assert_eq!(seen(message).message, "", "{message}");
        }
    }
}
