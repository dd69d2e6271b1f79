//! An agent whose hour is full, and a thousand files that wait for it: what goes out, and what that writes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::audit::{MANY, ask_for_all, many_files, pass, report_all, rows};
use super::*;
use crate::model::*;
use crate::remediation;
use crate::testing::lab::agent_id;

const BUDGET: usize = 60;
/// Jobs at the same time, as the settings have it.
const AT_ONCE: usize = 10;

/// The hour as the agent counts it: by the jobs that it admitted, whatever became of them.
struct Edge(Vec<Timestamp>);

impl Edge {
    fn left(&self, now: Timestamp) -> usize {
        let from = now - SignedDuration::from_hours(1);
        BUDGET.saturating_sub(self.0.iter().filter(|at| **at > from).count())
    }

    /// Those that it takes of these jobs, and those that it refuses.
    fn admit<'j>(&mut self, jobs: &'j [v1::Job], now: Timestamp) -> (&'j [v1::Job], &'j [v1::Job]) {
        let (taken, refused) = jobs.split_at(jobs.len().min(self.left(now)));
        self.0.extend(taken.iter().map(|_| now));
        (taken, refused)
    }
}

/// A thousand changed files, each of which may be put back.
fn waiting() -> Lab {
    let mut lab = many_files();
    lab.settings.caps.per_cluster = 10;
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = Some(60);
    ask_for_all(&mut lab);
    lab
}

fn put_back(lab: &mut Lab, jobs: &[v1::Job]) {
    for job in jobs {
        let path = lab.jobs[&job.job_id].doc.object.name().to_owned();
        let good = file_state("file", 0o640, 1);
        lab.see_host(Body::File(file(&path, good.clone(), good)));
    }
    report_all(lab, jobs, Phase::Applied, "");
    report_all(lab, jobs, Phase::Succeeded, "");
}

/// What `drift fix` says of this hour.
fn left(lab: &Lab) -> Option<u32> {
    lab.look(|s| remediation::paces(s, lab.now))[&agent_id()].left
}

/// The rows of so many files that wait, and of the jobs that were sent, taken and put back.
fn expected(sent: usize, taken: usize, done: usize) -> BTreeMap<&'static str, usize> {
    let asked = ["incident.opened", "plan.made", "approval.requested", "approval.approved"];
    let mut rows: BTreeMap<_, _> = asked.into_iter().map(|action| (action, MANY)).collect();
    rows.extend(["job.signed", "job.sent"].map(|action| (action, sent)));
    rows.extend(["job.accepted"].map(|action| (action, taken)));
    rows.extend(["job.applied", "job.succeeded", "incident.resolved"].map(|action| (action, done)));
    rows
}

#[test]
fn what_is_refused_as_it_acts_counts_here_as_it_counts_there() {
    let (mut lab, mut edge) = (waiting(), Edge(Vec::new()));
    let (end, mut spoilt) = (lab.now + SignedDuration::from_hours(2), 2_usize);
    while lab.now < end {
        let jobs = pass(&mut lab);
        let (taken, refused) = edge.admit(&jobs, lab.now);
        assert_eq!(refused.len(), 0, "one too many was sent at {}", lab.now);
        report_all(&mut lab, taken, Phase::Accepted, "");
        let (gone, good) = taken.split_at(spoilt.min(taken.len()));
        spoilt -= gone.len();
        report_all(&mut lab, gone, Phase::Refused, "precondition_failed");
        put_back(&mut lab, good);
        assert_eq!(left(&lab).map(|left| left as usize), Some(edge.left(lab.now)), "at {}", lab.now);
        lab.pass(if jobs.is_empty() { 300 } else { 5 });
    }
    let sent = 2 * BUDGET;
    let mut expected = expected(sent, sent, sent - 2);
    // Of the two, a person is asked again.
    expected.insert("job.refused", 2);
    for action in ["plan.made", "approval.requested"] {
        expected.insert(action, MANY + 2);
    }
    assert_eq!(rows(&lab), expected);
}

