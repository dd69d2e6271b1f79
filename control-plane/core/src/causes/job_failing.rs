//! The cause `job_failing`: a Job failed for good; of the runs of a CronJob, the newest one that has ended.
//!
//! The pods of such a run have ended, and what ended is no pod any more: only the Job says that it failed. All runs of one
//! owner are one incident, about the owner, however often it fails. A cluster keeps failed runs as history for as long as it
//! is told to: one that failed before [`NEWS`] opens no incident, but an open one stays until it is over, and one about a Job
//! that nobody owns for a day at most.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, KubeRef, ObjectRef, Scope, Severity, Workload};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{BatchJob, Inventory, Object as _};

pub(super) struct JobFailing;

const NEEDS: &[ObjectKind] = &[ObjectKind::BatchJob];

/// For how long a failed run is news; and how long none may fail where no run is left that tells how it went.
const NEWS: SignedDuration = SignedDuration::from_hours(1);

/// For how long a failed Job that nobody owns is told: no cluster removes it by itself.
const TOLD: SignedDuration = SignedDuration::from_hours(24);
/// Most Jobs that nobody owns and that are told, the newest: they take no room from what still runs.
const MOST: usize = 100;

impl Cause for JobFailing {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    /// As deep as what decides about all pods of a workload: what its pods show while they run is one incident with it.
    fn depth(&self) -> u8 {
        4
    }

    fn key_word(&self) -> &'static str {
        "job"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let failed = inventory.batch_jobs.values().filter(|job| job.has_failed());
        let owned = failed.filter(|job| !is_alone(job)).map(whose);
        let owned: BTreeMap<String, KubeRef> = owned.map(|whose| (whose.uid.clone(), whose)).collect();
        let alone = newest_alone(inventory).into_iter().take(MOST).map(whose);
        let finding = |whose: KubeRef| {
            let failing = Failing::of(inventory, &whose.uid)?;
            let (scope, object) = (Scope::Cluster(cluster.to_owned()), ObjectRef::Kubernetes(whose.clone()));
            Some(Finding {
                workload: Some(Workload::of(whose)),
                what: failing.what(),
                ..Finding::new(IncidentKind::JobFailing, scope, object, failing.evidence())
            })
        };
        owned.into_values().chain(alone).filter_map(finding).collect()
    }

    /// Where another incident is open about the same workload, such as a crash loop of its pods, a failed run is that one's.
    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let failing = s.inventory(scope).and_then(|inventory| Failing::of(inventory, object.uid()));
        let Some(failing) = failing else { return false };
        let about = |i: &&Incident| {
            let same = |workload: &Workload| workload.uid() == object.uid();
            i.is_open() && i.scope == *scope && i.workload.as_ref().is_some_and(same)
        };
        let open: Vec<&Incident> = s.incidents.iter().map(|i| &i.doc).filter(about).collect();
        if !open.is_empty() {
            let goes_on = |i: &&Incident| i.kind == IncidentKind::JobFailing && !was_told(i, now);
            return open.iter().any(goes_on);
        }
        failing.is_news(now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: {}", finding.subject(), finding.what)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    /// A Job that nobody owns is not run again: its incident ends with it. Of an owner's runs a later one has to complete, and
    /// none may fail for as long as makes a revision good: runs that fail now and then are one incident.
    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let whose = &incident.object;
        let runs = ended_runs(s.inventory(&incident.scope)?, whose.uid());
        let newest = runs.first().copied();
        let alone = matches!(incident.workload, Some(Workload::Job(_)));
        if newest.is_some_and(BatchJob::has_failed) {
            if was_told(incident, now) {
                return Some(format!("{whose} failed, was told for a day, and is not run again"));
            }
            let newer = s.inventory(&incident.scope).map(newest_alone).unwrap_or_default();
            let place = newer.iter().position(|job| job.meta.uid == whose.uid());
            return (alone && place.is_some_and(|place| place >= MOST))
                .then(|| format!("{whose} failed; {MOST} that failed later are told instead"));
        }
        if alone {
            return Some(format!("{whose} no longer exists"));
        }
        let lasted = |since: Option<Timestamp>, time| since.is_some_and(|at| later(at, time) <= now);
        let steady = pods::steady(s.settings.good_after(0), incident);
        match newest {
            Some(run) if lasted(incident.well_since, steady) => {
                Some(format!("a later run of {whose} completed: {}", run.meta.name))
            }
            // Since then nothing of it shows: what has runs is never among the pods.
            _ if lasted(incident.object_gone_at, NEWS) => Some(format!(
                "no failed run of {whose} is its newest any more, and none failed for an hour; a later one was not seen to \
                 complete"
            )),
            _ => None,
        }
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let whose = &incident.object;
        let runs = s.inventory(&incident.scope).map(|inventory| ended_runs(inventory, whose.uid()));
        let newest = runs.and_then(|runs| runs.first().copied());
        match newest {
            Some(run) if run.has_failed() => Agreement::Disagrees(format!("{} failed", run.meta.name)),
            Some(run) if run.completed_at.is_some_and(|at| at >= incident.created_at) => Agreement::Agrees,
            Some(_) | None => Agreement::Disagrees(format!("no later run of {whose} has completed")),
        }
    }

    fn recommendation(&self, s: &Snapshot<'_>, incident: &Incident) -> String {
        let inventory = s.inventory(&incident.scope);
        let failing = inventory.and_then(|inventory| Failing::of(inventory, incident.object.uid()));
        failing.map_or_else(|| self.sentence().to_owned(), |failing| failing.steps())
    }

    fn sentence(&self) -> &'static str {
        "a Job failed: look at its logs (`kubectl logs job/NAME`); Nimbus never evicts a Job's pods, since an eviction counts \
         against it"
    }
}

