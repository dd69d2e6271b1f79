//! Whether the limit of a container was raised before, and what became of it: what was raised and is killed again uses what it
//! is given, or needs far more; neither is helped by the same step again.

use jiff::SignedDuration;
use nimbus_protocol::quantity;

use super::super::Answer;
use super::{Said, said};
use crate::model::{Incident, Job, JobState, RaisedLimit};
use crate::snapshot::Snapshot;
use crate::world::{Container, Deployment, Object as _};

/// For so long nobody is asked again where a namespace had no room; a quota may be raised meanwhile.
const NO_ROOM: SignedDuration = SignedDuration::from_hours(24);

/// The answer that what was tried before gives; `None` where nothing speaks against a step.
pub(super) fn before(
    incident: &Incident,
    deployment: &Deployment,
    container: &Container,
    s: &Snapshot<'_>,
) -> Option<Answer> {
    let of_it = |job: &'_ Job| {
        let raised = job.raised.as_ref().filter(|raised| raised.container == container.name)?;
        let same = job.workload.as_ref().is_some_and(|workload| workload.uid() == deployment.meta.uid);
        (same && job.scope == incident.scope).then(|| raised.clone())
    };
    let tried = s.all_jobs().filter_map(|job| Some((job, of_it(job)?)));
    let (job, raised) = tried
        .filter(|(job, raised)| took_effect(job) || had_no_room(job, raised, deployment, s))
        .max_by_key(|(job, _)| (job.finished_at, job.id))?;
    Some(Answer::Recommend(words(job, &raised, deployment, container)))
}

/// Did a job change something, as far as is known?
fn took_effect(job: &Job) -> bool {
    match job.state {
        // What was undone was done, also where its own report of that is missing.
        JobState::Succeeded | JobState::Unknown | JobState::Compensated => true,
        // Where nothing was applied nothing was changed: that says nothing of a higher limit. The report of it may come after the
        // job's time was over.
        JobState::Failed | JobState::Expired => job.applied_at.is_some(),
        JobState::Pending | JobState::Dispatched | JobState::Running | JobState::Refused => false,
    }
}

/// Did the agent find no room for the very same step lately?
fn had_no_room(job: &Job, raised: &RaisedLimit, deployment: &Deployment, s: &Snapshot<'_>) -> bool {
    let lately = job.finished_at.is_some_and(|at| s.now.duration_since(at) < NO_ROOM);
    job.state == JobState::Refused
        && job.reason.contains(nimbus_protocol::action::NO_ROOM)
        && raised.template_hash == deployment.template_hash
        && lately
}

fn words(job: &Job, raised: &RaisedLimit, deployment: &Deployment, container: &Container) -> String {
    let (name, at) = (deployment.object(), job.finished_at.unwrap_or(job.created_at));
    let killed = format!("container {} of {name} is killed for its memory limit", container.name);
    let to = quantity::binary(raised.to_bytes);
    let now = match said(deployment, &format!("containers[{}].resources.limits.memory", container.name)) {
        Said::Bytes(now) => now,
        Said::Nothing | Said::Unread(_) | Said::NotTold => 0,
    };
    match job.state {
        JobState::Succeeded if now < raised.to_bytes => format!(
            "{killed}, was raised to {to} at {at:.0}, and its template says less again: whatever applies that template takes a \
             raise back, so raise it there"
        ),
        JobState::Succeeded => format!(
            "{killed} again, and that was raised to {to} at {at:.0}: it uses what it is given, which is how a leak looks; find \
             what holds the memory, or set the limit that it needs by hand"
        ),
        JobState::Unknown => format!(
            "{killed}, and whether raising it to {to} at {at:.0} helped is not known ({}): look at it, and set the limit that it \
             needs by hand",
            job.reason
        ),
        JobState::Refused => format!(
            "{killed}, and {to} has no room in its namespace ({}): make room there, or lower what it uses; asked again once the \
             pod template changes, or a day after {at:.0}",
            job.reason
        ),
        JobState::Failed
        | JobState::Compensated
        | JobState::Pending
        | JobState::Dispatched
        | JobState::Running
        | JobState::Expired => format!(
            "{killed}, and raising it to {to} did not help at {at:.0} ({}: {}): find what holds the memory, or set the limit that \
             it needs by hand",
            job.state, job.reason
        ),
    }
}
