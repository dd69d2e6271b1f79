//! Scenes of the modes of a cluster: what is seen, planned, asked and done in each.

use super::*;
use crate::approval::Decision;
use crate::check;
use crate::model::*;
use crate::remediation;

fn enable_as(lab: &mut Lab, mode: Option<Mode>) {
    let cluster = lab.clusters[CLUSTER].clone();
    let changes = remediation::enable(&cluster, &[], mode, "operator", lab.now).unwrap();
    lab.commit(changes);
}

fn switch(lab: &mut Lab, off: bool) {
    let cluster = lab.clusters[CLUSTER].clone();
    let changes = remediation::disable(&cluster, &[], off, "operator", lab.now).unwrap();
    lab.commit(changes);
}

fn mode(lab: &Lab) -> Mode {
    lab.clusters[CLUSTER].doc.mode
}

#[test]
fn a_cluster_that_is_enabled_for_the_first_time_asks_a_person_for_everything() {
    let mut lab = crash_loop();
    switch(&mut lab, false);
    enable_as(&mut lab, None);
    assert_eq!(mode(&lab), Mode::Recommend);
    assert!(lab.settle().is_empty(), "in this mode not even a pod is replaced unasked");
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::WaitingApproval);
    assert!(lab.plans[&incident.plan_id.unwrap().to_string()].doc.needs_approval);
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].needs_approval, "the agent asks for the approval too");
    assert!(!jobs[0].approvals[0].approval_id.is_empty());
}

#[test]
fn a_denial_in_recommend_is_heard() {
    let mut lab = crash_loop();
    switch(&mut lab, false);
    enable_as(&mut lab, Some(Mode::Recommend));
    lab.settle();
    lab.decide("operator", Decision::Deny, "not now").unwrap();
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::Escalated);
}

#[test]
fn what_waits_for_a_person_goes_by_itself_once_the_cluster_may_act() {
    let mut lab = crash_loop();
    switch(&mut lab, false);
    enable_as(&mut lab, Some(Mode::Recommend));
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
    enable_as(&mut lab, Some(Mode::Act));
    let jobs = lab.settle();
    assert_eq!((jobs.len(), jobs[0].needs_approval, lab.live_approvals()), (1, false, 0));
}

#[test]
fn what_would_go_by_itself_is_asked_once_the_cluster_only_recommends() {
    let mut lab = crash_loop();
    // Planned, and held back for a moment.
    paused::pause(&mut lab, true, "");
    lab.settle();
    enable_as(&mut lab, Some(Mode::Recommend));
    paused::resume(&mut lab, true);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::WaitingApproval);
}

#[test]
fn the_checker_refuses_an_automatic_plan_where_a_person_has_to_be_asked() {
    let mut lab = crash_loop();
    paused::pause(&mut lab, true, "");
    lab.settle();
    paused::resume(&mut lab, true);
    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(lab.look(|s| check::check(&plan, s, lab.now)), []);
    lab.clusters.get_mut(CLUSTER).unwrap().doc.mode = Mode::Recommend;
    let found = lab.look(|s| check::check(&plan, s, lab.now));
    assert!(found.iter().any(|it| it.invariant == 12 && it.text.contains("recommend")), "{found:?}");
}

#[test]
fn enabling_more_keeps_the_mode_and_only_a_word_changes_it() {
    let mut lab = crash_loop();
    assert_eq!(mode(&lab), Mode::Act);
    enable_as(&mut lab, None);
    assert_eq!(mode(&lab), Mode::Act);
    enable_as(&mut lab, Some(Mode::Recommend));
    enable_as(&mut lab, None);
    assert_eq!(mode(&lab), Mode::Recommend);
    for wrong in [Mode::Off, Mode::Observe] {
        let cluster = lab.clusters[CLUSTER].clone();
        let error = remediation::enable(&cluster, &[], Some(wrong), "operator", lab.now).unwrap_err();
        assert!(error.to_string().contains("recommend or act"), "{error}");
    }
}

#[test]
fn a_cluster_that_is_off_has_no_incidents_and_what_was_open_is_not_called_healed() {
    let mut lab = stuck_rollout();
    lab.settle();
    let id = lab.open(IncidentKind::RolloutStuck).id;
    assert_eq!(lab.live_approvals(), 1);
    switch(&mut lab, true);
    assert_eq!(mode(&lab), Mode::Off);
    assert!(lab.settle().is_empty());
    let closed = &lab.incidents[&id.to_string()].doc;
    assert_eq!((closed.state, lab.live_approvals()), (IncidentState::Resolved, 0));
    assert!(closed.reason.contains("not known to be put right"), "{}", closed.reason);
    // Switched on again, what is wrong still is found again.
    enable_as(&mut lab, Some(Mode::Act));
    lab.settle();
    assert_ne!(lab.open(IncidentKind::RolloutStuck).id, id);
}

#[test]
fn a_job_that_is_under_way_when_the_cluster_is_switched_off_is_heard_to_its_end() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    switch(&mut lab, true);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open(), "its job is out");
    lab.report(&jobs[0], nimbus_protocol::v1::job_report::Phase::Succeeded, "", "");
    lab.settle();
    assert!(lab.jobs[&jobs[0].job_id].doc.state.is_final());
    assert!(lab.incidents.values().all(|incident| !incident.doc.is_open()));
}

#[test]
fn so_much_at_once_is_no_storm_in_a_cluster_that_is_off() {
    let mut lab = crash_loop();
    lab.settings.storm.min_pods = 1;
    lab.settings.storm.incidents = 1;
    lab.settle();
    assert!(lab.open(IncidentKind::Storm).is_open());
    switch(&mut lab, true);
    lab.settle();
    assert!(lab.incidents.values().all(|incident| !incident.doc.is_open()));
}
