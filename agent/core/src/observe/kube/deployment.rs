//! The slim Deployment: how far its rollout is, the hash of its pod template, and which tool manages it.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, Template, condition, count};
use crate::observe::bounded;

/// A Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimDeployment {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    replicas: Option<i64>,
    paused: bool,
    template: Template,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    updated_replicas: Option<i64>,
    ready_replicas: Option<i64>,
    available_replicas: Option<i64>,
    conditions: Option<Vec<Condition>>,
}

impl Slim for SlimDeployment {
    const KIND: ObjectKind = ObjectKind::Deployment;
    const PATH: &'static str = "/apis/apps/v1/deployments";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let (spec, status) = (&self.spec, &self.status);
        let progressing = condition(status.conditions.as_deref().unwrap_or_default(), "Progressing");
        let (manager, manager_evidence) = self
            .metadata
            .manager()
            .map_or_else(Default::default, |(who, why)| (who.to_owned(), bounded(&why)));
        v1::observation::Body::Deployment(v1::Deployment {
            meta: Some(self.metadata.observe()),
            generation: self.metadata.generation,
            observed_generation: status.observed_generation,
            // The API's own default.
            desired: count(spec.replicas.or(Some(1))),
            updated: count(status.updated_replicas),
            ready: count(status.ready_replicas),
            available: count(status.available_replicas),
            paused: spec.paused,
            revision: self.metadata.revision(),
            template_hash: spec.template.digest(),
            images: spec.template.images.clone(),
            progressing_status: progressing.map(|c| c.status.clone()).unwrap_or_default(),
            progressing_reason: progressing.map(|c| c.reason.clone()).unwrap_or_default(),
            progressing_message: progressing.map(|c| bounded(&c.message)).unwrap_or_default(),
            manager,
            manager_evidence,
        })
    }
}
