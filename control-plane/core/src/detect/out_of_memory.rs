//! A container that is killed for its memory limit again and again: a restart meets the same limit.

use super::{Finding, pods};
use crate::model::IncidentKind;
use crate::settings::Settings;
use crate::world::Inventory;

pub(super) fn detect(cluster: &str, inventory: &Inventory, settings: &Settings) -> Vec<Finding> {
    pods::findings(
        IncidentKind::OutOfMemory,
        cluster,
        inventory,
        |container| {
            container.backs_off()
                && container.out_of_memory()
                && container.restarts >= settings.crash_loop_restarts
        },
        |container| {
            vec![format!(
                "container {} was killed for its memory limit (OOMKilled) and restarted {} times",
                container.name, container.restarts
            )]
        },
    )
}
