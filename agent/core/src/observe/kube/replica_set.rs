//! The slim ReplicaSet: which revision of its Deployment it holds, and how many of its pods are ready.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta, Template, count};

/// A ReplicaSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimReplicaSet {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    template: Template,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    replicas: Option<i64>,
    ready_replicas: Option<i64>,
}

impl Slim for SlimReplicaSet {
    const KIND: ObjectKind = ObjectKind::ReplicaSet;
    const PATH: &'static str = "/apis/apps/v1/replicasets";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        v1::observation::Body::ReplicaSet(v1::ReplicaSet {
            meta: Some(self.metadata.observe()),
            revision: self.metadata.revision(),
            replicas: count(self.status.replicas),
            ready_replicas: count(self.status.ready_replicas),
            template_hash: self.spec.template.digest(),
            images: self.spec.template.images.clone(),
            template: self.spec.template.facts.clone(),
        })
    }
}
