//! The slim Node: whether it is ready, whether and by whom it is kept from new pods, who else is at work on it, and what it
//! offers to pods.

use std::collections::BTreeMap;

use nimbus_protocol::kind::MOST_OF_A_NODE;
use nimbus_protocol::{ObjectKind, quantity, v1};
use serde::Deserialize;
use serde_json::Value;

use super::{Condition, Slim, SlimMeta, condition, held, marks, micros};
use crate::observe::bounded;

/// A node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimNode {
    metadata: NodeMeta,
    spec: Spec,
    status: Status,
}

/// The metadata, with all labels and annotations: what others mark a node with is not known beforehand by its key.
#[derive(Debug, Clone, Default)]
struct NodeMeta {
    slim: SlimMeta,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for NodeMeta {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let texts = |of: &str| {
            let all = value.get(of).and_then(Value::as_object).into_iter().flatten();
            all.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
        };
        let (labels, annotations) = (texts("labels"), texts("annotations"));
        let slim = SlimMeta::deserialize(&value).map_err(serde::de::Error::custom)?;
        Ok(Self { slim, labels, annotations })
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: bool,
    taints: Option<Vec<Taint>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Taint {
    key: String,
    value: String,
    effect: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
    allocatable: Offer,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Offer {
    cpu: String,
    memory: String,
    pods: String,
}

impl Slim for SlimNode {
    const KIND: ObjectKind = ObjectKind::Node;
    const PATH: &'static str = "/api/v1/nodes";

    fn meta(&self) -> &SlimMeta {
        &self.metadata.slim
    }

    fn observe(&self) -> v1::observation::Body {
        let ready = condition(&self.status.conditions, "Ready");
        v1::observation::Body::Node(v1::Node {
            meta: Some(self.meta().observe()),
            // Without the condition the kubelet has not reported yet.
            ready: ready.map_or_else(|| "Unknown".to_owned(), |c| c.status.clone()),
            ready_reason: ready.map(|c| c.reason.clone()).unwrap_or_default(),
            ready_since_us: micros(ready.and_then(|c| c.last_transition_time.as_ref())),
            unschedulable: self.spec.unschedulable,
            control_plane: self.meta().is_control_plane(),
            cordoned_by: self.meta().cordoned_by(),
            facts: Some(self.facts()),
        })
    }
}

impl SlimNode {
    fn facts(&self) -> v1::NodeFacts {
        let of = |taint: &Taint| v1::Taint {
            key: bounded(&taint.key),
            value: bounded(&taint.value),
            effect: bounded(&taint.effect),
        };
        let taints: Vec<v1::Taint> = self.spec.taints.iter().flatten().take(MOST_OF_A_NODE).map(of).collect();
        let held = held::of(&taints);
        let label = |(key, value): (&String, &String)| v1::Label { key: bounded(key), value: bounded(value) };
        let offer = &self.status.allocatable;
        v1::NodeFacts {
            held_by: held.as_ref().map(|held| held.by.clone()).unwrap_or_default(),
            held_until_us: held.map_or(0, |held| held.until_s.saturating_mul(1_000_000)),
            marks: marks::of(&taints, &self.metadata.annotations, &self.metadata.labels),
            labels: self.metadata.labels.iter().take(MOST_OF_A_NODE).map(label).collect(),
            // What cannot be read offers nothing.
            cpu_milli: quantity::scaled(&offer.cpu, 1_000).unwrap_or(0),
            memory_bytes: quantity::scaled(&offer.memory, 1).unwrap_or(0),
            pods: quantity::scaled(&offer.pods, 1).unwrap_or(0),
            taints,
        }
    }
}
