//! The cause `pod_crash_loop`: a container waits in CrashLoopBackOff after at least a configured number of restarts.
//!
//! Between its waits such a container runs for a moment; then there is no finding, and the incident stays until its
//! workload has been healthy for long enough.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::Inventory;

pub(super) struct PodCrashLoop;

impl Cause for PodCrashLoop {
    fn needs(&self) -> &'static [ObjectKind] {
        pods::NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "crash"
    }

    fn detect(&self, place: Place<'_>, settings: &Settings) -> Vec<Finding> {
        pods::findings(
            IncidentKind::PodCrashLoop,
            place,
            |container| container.backs_off() && container.restarts >= settings.crash_loop_restarts,
            |container| {
                let reason =
                    if container.last_reason.is_empty() { "unknown" } else { &container.last_reason };
                vec![
                    format!(
                        "{} waits in CrashLoopBackOff after {} restarts",
                        container.titled(),
                        container.restarts
                    ),
                    format!("its last run ended with exit code {} ({reason})", container.last_exit_code),
                ]
            },
        )
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        pods::is_due(s, object, scope, now)
    }

    fn title(&self, finding: &Finding, pods: usize) -> String {
        let many = if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
        format!("{}: {many} in a crash loop (container {})", finding.subject(), finding.container)
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
        "a container crashes again and again: look at its logs and at what it depends on"
    }
}
