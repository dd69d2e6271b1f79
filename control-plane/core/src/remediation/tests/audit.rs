//! Rows of the audit log: one for each decision and each effect, none for a look that changes nothing. The lives of
//! incidents that docs/operations.md states are counted here at a thousand of them.

use std::collections::BTreeMap;

use nimbus_protocol::to_micros;
use nimbus_protocol::v1::{self, JobReport, job_report::Phase, observation::Body};

use super::*;
use crate::approval::{Answer, Decision};
use crate::model::*;
use crate::remediation;
use crate::testing::lab::agent_id;

pub(super) const MANY: usize = 1_000;

fn path(n: usize) -> String {
    format!("/srv/etc/{n:04}.conf")
}

/// A thousand changed files of one host.
pub(super) fn many_files() -> Lab {
    let mut lab = Lab::new();
    lab.settings.caps.per_cluster = 50;
    for n in 0..MANY {
        lab.see_host(Body::File(file(&path(n), file_state("file", 0o640, 1), file_state("file", 0o640, 2))));
    }
    lab
}

/// Decides everything but what goes out.
fn look(lab: &mut Lab) {
    lab.expire();
    lab.diagnose();
    lab.plan();
}

/// Until each file has its incident, and each incident its plan and what was asked for it.
pub(super) fn ask_for_all(lab: &mut Lab) {
    while lab.incidents.len() < MANY || lab.approvals.len() < MANY {
        look(lab);
    }
    approve_all(lab);
}

/// One pass of everything that decides; what was dispatched.
pub(super) fn pass(lab: &mut Lab) -> Vec<v1::Job> {
    look(lab);
    let mut ids = lab.ids.clone();
    let orders = lab.look(|s| remediation::dispatch(s, 7, lab.now, &mut ids));
    lab.ids = ids;
    let mut jobs = Vec::new();
    for order in orders {
        let id = order.changes.jobs[0].doc.id.to_string();
        lab.commit(order.changes);
        let sent = remediation::sent(&lab.jobs[&id], lab.now);
        lab.commit(sent);
        jobs.push(order.job);
    }
    jobs
}

/// The agent reports this phase of every job.
pub(super) fn report_all(lab: &mut Lab, jobs: &[v1::Job], phase: Phase, code: &str) {
    let of = |job: &v1::Job| JobReport {
        job_id: job.job_id.clone(),
        phase: phase.into(),
        at_us: to_micros(lab.now),
        code: code.into(),
        ..Default::default()
    };
    let reports: Vec<JobReport> = jobs.iter().map(of).collect();
    let changes = lab.look(|s| {
        reports.iter().map(|report| remediation::report(s, agent_id(), report, lab.now)).collect::<Vec<_>>()
    });
    for change in changes {
        lab.commit(change);
    }
}

fn approve_all(lab: &mut Lab) {
    let mut changes = Vec::new();
    for approval in lab.approvals.values().filter(|approval| approval.doc.state == ApprovalState::Pending) {
        let incident = &lab.incidents[&approval.doc.incident_id.to_string()];
        let plan = &lab.plans[&approval.doc.plan_id.to_string()].doc;
        let answer = Answer { digest: Some(&plan.digest), ..Answer::of("operator", Decision::Approve) };
        changes.push(remediation::decide(approval, incident, plan, &answer, None, lab.now).unwrap());
    }
    for change in changes {
        lab.commit(change);
    }
}

pub(super) fn rows(lab: &Lab) -> BTreeMap<&str, usize> {
    let mut rows = BTreeMap::new();
    for row in &lab.audit {
        *rows.entry(row.draft.action.as_str()).or_default() += 1;
    }
    rows
}

#[test]
fn a_thousand_files_put_back_have_ten_rows_each() {
    let mut lab = many_files();
    ask_for_all(&mut lab);
    let mut waves = 0;
    loop {
        let jobs = pass(&mut lab);
        if jobs.is_empty() {
            break;
        }
        waves += 1;
        for phase in [Phase::Accepted, Phase::Applied] {
            report_all(&mut lab, &jobs, phase, "");
        }
        // In the middle of a wave everything is looked at again, as on every observation of the agent.
        look(&mut lab);
        for job in &jobs {
            let id = job.job_id.clone();
            let good = file_state("file", 0o640, 1);
            let path = lab.jobs[&id].doc.object.name().to_owned();
            lab.see_host(Body::File(file(&path, good.clone(), good)));
        }
        report_all(&mut lab, &jobs, Phase::Succeeded, "");
        lab.pass(1);
    }
    assert!(waves >= MANY / lab.settings.caps.per_cluster as usize, "{waves}");
    assert!(lab.incidents.values().all(|incident| incident.doc.state == IncidentState::Resolved));
    let each = [
        "incident.opened",
        "plan.made",
        "approval.requested",
        "approval.approved",
        "job.signed",
        "job.sent",
        "job.accepted",
        "job.applied",
        "job.succeeded",
        "incident.resolved",
    ];
    let expected: BTreeMap<&str, usize> = each.iter().map(|action| (*action, MANY)).collect();
    assert_eq!(rows(&lab), expected);
}

#[test]
fn a_thousand_incidents_that_may_not_be_acted_on_have_three_rows_each_however_often_they_are_looked_at() {
    let mut lab = many_files();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.allowed_actions.clear();
    for _ in 0..20 {
        assert!(pass(&mut lab).is_empty());
        lab.pass(60);
    }
    let expected = ["incident.held", "incident.opened", "plan.made"].map(|action| (action, MANY));
    assert_eq!(rows(&lab), BTreeMap::from(expected));
}