#[test]
fn an_hour_that_is_fuller_than_is_known_is_closed_by_its_first_refusals() {
    let mut lab = waiting();
    // The control plane has lost its history: of these it knows nothing.
    let mut edge = Edge(vec![lab.now - SignedDuration::from_mins(25); BUDGET - 4]);
    let start = lab.now;
    let open = start + SignedDuration::from_hours(1);
    let (mut sent, mut too_many, mut written) = (0_usize, 0_usize, None);
    while lab.now < start + SignedDuration::from_hours(2) {
        let jobs = pass(&mut lab);
        let (taken, refused) = edge.admit(&jobs, lab.now);
        sent += jobs.len();
        too_many += refused.len();
        report_all(&mut lab, taken, Phase::Accepted, "");
        put_back(&mut lab, taken);
        report_all(&mut lab, refused, Phase::Refused, "hourly_budget");
        if start < lab.now && lab.now < open {
            assert_eq!((jobs.len(), left(&lab)), (0, Some(0)), "at {}", lab.now);
            let when = format!("nothing is sent to it before {open:.0}, then it goes on by itself");
            let open: Vec<&Incident> =
                lab.incidents.values().map(|incident| &incident.doc).filter(|i| i.is_open()).collect();
            assert_eq!(open.len(), MANY - 4);
            assert!(open.iter().all(|i| i.reason.ends_with(&when) && i.attempts == 0), "{}", open[0].reason);
            // Once it is said, nothing is written any more while they wait.
            let versions: i64 = lab.incidents.values().map(|incident| incident.version).sum();
            let now = (lab.audit.len(), versions);
            assert_eq!(*written.get_or_insert(now), now, "at {}", lab.now);
        }
        lab.pass(if jobs.is_empty() { 300 } else { 5 });
    }
    assert_eq!((sent, too_many), (AT_ONCE + BUDGET, AT_ONCE - 4));
    let taken = sent - too_many;
    let mut expected = expected(sent, taken, taken);
    expected.extend(["job.refused", "approval.returned"].map(|action| (action, too_many)));
    assert_eq!(rows(&lab), expected);
}

#[test]
fn a_full_hour_writes_four_rows_for_each_job_that_was_out_whatever_waits() {
    let mut lab = waiting();
    let before = lab.audit.len();
    for hour in 1..=3_usize {
        let end = lab.now + SignedDuration::from_hours(1);
        while lab.now < end {
            // It takes none at all, whatever the control plane knows of its hour.
            let jobs = pass(&mut lab);
            report_all(&mut lab, &jobs, Phase::Refused, "hourly_budget");
            lab.pass(300);
        }
        assert_eq!(lab.audit.len() - before, hour * 4 * AT_ONCE);
    }
    let mut expected = expected(3 * AT_ONCE, 0, 0);
    expected.retain(|_, count| *count > 0);
    expected.extend(["job.refused", "approval.returned"].map(|action| (action, 3 * AT_ONCE)));
    assert_eq!(rows(&lab), expected);
    assert_eq!(lab.incidents.values().map(|incident| incident.doc.attempts).max(), Some(0));
}

#[test]
fn an_eviction_that_is_asked_for_again_stays_the_same_plan_when_the_hour_is_full() {
    let mut lab = crash_loop();
    let first = lab.settle().remove(0);
    for _ in 0..2 {
        let job = if lab.jobs[&first.job_id].doc.state == JobState::Refused {
            lab.now = lab.open(IncidentKind::PodCrashLoop).next_attempt_at.unwrap();
            lab.settle().remove(0)
        } else {
            first.clone()
        };
        lab.report(&job, Phase::Accepted, "", "");
        lab.report(&job, Phase::Refused, "eviction_refused", "budget web-guard does not allow it");
    }
    lab.now = lab.open(IncidentKind::PodCrashLoop).next_attempt_at.unwrap();
    let third = lab.settle().remove(0);
    lab.report(&third, Phase::Refused, "hourly_budget", "60 jobs an hour, found 60");
    let story = lab.open(IncidentKind::PodCrashLoop).history.len();
    // The first one was taken at the start, and is the oldest of the hour.
    let open = lab.jobs[&first.job_id].doc.finished_at.unwrap() + SignedDuration::from_hours(1);
    lab.pass(60);
    assert_eq!(lab.settle(), []);
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert!(incident.reason.contains(&format!("nothing is sent to it before {open:.0}")));
    assert_eq!((incident.history.len(), incident.attempts), (story, 0), "it is not said twice");
    lab.now = open;
    let fourth = lab.settle().remove(0);
    assert_eq!(lab.jobs[&fourth.job_id].doc.again, 2, "refused for its budget twice, and not a third time");
    assert_eq!(["plan.made", "job.sent", "job.signed"].map(|action| lab.audited(action)), [1, 1, 4]);
}
