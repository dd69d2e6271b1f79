//! The slim StatefulSet: how far its update is, and which revision the controller is rolling out.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta, Template, count};
use crate::observe::bounded;

/// A StatefulSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimStatefulSet {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i64>,
    update_strategy: Strategy,
    ordinals: Ordinals,
    pod_management_policy: String,
    template: Template,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Ordinals {
    start: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Strategy {
    #[serde(rename = "type")]
    of: String,
    #[serde(rename = "rollingUpdate")]
    rolling: Option<Rolling>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Rolling {
    partition: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    updated_replicas: Option<i64>,
    ready_replicas: Option<i64>,
    available_replicas: Option<i64>,
    current_revision: String,
    update_revision: String,
}

impl Slim for SlimStatefulSet {
    const KIND: ObjectKind = ObjectKind::StatefulSet;
    const PATH: &'static str = "/apis/apps/v1/statefulsets";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let (spec, status) = (&self.spec, &self.status);
        let (manager, manager_evidence) = self
            .metadata
            .manager()
            .map_or_else(Default::default, |(who, why)| (who.to_owned(), bounded(&why)));
        v1::observation::Body::StatefulSet(v1::StatefulSet {
            meta: Some(self.metadata.observe()),
            generation: self.metadata.generation,
            observed_generation: status.observed_generation,
            // The API's own default.
            desired: count(spec.replicas.or(Some(1))),
            updated: count(status.updated_replicas),
            ready: count(status.ready_replicas),
            available: count(status.available_replicas),
            current_revision: bounded(&status.current_revision),
            update_revision: bounded(&status.update_revision),
            update_strategy: bounded(&spec.update_strategy.of),
            template_hash: spec.template.digest(),
            images: spec.template.images.clone(),
            manager,
            manager_evidence,
            partition: Some(count(
                spec.update_strategy.rolling.as_ref().and_then(|rolling| rolling.partition),
            )),
            first_ordinal: count(spec.ordinals.start),
            pod_management_policy: bounded(&spec.pod_management_policy),
        })
    }
}
