//! The slim Deployment: how far its rollout is, the hash of its pod template, and which tool manages it.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, Template, condition, count, micros};
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
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i64>,
    paused: bool,
    min_ready_seconds: Option<i64>,
    progress_deadline_seconds: Option<i64>,
    strategy: Strategy,
    template: Template,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Strategy {
    #[serde(rename = "type")]
    of: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: Option<i64>,
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
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let progressing = condition(conditions, "Progressing");
        let failure = condition(conditions, "ReplicaFailure").filter(|c| c.status == "True");
        let writer = self.metadata.template_writer();
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
            replicas: count(status.replicas),
            min_ready_seconds: count(spec.min_ready_seconds),
            progress_deadline_seconds: progress_deadline(spec.progress_deadline_seconds),
            // The API's own default; never empty, which says that this agent reports these fields.
            strategy: if spec.strategy.of.is_empty() {
                "RollingUpdate".to_owned()
            } else {
                bounded(&spec.strategy.of)
            },
            replica_failure: failure
                .map(|c| bounded(&format!("{}: {}", c.reason, c.message)))
                .unwrap_or_default(),
            replica_failure_since_us: micros(failure.and_then(|c| c.last_transition_time.as_ref())),
            template: spec.template.facts.clone(),
            template_writer: writer.map(|(name, _)| bounded(name)).unwrap_or_default(),
            template_written_at_us: writer.map_or(0, |(_, at)| at),
        })
    }
}

/// The deadline of a rollout; 0 for none, which the API writes as the largest number of 32 bits.
fn progress_deadline(seconds: Option<i64>) -> u32 {
    match seconds {
        Some(seconds) if seconds >= i64::from(i32::MAX) => 0,
        seconds => count(seconds),
    }
}