#[test]
fn a_thousand_incidents_for_a_person_have_two_rows_each() {
    let mut lab = Lab::new();
    for n in 0..MANY {
        let (good, bad) = (file_state("file", 0o640, 1), file_state("unreadable", 0, 0));
        lab.see_host(Body::File(file(&path(n), good, bad)));
    }
    for _ in 0..20 {
        assert!(pass(&mut lab).is_empty());
        lab.pass(60);
    }
    let expected = ["incident.escalated", "incident.opened"].map(|action| (action, MANY));
    assert_eq!(rows(&lab), BTreeMap::from(expected));
}

#[test]
fn what_waits_for_its_turn_is_not_written_again_each_time_another_one_ends() {
    let mut lab = many_files();
    ask_for_all(&mut lab);
    let mut jobs = pass(&mut lab);
    look(&mut lab);
    let in_turn = lab.settings.caps.per_cluster as usize;
    assert_eq!(jobs.len(), in_turn);
    let waiting: BTreeMap<String, i64> = lab
        .incidents
        .iter()
        .filter(|(_, incident)| incident.doc.state == IncidentState::Open)
        .map(|(id, incident)| (id.clone(), incident.version))
        .collect();
    assert_eq!(waiting.len(), MANY - in_turn);
    for _ in 0..5 {
        // One ends, and in the same moment there is room for one more.
        let job = jobs.remove(0);
        let path = lab.jobs[&job.job_id].doc.object.name().to_owned();
        let good = file_state("file", 0o640, 1);
        lab.see_host(Body::File(file(&path, good.clone(), good)));
        report_all(&mut lab, &[job], Phase::Succeeded, "");
        let next = pass(&mut lab);
        assert_eq!(next.len(), 1);
        jobs.extend(next);
        look(&mut lab);
    }
    let written = waiting.iter().filter(|(id, version)| lab.incidents[*id].version != **version).count();
    assert_eq!(written, 5, "only those whose turn it was");
}

#[test]
fn a_thousand_files_within_an_agents_hourly_budget_use_up_no_approval_in_vain() {
    let mut lab = many_files();
    (lab.settings.caps.per_cluster, lab.settings.caps.fleet) = (100, 100);
    let budget = 400;
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = Some(budget);
    ask_for_all(&mut lab);
    let (start, mut taken) = (lab.now, Vec::new());
    while taken.len() < MANY {
        let jobs = pass(&mut lab);
        for job in &jobs {
            let good = file_state("file", 0o640, 1);
            let path = lab.jobs[&job.job_id].doc.object.name().to_owned();
            lab.see_host(Body::File(file(&path, good.clone(), good)));
            taken.push(lab.now);
        }
        let hour_ago = lab.now - jiff::SignedDuration::from_hours(1);
        let in_last_hour = taken.iter().filter(|at| **at > hour_ago).count();
        assert!(in_last_hour <= budget as usize, "the agent would refuse: {in_last_hour}");
        report_all(&mut lab, &jobs, Phase::Applied, "");
        report_all(&mut lab, &jobs, Phase::Succeeded, "");
        lab.pass(if jobs.is_empty() { 300 } else { 5 });
        let took = lab.now.duration_since(start);
        assert!(took < jiff::SignedDuration::from_hours(3), "{} after {took:#}", taken.len());
    }
    let rows = rows(&lab);
    assert_eq!((rows["approval.approved"], rows["job.signed"], rows["job.succeeded"]), (MANY, MANY, MANY));
    assert_eq!((rows.get("incident.held"), rows.get("approval.expired")), (None, None), "{rows:?}");
}

#[test]
fn a_job_that_the_agents_hour_has_no_room_for_keeps_its_approval() {
    let mut lab = drifted_file();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = Some(60);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Refused, "hourly_budget", "60 jobs an hour, found 60");
    assert_eq!(lab.live_approvals(), 1, "nothing was done, and nothing is wrong with the plan");
    let reason = lab.open(IncidentKind::FileDrift).reason.clone();
    assert!(reason.ends_with("nothing was changed; no attempt is counted; it goes out again by itself"));
    // None of the jobs of that hour is known here, so that it is an hour.
    let (written, until) = (lab.audit.len(), lab.now + jiff::SignedDuration::from_hours(1));
    for seconds in [2, 3_597] {
        lab.pass(seconds);
        assert_eq!(lab.settle(), [], "{seconds}");
        let incident = lab.open(IncidentKind::FileDrift);
        let when = format!("nothing is sent to it before {until:.0}, then it goes on by itself");
        assert!(incident.reason.ends_with(&when), "{}", incident.reason);
        assert!(incident.reason.contains("edge takes at most 60 jobs an hour"), "{}", incident.reason);
        assert_eq!((incident.state, incident.attempts), (IncidentState::Open, 0));
    }
    assert_eq!(lab.audit.len(), written, "waiting has no row");
    lab.pass(1);
    assert_eq!((lab.settle().len(), lab.now), (1, until), "it goes out again by itself");
    let actions = ["plan.made", "approval.approved", "job.signed", "job.sent", "job.refused"];
    assert_eq!(actions.map(|action| lab.audited(action)), [1, 1, 2, 2, 1]);
    assert_eq!((lab.audited("approval.returned"), lab.audited("incident.held")), (1, 0));
}
