//! The slim Node: whether it is ready, whether it is cordoned, and by which of Nimbus's jobs.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, condition, micros};

/// A node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimNode {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

impl Slim for SlimNode {
    const KIND: ObjectKind = ObjectKind::Node;
    const PATH: &'static str = "/api/v1/nodes";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let ready = condition(&self.status.conditions, "Ready");
        v1::observation::Body::Node(v1::Node {
            meta: Some(self.metadata.observe()),
            // Without the condition the kubelet has not reported yet.
            ready: ready.map_or_else(|| "Unknown".to_owned(), |c| c.status.clone()),
            ready_reason: ready.map(|c| c.reason.clone()).unwrap_or_default(),
            ready_since_us: micros(ready.and_then(|c| c.last_transition_time.as_ref())),
            unschedulable: self.spec.unschedulable,
            control_plane: self.metadata.is_control_plane(),
            cordoned_by: self.metadata.cordoned_by(),
        })
    }
}
