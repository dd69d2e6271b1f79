//! What Nimbus saw of the revisions of the incident's workload. As few are remembered as a workload has, and none is left out.

use super::words::span;
use super::{Investigation, Known, Source, Window};
use crate::model::{Incident, Revision};
use crate::world::Inventory;

/// When each came out and was in trouble, and since when the present one holds.
pub(super) fn tell(incident: &Incident, inventory: &Inventory, window: Window, found: &mut Investigation) {
    let Some(workload) = &incident.workload else { return };
    let Some(history) = inventory.histories.get(workload.uid()) else { return };
    let object = workload.object();
    let mut told = Vec::new();
    for one in &history.revisions {
        told.extend(one.came_out_at.map(|at| (at, format!("revision {} came out", one.revision))));
        let Some(trouble) = &one.trouble else { continue };
        // In which words its first trouble would be told is not kept.
        if trouble.first_at != trouble.at {
            told.push((
                trouble.first_at,
                format!("revision {} was in trouble for the first time", one.revision),
            ));
        }
        told.push((trouble.at, format!("revision {} was in trouble: {}", one.revision, trouble.what)));
    }
    if let Some(holding) = &history.holding {
        let text =
            format!("all pods of the present revision are available since then ({})", holding.available);
        told.push((holding.since, text));
    }
    let told = told.into_iter().filter(|(at, _)| window.has(*at));
    found.timeline.extend(told.map(|(at, text)| Known::new(at, Source::Revisions, object, text)));
}

/// For how long each of them held, as far as it was noted.
pub(super) fn held(incident: &Incident, inventory: &Inventory) -> Option<Known> {
    let workload = incident.workload.as_ref()?;
    let history = inventory.histories.get(workload.uid())?;
    let all: Vec<String> = history.revisions.iter().map(longest).collect();
    let text = format!("the longest that all its pods were noted to be available: {}", all.join(", "));
    (!all.is_empty()).then(|| Known::new(None, Source::Revisions, workload.object(), text))
}

fn longest(one: &Revision) -> String {
    match one.longest_ms {
        0 => format!("revision {} never", one.revision),
        ms => format!("revision {} for {}", one.revision, span(ms)),
    }
}
