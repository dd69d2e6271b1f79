//! The incident's own story, as Nimbus wrote it. It is bounded where it is written, and none of it is left out here.

use super::{Investigation, Known, Source};
use crate::model::{Incident, MAX_HISTORY};

/// All of it.
pub(super) fn tell(incident: &Incident, found: &mut Investigation) {
    let lines = incident.history.iter();
    found
        .timeline
        .extend(lines.map(|entry| Known::new(entry.at, Source::Incident, &incident.id, entry.text.clone())));
    if incident.history.len() >= MAX_HISTORY {
        found.unknown.push(format!(
            "an incident keeps {MAX_HISTORY} lines of its story, and this one has as many: what came after its first line may be \
             missing"
        ));
    }
}
