//! The cause `storm`: so much of a cluster is unhealthy at the same time that the cause must be shared, and acting on
//! each symptom would make things worse.
//!
//! A storm is not found on an object: the figures of the whole cluster declare it, and they end it.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::Inventory;

/// Without these nothing can be said about a storm, and so nothing automatic runs.
pub(crate) const NEEDS: &[ObjectKind] = &[ObjectKind::Pod, ObjectKind::Node];

pub(super) struct Storm;

impl Cause for Storm {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        5
    }

    fn key_word(&self) -> &'static str {
        "storm"
    }

    fn detect(&self, _: Place<'_>, _: &Settings) -> Vec<Finding> {
        Vec::new()
    }

    fn is_due(&self, _: &Snapshot<'_>, _: &ObjectRef, _: &Scope, _: Timestamp) -> bool {
        true
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: storm", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Critical
    }

    fn recovered(&self, _: &Snapshot<'_>, _: &Incident, _: Timestamp) -> Option<String> {
        None
    }

    fn agreement(&self, _: &Snapshot<'_>, _: &Incident) -> Agreement {
        Agreement::Disagrees("a storm ends by its figures, not by a job".to_owned())
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "look for what is shared: a change, DNS, an admission webhook, the network"
    }
}
