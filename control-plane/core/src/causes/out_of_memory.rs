//! The cause `out_of_memory`: a container is killed at its memory limit again and again, so a restart would meet the
//! same limit.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::Inventory;

pub(super) struct OutOfMemory;

impl Cause for OutOfMemory {
    fn needs(&self) -> &'static [ObjectKind] {
        pods::NEEDS
    }

    fn depth(&self) -> u8 {
        3
    }

    fn key_word(&self) -> &'static str {
        "memory"
    }

    fn detect(&self, place: Place<'_>, settings: &Settings) -> Vec<Finding> {
        pods::findings(
            IncidentKind::OutOfMemory,
            place,
            |container| {
                container.backs_off()
                    && container.out_of_memory()
                    && container.restarts >= settings.crash_loop_restarts
            },
            |container| {
                vec![format!(
                    "{} was killed for its memory limit (OOMKilled) and restarted {} times",
                    container.titled(),
                    container.restarts
                )]
            },
        )
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        pods::is_due(s, object, scope, now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: container {} is killed for its memory limit", finding.subject(), finding.container)
    }

    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity {
        pods::severity(finding, inventory)
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        pods::recovered(s, incident, now)
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        pods::agreement(s, incident)
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a container is killed for its memory limit: raise the limit or lower what it uses; a new pod would meet the \
         same limit"
    }
}
