//! Scenes of a cordon of Nimbus that outlived its job: it is removed after approval, and only then.

use nimbus_protocol::v1::job_report::Phase;

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::testing::{ActionBody, action_of};

fn cordoned(lab: &mut Lab, by: &str) {
    lab.see(Body::Node(v1::Node { unschedulable: true, cordoned_by: by.into(), ..node("node-a") }));
}

#[test]
fn a_cordon_of_a_job_that_is_out_is_in_use() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    lab.apply(&job);
    cordoned(&mut lab, &job.job_id);
    lab.pass(3_600);
    lab.diagnose();
    assert!(lab.incidents.values().all(|i| i.doc.kind != IncidentKind::StaleCordon));
}

#[test]
fn a_cordon_that_outlived_its_job_is_opened_after_approval() {
    let mut lab = crash_loop();
    let job = lab.settle().remove(0);
    lab.apply(&job);
    cordoned(&mut lab, &job.job_id);
    lab.report(&job, Phase::Failed, "", "the replacement was not ready");
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.see(Body::Pod(fresh(&lab, "web-1", "r", "node-b")));
    lab.pass(599);
    lab.settle();
    assert!(
        lab.incidents.values().all(|i| i.doc.kind != IncidentKind::StaleCordon),
        "the agent gets its time"
    );
    lab.pass(1);
    assert!(lab.settle().is_empty(), "a person decides");
    assert_eq!(lab.open(IncidentKind::StaleCordon).state, IncidentState::WaitingApproval);
    lab.decide("operator", Decision::Approve, "").unwrap();
    let opened = lab.settle().remove(0);
    let Some(ActionBody::UncordonNode(action)) = action_of(&opened) else { panic!("{opened:?}") };
    assert_eq!((action.node.unwrap().name, action.cordoned_by), ("node-a".into(), job.job_id));
    lab.apply(&opened);
    lab.see(Body::Node(node("node-a")));
    lab.report(&opened, Phase::Succeeded, "", "");
    assert_eq!(lab.last(IncidentKind::StaleCordon).state, IncidentState::Resolved);
}

#[test]
fn a_cordon_of_somebody_else_is_none_of_our_business() {
    let mut lab = Lab::new();
    lab.see(Body::Node(v1::Node { unschedulable: true, ..node("node-a") }));
    lab.settle();
    assert!(lab.incidents.is_empty());
}

#[test]
fn a_cordon_of_a_job_that_nobody_knows_is_asked_about_and_ends_when_somebody_opens_the_node() {
    let mut lab = Lab::new();
    cordoned(&mut lab, "job_00000000000000000000000000000099");
    lab.settle();
    assert_eq!(lab.open(IncidentKind::StaleCordon).state, IncidentState::WaitingApproval);
    lab.see(Body::Node(node("node-a")));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::StaleCordon).state, IncidentState::Resolved);
    assert_eq!(lab.live_approvals(), 0);
}
