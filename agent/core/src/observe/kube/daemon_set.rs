//! The slim DaemonSet: on how many nodes one of its pods should run, and on how many one does.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta, Template, count};
use crate::observe::bounded;

/// A DaemonSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimDaemonSet {
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
    observed_generation: i64,
    desired_number_scheduled: Option<i64>,
    updated_number_scheduled: Option<i64>,
    number_ready: Option<i64>,
    number_available: Option<i64>,
}

impl Slim for SlimDaemonSet {
    const KIND: ObjectKind = ObjectKind::DaemonSet;
    const PATH: &'static str = "/apis/apps/v1/daemonsets";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let status = &self.status;
        let (manager, manager_evidence) = self
            .metadata
            .manager()
            .map_or_else(Default::default, |(who, why)| (who.to_owned(), bounded(&why)));
        v1::observation::Body::DaemonSet(v1::DaemonSet {
            meta: Some(self.metadata.observe()),
            generation: self.metadata.generation,
            observed_generation: status.observed_generation,
            desired: count(status.desired_number_scheduled),
            updated: count(status.updated_number_scheduled),
            ready: count(status.number_ready),
            available: count(status.number_available),
            template_hash: self.spec.template.digest(),
            images: self.spec.template.images.clone(),
            manager,
            manager_evidence,
        })
    }
}
