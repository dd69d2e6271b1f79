//! The Job of the inventory: one run, of a CronJob or not.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{TEXT, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

/// A Job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchJob {
    /// Who it is.
    pub meta: Meta,
    /// Pods that run or wait.
    pub active: u32,
    /// Pods that succeeded.
    pub succeeded: u32,
    /// Pods that failed.
    pub failed: u32,
    /// When it completed.
    pub completed_at: Option<Timestamp>,
    /// Why it failed for good; empty when it did not.
    pub failure: String,
    /// When it did.
    pub failed_at: Option<Timestamp>,
}

impl BatchJob {
    /// Did it fail for good?
    pub fn has_failed(&self) -> bool {
        !self.failure.is_empty()
    }

    /// Is it over, one way or the other?
    pub fn has_ended(&self) -> bool {
        self.has_failed() || self.completed_at.is_some()
    }
}

impl Object for BatchJob {
    const KIND: ObjectKind = ObjectKind::BatchJob;
    const API_VERSION: &'static str = "batch/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::BatchJob> for BatchJob {
    fn from(j: v1::BatchJob) -> Self {
        Self {
            meta: j.meta.unwrap_or_default().into(),
            active: j.active,
            succeeded: j.succeeded,
            failed: j.failed,
            completed_at: at(j.completed_at_us),
            failure: j.failure,
            failed_at: at(j.failed_at_us),
        }
    }
}

/// Cuts what is too long; false where the Job cannot be kept.
pub(super) fn bound(job: &mut v1::BatchJob) -> bool {
    cut(&mut job.failure, TEXT);
    is_meta_kept(job.meta.as_mut())
}
