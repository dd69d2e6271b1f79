//! The slim Job: whose run it is, and how it stands. Its pod template is not read.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, condition, count, micros};
use crate::observe::bounded;

/// A Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimJob {
    metadata: SlimMeta,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    active: Option<i64>,
    succeeded: Option<i64>,
    failed: Option<i64>,
    completion_time: Option<String>,
    conditions: Option<Vec<Condition>>,
}

impl Slim for SlimJob {
    const KIND: ObjectKind = ObjectKind::BatchJob;
    const PATH: &'static str = "/apis/batch/v1/jobs";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let status = &self.status;
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let failure = condition(conditions, "Failed").filter(|c| c.status == "True");
        v1::observation::Body::BatchJob(v1::BatchJob {
            meta: Some(self.metadata.observe()),
            active: count(status.active),
            succeeded: count(status.succeeded),
            failed: count(status.failed),
            completed_at_us: micros(status.completion_time.as_ref()),
            failure: failure.map(|c| bounded(&format!("{}: {}", c.reason, c.message))).unwrap_or_default(),
            failed_at_us: micros(failure.and_then(|c| c.last_transition_time.as_ref())),
        })
    }
}
