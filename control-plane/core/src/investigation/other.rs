//! Other incidents of the same place: on the same workload or object within a day before it, or opened near to it.

use jiff::Timestamp;

use super::{BEFORE, Known, NEAR, Source};
use crate::model::Incident;

/// Those that may have to do with it, each with its begin and its end.
pub(super) fn near<'a>(incident: &'a Incident, others: &'a [Incident]) -> impl Iterator<Item = Known> + 'a {
    let is_near = move |other: &&Incident| {
        other.id != incident.id
            && other.scope == incident.scope
            && (is_same(incident, other) || is_at_once(incident, other))
    };
    others.iter().filter(is_near).flat_map(move |other| {
        let why = if is_same(incident, other) { "of the same" } else { "opened at about the same time" };
        let line = |at: Option<Timestamp>, text: String| {
            Some(Known::new(at?, Source::OtherIncident, &other.id, text))
        };
        let ends = if other.reason.is_empty() { String::new() } else { format!(": {}", other.reason) };
        [
            line(Some(other.created_at), format!("{} ({why}, {})", other.title, other.kind)),
            line(other.resolved_at, format!("resolved, {}{ends}", other.title)),
        ]
        .into_iter()
        .flatten()
    })
}

/// Is it about the same workload or object, or explained by it, within a day before it?
fn is_same(incident: &Incident, other: &Incident) -> bool {
    let of_one = if let (Some(own), Some(its)) = (&incident.workload, &other.workload) {
        own.uid() == its.uid()
    } else {
        let own = incident.object.identity();
        own == other.object.identity() || other.symptoms.iter().any(|it| it.identity() == own)
    };
    let from = incident.created_at.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
    of_one && other.resolved_at.is_none_or(|end| end >= from)
}

fn is_at_once(incident: &Incident, other: &Incident) -> bool {
    incident.created_at.duration_since(other.created_at).abs() <= NEAR
}
