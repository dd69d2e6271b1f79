//! A container that keeps crashing: waiting in CrashLoopBackOff after a stated number of restarts.
//!
//! Between its waits such a container runs for a moment; then there is no finding, and the incident stays until
//! its owner has settled.

use super::{Finding, pods};
use crate::model::IncidentKind;
use crate::settings::Settings;
use crate::world::Inventory;

pub(super) fn detect(cluster: &str, inventory: &Inventory, settings: &Settings) -> Vec<Finding> {
    pods::findings(
        IncidentKind::PodCrashLoop,
        cluster,
        inventory,
        |container| container.backs_off() && container.restarts >= settings.crash_loop_restarts,
        |container| {
            let reason = if container.last_reason.is_empty() { "unknown" } else { &container.last_reason };
            vec![
                format!(
                    "container {} waits in CrashLoopBackOff after {} restarts",
                    container.name, container.restarts
                ),
                format!("its last run ended with exit code {} ({reason})", container.last_exit_code),
            ]
        },
    )
}
