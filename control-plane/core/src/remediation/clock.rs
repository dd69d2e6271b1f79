//! What becomes of deadlines when the clock jumps.
//!
//! A wait is for so long, not until a date: when the clock is seen to jump, every deadline jumps with it, so that nothing
//! runs out early and nothing waits for years. A jump that nobody saw, because the control plane was not running, shows
//! in dates that lie further ahead than any wait can: those are drawn back to now.

use jiff::{SignedDuration, Timestamp};

use super::record::Record;
use crate::model::{ActionKind, Approval, ChangeSet, Incident, Job, Pause, RefusedEviction, Versioned};
use crate::settings::{SELDOM, Settings, later, millis};
use crate::snapshot::Snapshot;

/// How far ahead a date may lie beyond the longest wait before it is taken for one of a wrong clock.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// The clock was seen to jump by `by` and says `now`: what waits goes on waiting for as long as before.
pub fn jumped(s: &Snapshot<'_>, by: SignedDuration, now: Timestamp) -> ChangeSet {
    let mut record = Record::new(now);
    let text = format!(
        "the clock jumped by {by:#}; what waits, and what is valid for a while, goes on for as long as before"
    );
    record.audit("clock.jumped", &"clock", "", text);
    for incident in s.incidents.iter().filter(|incident| incident.doc.is_open()) {
        let mut after = incident.doc.clone();
        after.next_attempt_at = after.next_attempt_at.map(|at| later(at, by));
        after.silenced_until = after.silenced_until.map(|at| later(at, by));
        after.refused_eviction =
            after.refused_eviction.map(|last| RefusedEviction { at: later(last.at, by), ..last });
        record.incident(incident, after);
    }
    for approval in s.approvals.iter().filter(|approval| approval.doc.is_live()) {
        let doc = Approval { expires_at: later(approval.doc.expires_at, by), ..approval.doc.clone() };
        record.changes.approvals.push(Versioned { version: approval.version, doc });
    }
    for job in s.jobs.iter().filter(|job| !job.doc.state.is_final()) {
        record.job(job, moved(&job.doc, by));
    }
    // How long ago a volume grew, a maximum was raised or a workload scaled is a wait too: for the next step, and for the steps of a week or a day.
    let grew = |job: &&Versioned<Job>| {
        let steps = [ActionKind::ExpandVolume, ActionKind::RaiseAutoscalerMaximum, ActionKind::ScaleWorkload];
        job.doc.state.is_final() && steps.contains(&job.doc.action)
    };
    for job in s.jobs.iter().filter(grew) {
        let mut after = job.doc.clone();
        after.applied_at = after.applied_at.map(|at| later(at, by));
        after.finished_at = after.finished_at.map(|at| later(at, by));
        record.job(job, after);
    }
    let ends = |pause: &Pause| pause.until.is_some() || !pause.beneath.is_empty();
    for pause in s.pauses.iter().filter(|pause| ends(&pause.doc)) {
        record.changes.pauses.push(Versioned { version: pause.version, doc: shifted(&pause.doc, by) });
    }
    record.changes
}

fn shifted(pause: &Pause, by: SignedDuration) -> Pause {
    Pause {
        since: later(pause.since, by),
        until: pause.until.map(|until| later(until, by)),
        beneath: pause.beneath.iter().map(|beneath| shifted(beneath, by)).collect(),
        ..pause.clone()
    }
}

/// The wait of an incident that lies further ahead than any can.
pub(super) fn wait_is_absurd(incident: &Incident, settings: &Settings, now: Timestamp) -> bool {
    let longest = later(now, millis(settings.backoff_max_ms).max(settings.settle()).max(SELDOM) + SLACK);
    incident.next_attempt_at.is_some_and(|at| at > longest)
}

/// The approval, if it holds for longer than any may: then for as long as one that is asked for now.
pub(super) fn shortened(approval: &Approval, settings: &Settings, now: Timestamp) -> Option<Approval> {
    let ttl = SignedDuration::from_secs(settings.approval_ttl_s.into());
    let longest = later(now, ttl);
    (approval.expires_at > later(longest, SLACK))
        .then(|| Approval { expires_at: longest, ..approval.clone() })
}

/// The job, if it was signed later than now: then as if it were signed now.
pub(super) fn drawn_back(job: &Job, now: Timestamp) -> Option<Job> {
    (!job.state.is_final() && job.created_at > later(now, SLACK))
        .then(|| moved(job, now.duration_since(job.created_at)))
}

fn moved(job: &Job, by: SignedDuration) -> Job {
    let mut after = job.clone();
    after.created_at = later(after.created_at, by);
    after.expires_at = later(after.expires_at, by);
    after.dispatched_at = after.dispatched_at.map(|at| later(at, by));
    after.applied_at = after.applied_at.map(|at| later(at, by));
    after
}
