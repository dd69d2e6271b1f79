//! What Nimbus tried on the incident's object or workload: each job with its ends, as far as they are recorded.

use jiff::Timestamp;

use super::{BEFORE, Known, Source};
use crate::model::{Incident, Job};

/// The jobs of this incident, and others on the same workload or object since a day before it.
pub(super) fn on<'a>(incident: &'a Incident, jobs: &'a [Job]) -> impl Iterator<Item = Known> + 'a {
    let from = incident.created_at.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
    let until = incident.resolved_at.unwrap_or(Timestamp::MAX);
    let is_its = move |job: &&Job| {
        job.incident_id == incident.id
            || (job.scope == incident.scope
                && is_same(incident, job)
                && (from..=until).contains(&job.created_at))
    };
    jobs.iter().filter(is_its).flat_map(lines)
}

fn is_same(incident: &Incident, job: &Job) -> bool {
    if let (Some(own), Some(other)) = (&incident.workload, &job.workload) {
        own.uid() == other.uid()
    } else {
        incident.object.identity() == job.object.identity()
    }
}

/// One line for each moment that is recorded.
fn lines(job: &Job) -> Vec<Known> {
    let what = format!("{} on {}", job.action, job.object);
    let line = |at: Option<Timestamp>, text: String| Some(Known::new(at?, Source::Job, &job.id, text));
    let evidence = job.evidence.first().map_or_else(String::new, |first| format!(" ({first})"));
    let reason = if job.reason.is_empty() { String::new() } else { format!(": {}", job.reason) };
    [
        line(Some(job.created_at), format!("{what} was signed for agent {}", job.agent_id)),
        line(job.applied_at, format!("{what} took effect{evidence}")),
        line(job.finished_at, format!("{what} ended as {}{reason}", job.state)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
