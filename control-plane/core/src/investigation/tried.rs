//! What Nimbus tried on the incident's object or workload: each job with its moments, as far as they are recorded.

use jiff::Timestamp;

use super::words::{after_colon, in_brackets, times};
use super::{Investigation, Known, Source, Window};
use crate::model::{Incident, Job, JobState, Scope};
use crate::snapshot::Snapshot;

/// Most jobs of the incident itself, the newest. What is only refused again and again is one line and counts for none, so that
/// an incident comes nowhere near.
const MOST_OWN: usize = 100;
/// Most jobs of other incidents, those that were signed nearest to the incident's begin.
const MOST_OTHERS: usize = 20;

/// The jobs of this incident, and others on the same workload or object since a day before it.
pub(super) fn tell(
    incident: &Incident,
    jobs: &[&Job],
    snapshot: &Snapshot<'_>,
    window: Window,
    found: &mut Investigation,
) {
    let is_its = |job: &&Job| {
        let beside = job.scope == incident.scope && is_same(incident, job) && window.has(job.created_at);
        job.incident_id == incident.id || beside
    };
    let (own, mut others): (Vec<&Job>, Vec<&Job>) =
        jobs.iter().copied().filter(is_its).partition(|job| job.incident_id == incident.id);
    let (mut again, mut own): (Vec<&Job>, Vec<&Job>) =
        own.into_iter().partition(|job| job.again > 0 && job.state == JobState::Refused);

    own.sort_by_key(|job| (job.created_at, job.id));
    let more = own.len().saturating_sub(MOST_OWN);
    found.leave_out(more, "jobs of this incident");
    others.sort_by_key(|job| (window.distance(job.created_at), job.id));
    found.leave_out(
        others.len().saturating_sub(MOST_OTHERS),
        "jobs of other incidents on the same workload or object",
    );
    let told = own.into_iter().skip(more).chain(others.into_iter().take(MOST_OTHERS));
    found.timeline.extend(told.flat_map(|job| lines(job, snapshot)));
    again.sort_by_key(|job| (job.created_at, job.id));
    found.timeline.extend(refused_again(&again));

    let kept = snapshot.settings.jobs_since(snapshot.now);
    if window.from < kept {
        found.unknown.push(format!(
            "of jobs of other incidents those that ended before {kept:.0} are looked at no more: what they tried is unknown"
        ));
    }
}

fn is_same(incident: &Incident, job: &Job) -> bool {
    if let (Some(own), Some(other)) = (&incident.workload, &job.workload) {
        own.uid() == other.uid()
    } else {
        incident.object.identity() == job.object.identity()
    }
}

/// One line for each moment that is recorded.
fn lines(job: &Job, snapshot: &Snapshot<'_>) -> Vec<Known> {
    let what = format!("{} on {}", job.action, job.object);
    let agent = snapshot.name_of(&Scope::Host(job.agent_id));
    let mut moments: Vec<(Timestamp, String)> =
        vec![(job.created_at, format!("{what} was signed for agent {agent}"))];
    moments.extend(job.applied_at.map(|at| (at, format!("{what} took effect"))));
    moments.extend(
        job.finished_at.map(|at| (at, format!("{what} ended as {}{}", job.state, after_colon(&job.reason)))),
    );
    // Each report's evidence takes the place of that of the report before: what there is belongs to the newest moment.
    let evidence = job.evidence.first().map_or_else(String::new, |first| in_brackets(first));
    if let Some((_, text)) = moments.iter_mut().max_by_key(|(at, _)| *at) {
        text.push_str(&evidence);
    }
    moments.into_iter().map(|(at, text)| Known::new(at, Source::Job, &job.id, text)).collect()
}

/// One line for all that were only refused again, the oldest first.
fn refused_again(jobs: &[&Job]) -> Option<Known> {
    let (first, last) = (jobs.first()?, jobs.last()?);
    let count = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
    let text = format!(
        "{} on {} was asked for again and refused {} since {:.0}, the last time{}",
        last.action,
        last.object,
        times(count),
        first.created_at,
        after_colon(&last.reason)
    );
    Some(Known::new(last.finished_at.unwrap_or(last.created_at), Source::Job, &last.id, text))
}
