//! Scenes of an accepted baseline that an operator withdraws.

use nimbus_protocol::v1::{job_report::Phase, observation::Body};

use super::*;
use crate::model::*;
use crate::remediation::{self, DecideError};
use crate::testing::{ActionBody, action_of};

const PATH: &str = "/srv/etc/app.conf";

/// A file whose changed state was accepted, and the job that the agent carried out.
fn accepted() -> (Lab, Job) {
    let mut lab = drifted_file();
    lab.settle();
    let id = lab.open(IncidentKind::FileDrift).id;
    let mut ids = lab.ids.clone();
    let changes = remediation::accept_baseline(&lab.snapshot(), id, "operator", lab.now, &mut ids).unwrap();
    lab.ids = ids;
    assert!(lab.commit(changes));
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    let now = file_state("file", 0o666, 2);
    lab.see_host(Body::File(file(PATH, now.clone(), now)));
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    assert_eq!(lab.last(IncidentKind::FileDrift).state, IncidentState::Resolved);
    let job = lab.jobs.values().find(|job| job.doc.action == ActionKind::AcceptBaseline).unwrap().doc.clone();
    (lab, job)
}

fn withdraw(lab: &mut Lab, job: &Job) -> Result<bool, DecideError> {
    let plan = lab.plans[&job.plan_id.to_string()].doc.clone();
    let mut ids = lab.ids.clone();
    let changes =
        remediation::withdraw_baseline(&lab.snapshot(), (&plan, job), "operator", lab.now, &mut ids)?;
    lab.ids = ids;
    Ok(lab.commit(changes))
}

#[test]
fn what_was_the_baseline_before_counts_again_and_the_file_differs_from_it() {
    let (mut lab, job) = accepted();
    assert_eq!(withdraw(&mut lab, &job), Ok(true));
    assert_eq!(withdraw(&mut lab, &job), Ok(false), "the same again changes nothing");
    assert!(lab.open(IncidentKind::FileDrift).title.contains("takes back"));
    let jobs = lab.settle();
    let Some(ActionBody::WithdrawBaseline(action)) = action_of(&jobs[0]) else { panic!() };
    assert_eq!(action.expect_baseline.as_ref().unwrap().mode, 0o666, "the accepted state");
    assert_eq!((jobs[0].requested_by.as_str(), jobs[0].approvals.len()), ("operator", 0));
    assert!(withdraw(&mut lab, &job).unwrap_err().to_string().contains("being worked on"));
    lab.apply(&jobs[0]);
    lab.see_host(Body::File(file(PATH, file_state("file", 0o640, 1), file_state("file", 0o666, 2))));
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    lab.pass(60);
    lab.settle();
    let incident = lab.open(IncidentKind::FileDrift);
    assert_eq!(
        incident.state,
        IncidentState::WaitingApproval,
        "putting it back is asked: {}",
        incident.reason
    );
}

#[test]
fn an_order_is_not_lost_because_the_file_is_as_it_was_accepted() {
    let (mut lab, job) = accepted();
    lab.connected.clear();
    assert!(withdraw(&mut lab, &job).is_err(), "the agent is away, and what is there is not known");
    let (mut lab, job) = accepted();
    withdraw(&mut lab, &job).unwrap();
    lab.connected.clear();
    for _ in 0..5 {
        lab.pass(1);
        assert!(lab.settle().is_empty());
    }
    assert!(lab.open(IncidentKind::FileDrift).plan_id.is_some(), "it waits for its agent");
    // Not for ever: what was ordered yesterday is not done today.
    lab.pass(86_400);
    lab.connected.insert(crate::testing::lab::agent_id());
    assert!(lab.settle().is_empty());
    let incident = lab.last(IncidentKind::FileDrift);
    assert!(incident.plan_id.is_none());
    assert!(incident.history.iter().any(|line| line.text.contains("could not be done")), "{incident:#?}");
}

#[test]
fn an_order_that_its_agent_does_not_allow_is_refused_at_once() {
    let (mut lab, job) = accepted();
    let agent = lab.agents.get_mut(&crate::testing::lab::agent_id().to_string()).unwrap();
    agent.doc.allowed_actions.retain(|word| word != "withdraw_baseline");
    let error = withdraw(&mut lab, &job).unwrap_err();
    assert!(matches!(error, DecideError::NotAllowed(_)), "{error}");
}

#[test]
fn what_the_agent_refuses_is_over_and_says_why() {
    let (mut lab, job) = accepted();
    withdraw(&mut lab, &job).unwrap();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Refused, "precondition_failed", "found none kept");
    lab.pass(60);
    assert!(lab.settle().is_empty(), "it is not tried again by itself");
    let incident = lab.last(IncidentKind::FileDrift);
    assert_eq!(incident.state, IncidentState::Resolved, "the file is what was accepted");
    assert!(incident.history.iter().any(|line| line.text.contains("none kept")), "{:#?}", incident.history);
}

#[test]
fn a_newer_baseline_and_a_drifted_file_keep_their_own_incident() {
    let (mut lab, job) = accepted();
    // It differs from what was accepted: the same incident carries the withdrawal, and nothing else is asked.
    lab.see_host(Body::File(file(PATH, file_state("file", 0o666, 2), file_state("file", 0o600, 9))));
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
    assert_eq!(withdraw(&mut lab, &job), Ok(true));
    assert_eq!(lab.live_approvals(), 0);
    assert!(matches!(action_of(&lab.settle()[0]), Some(ActionBody::WithdrawBaseline(_))));
    // It differs from another baseline than the accepted one: what was ordered no longer fits.
    let (mut lab, job) = accepted();
    lab.see_host(Body::File(file(PATH, file_state("file", 0o600, 7), file_state("file", 0o600, 9))));
    assert!(matches!(withdraw(&mut lab, &job), Err(DecideError::NotInForce { .. })));
    // So does what is found out only after the order.
    let (mut lab, job) = accepted();
    withdraw(&mut lab, &job).unwrap();
    lab.see_host(Body::File(file(PATH, file_state("file", 0o600, 7), file_state("file", 0o600, 9))));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::FileDrift);
    assert!(incident.history.iter().any(|h| h.text.contains("no longer fits")), "{:#?}", incident.history);
}

#[test]
fn only_what_an_agent_accepted_can_be_taken_back() {
    let (mut lab, job) = accepted();
    let failed = Job { state: JobState::Failed, ..job.clone() };
    assert!(matches!(withdraw(&mut lab, &failed), Err(DecideError::NotAccepted { .. })));
    let mut lab = drifted_file();
    lab.settle();
    lab.decide("operator", crate::approval::Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    let mut restore = lab.jobs.values().next().unwrap().doc.clone();
    assert!(matches!(action_of(&jobs[0]), Some(ActionBody::RestoreFile(_))));
    restore.state = JobState::Succeeded;
    let error = withdraw(&mut lab, &restore).unwrap_err();
    assert!(error.to_string().contains("restore_file"), "{error}");
}
