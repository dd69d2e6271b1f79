//! The attempts made for one workload across its incidents: how many there were, and when the next one may be made.
//!
//! Nothing is counted on the side: the count is read from the jobs. A job counts until its workload was healthy for
//! `reset_after_ms`: [`Job::attempts_reset_at`] is set when its incident is resolved, and taken back when the workload is
//! in trouble again before that time has passed (see `remediation`).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{ActionKind, Incident, Job, JobState, ObjectRef, Plan, Scope, Workload};
use crate::remedies::{self, Consent};

use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;

/// On what attempts are counted: the workload's UID, otherwise the object in its cluster or on its host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject(String);

impl Subject {
    /// Of an incident.
    pub fn of_incident(incident: &Incident) -> Self {
        Self::new(incident.workload.as_ref(), &incident.scope, &incident.object)
    }

    /// Of a plan.
    pub fn of_plan(plan: &Plan) -> Self {
        Self::new(plan.workload.as_ref(), &plan.scope, &plan.object)
    }

    /// Of a job.
    pub fn of_job(job: &Job) -> Self {
        Self::new(job.workload.as_ref(), &job.scope, &job.object)
    }

    fn new(workload: Option<&Workload>, scope: &Scope, object: &ObjectRef) -> Self {
        match workload {
            Some(workload) => Self(workload.uid().to_owned()),
            None => Self(format!("{scope}:{}", object.identity())),
        }
    }
}

/// The jobs of a snapshot by what they were tried on; made once for a pass, so that a pass over many plans stays linear.
#[derive(Debug)]
pub struct Tried<'a>(BTreeMap<Subject, Vec<&'a Job>>);

impl<'a> Tried<'a> {
    /// Those of this snapshot.
    pub fn of(snapshot: &Snapshot<'a>) -> Self {
        let mut tried: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for job in snapshot.all_jobs() {
            tried.entry(Subject::of_job(job)).or_default().push(job);
        }
        Self(tried)
    }
}

/// What was tried on a subject, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Attempts<'a> {
    /// The jobs that count.
    pub jobs: Vec<&'a Job>,
}

impl<'a> Attempts<'a> {
    /// Those of an action like this one on `subject`.
    ///
    /// A refused job did nothing and does not count. With `approved`, the next one needs an operator's approval anyway:
    /// then what helped does not count either, only what did not.
    /// Load comes and goes: to scale out and in is no attempt at a fault, and counts against nothing else; what it brought does not count at all.
    pub fn on(subject: &Subject, action: Option<ActionKind>, approved: bool, tried: &Tried<'a>) -> Self {
        let scales = |action: ActionKind| action == ActionKind::ScaleWorkload;
        let counts = |job: &&Job| {
            job.attempts_reset_at.is_none()
                && scales(job.action) == action.is_some_and(scales)
                && match job.state {
                    JobState::Failed | JobState::Compensated | JobState::Unknown | JobState::Expired => true,
                    JobState::Succeeded => !approved && !scales(job.action),
                    JobState::Refused | JobState::Pending | JobState::Dispatched | JobState::Running => false,
                }
        };
        let mut jobs: Vec<&Job> =
            tried.0.get(subject).into_iter().flatten().copied().filter(counts).collect();
        jobs.sort_by_key(|job| (ended(job), job.id));
        Self { jobs }
    }

    /// Those that count against a plan. What a person orders is another thing than what was tried by itself: only what was
    /// ordered before counts against it.
    pub fn before(plan: &Plan, tried: &Tried<'a>) -> Self {
        let mut attempts =
            Self::on(&Subject::of_plan(plan), plan.action.kind(), !super::is_automatic(plan), tried);
        if let Some(action) =
            plan.action.kind().filter(|action| remedies::of(*action).consent() == Consent::Command)
        {
            attempts.jobs.retain(|job| job.action == action);
        }
        attempts
    }

    /// How many.
    pub fn count(&self) -> u32 {
        u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)
    }

    /// Not before this moment is the next one made; `None` when none was made yet, or when the last one is dated later than
    /// now: a clock was ahead then, and how long ago it was is not known.
    pub fn next_at(&self, settings: &Settings, now: Timestamp) -> Option<Timestamp> {
        let last = ended(self.jobs.last()?);
        (last <= now).then(|| later(last, settings.backoff(self.count())))
    }

    /// What was tried, for the person who is asked next.
    pub fn tried(&self) -> String {
        let one = |job: &&Job| {
            let why = if job.reason.is_empty() { String::new() } else { format!(": {}", job.reason) };
            format!("{} on {} {}{why}", job.action, job.object, job.state)
        };
        self.jobs.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

/// Refused jobs of an incident since something last took effect, of those that are `alike`: each makes the next try wait
/// longer.
pub fn refusals(incident: &Incident, snapshot: &Snapshot<'_>, alike: impl Fn(&Job) -> bool) -> u32 {
    let of_incident = || snapshot.all_jobs().filter(|j| j.incident_id == incident.id);
    let last_effect = of_incident()
        .filter(|j| j.state.is_final() && j.state != JobState::Refused)
        .map(|j| j.created_at)
        .max()
        .unwrap_or(Timestamp::MIN);
    let refused =
        of_incident().filter(|j| j.state == JobState::Refused && j.created_at >= last_effect && alike(j));
    u32::try_from(refused.count()).unwrap_or(u32::MAX)
}

/// When a job was over.
fn ended(job: &Job) -> Timestamp {
    job.finished_at.or(job.applied_at).unwrap_or(job.expires_at)
}