/// Is it about a Job that nobody owns, and was told for long enough?
fn was_told(incident: &Incident, now: Timestamp) -> bool {
    matches!(incident.workload, Some(Workload::Job(_))) && later(incident.created_at, TOLD) <= now
}

fn is_alone(job: &BatchJob) -> bool {
    job.meta.owner().is_none()
}

/// The failed Jobs that nobody owns, the newest first.
fn newest_alone(inventory: &Inventory) -> Vec<&BatchJob> {
    let failed = inventory.batch_jobs.values().filter(|job| job.has_failed() && is_alone(job));
    let mut failed: Vec<&BatchJob> = failed.collect();
    failed.sort_by_key(|job| Reverse((job.failed_at, &job.meta.name)));
    failed
}

/// Whose run a Job is: its owner's, otherwise its own.
fn whose(job: &BatchJob) -> KubeRef {
    job.meta.owner().unwrap_or_else(|| job.reference())
}

/// The runs of an owner that have ended, newest first; for a Job that nobody owns, the Job. The one that was made last is the
/// newest: an older one that took longer tells less of how it is now.
fn ended_runs<'a>(inventory: &'a Inventory, uid: &str) -> Vec<&'a BatchJob> {
    let all = inventory.batch_jobs.get(uid).into_iter().chain(inventory.runs_of(uid));
    let mut ended: Vec<&BatchJob> = all.filter(|run| run.has_ended() && !run.meta.deleting).collect();
    ended.sort_by_key(|run| Reverse((run.meta.created_at, &run.meta.name)));
    ended
}

/// The runs of an owner that have ended, where the newest failed.
struct Failing<'a> {
    newest: &'a BatchJob,
    runs: Vec<&'a BatchJob>,
}

impl<'a> Failing<'a> {
    fn of(inventory: &'a Inventory, uid: &str) -> Option<Self> {
        let runs = ended_runs(inventory, uid);
        let newest = runs.first().copied().filter(|run| run.has_failed())?;
        Some(Self { newest, runs })
    }

    /// One that does not say when it failed is as old as it is itself.
    fn is_news(&self, now: Timestamp) -> bool {
        let at = self.newest.failed_at.or(self.newest.meta.created_at);
        at.is_some_and(|at| now <= later(at, NEWS))
    }

    fn what(&self) -> String {
        let failure = &self.newest.failure;
        let reason = failure.split_once(": ").map_or(failure.as_str(), |(reason, _)| reason);
        let who = if self.newest.meta.owner_uid.is_empty() { "it" } else { "its newest run" };
        format!("{who} failed ({reason})")
    }

    fn evidence(&self) -> Vec<String> {
        let run = self.newest;
        let when = run.failed_at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
        let mut lines = vec![format!(
            "job {}/{} failed{when} ({} of its pods failed): {}",
            run.meta.namespace, run.meta.name, run.failed, run.failure
        )];
        if !run.meta.owner_uid.is_empty() {
            let failed = self.runs.iter().filter(|run| run.has_failed()).count();
            let in_a_row: Vec<_> = self.runs.iter().take_while(|run| run.has_failed()).collect();
            let first = in_a_row.last().and_then(|run| run.failed_at);
            let since = first.map(|at| format!(", since {at:.0}")).unwrap_or_default();
            lines.push(format!(
                "of the {} runs that ended and are kept {failed} failed, the newest {} in a row{since}",
                self.runs.len(),
                in_a_row.len()
            ));
        }
        lines
    }

    fn steps(&self) -> String {
        let (namespace, name) = (&self.newest.meta.namespace, &self.newest.meta.name);
        format!(
            "{namespace}/{name} failed ({}): look at `kubectl -n {namespace} logs job/{name}` and at `kubectl -n {namespace} \
             describe job/{name}`; Nimbus never evicts a Job's pods, since an eviction counts against it",
            self.newest.failure
        )
    }
}
