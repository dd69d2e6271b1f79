//! Scenes of a person who pauses Nimbus in a cluster or the fleet, and of one who pauses an agent on its own side.

use nimbus_protocol::v1::{JobReport, job_report::Phase};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::remediation::{self, DecideError, PauseOrder};
use crate::testing::lab::agent_id;

/// Pauses the cluster of the tests, or the fleet.
pub(super) fn pause(lab: &mut Lab, whole_fleet: bool, reason: &str) -> bool {
    let cluster = lab.clusters[CLUSTER].doc.clone();
    let order =
        PauseOrder { cluster: (!whole_fleet).then_some(&cluster), by: "operator", reason, until: None };
    let pauses: Vec<_> = lab.pauses.values().cloned().collect();
    let changes = remediation::pause(&pauses, order, lab.now);
    lab.commit(changes)
}

pub(super) fn resume(lab: &mut Lab, whole_fleet: bool) -> bool {
    let cluster = lab.clusters[CLUSTER].doc.clone();
    let order =
        PauseOrder { cluster: (!whole_fleet).then_some(&cluster), by: "operator", reason: "", until: None };
    let pauses: Vec<_> = lab.pauses.values().cloned().collect();
    let changes = remediation::resume(&pauses, order, lab.now);
    lab.commit(changes)
}

#[test]
fn nothing_is_begun_in_a_paused_cluster_and_what_is_wrong_is_seen_all_the_same() {
    for whole_fleet in [false, true] {
        let mut lab = crash_loop();
        pause(&mut lab, whole_fleet, "disks are moved");
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::PodCrashLoop);
        assert_eq!(incident.state, IncidentState::Open);
        assert!(incident.plan_id.is_some(), "it is diagnosed and planned");
        let expected = if whole_fleet { "--fleet" } else { "--cluster prod" };
        for text in ["operator paused", "(disks are moved)", "nimbus autonomous resume", expected] {
            assert!(incident.reason.contains(text), "{text}: {}", incident.reason);
        }
        resume(&mut lab, whole_fleet);
        assert_eq!(lab.settle().len(), 1, "nothing else held it back");
        assert_eq!((lab.audited("autonomous.paused"), lab.audited("autonomous.resumed")), (1, 1));
    }
}

#[test]
fn a_pause_of_another_cluster_holds_nothing_here() {
    let mut lab = crash_loop();
    let other =
        Cluster { uid: "another".into(), name: "staging".into(), ..lab.clusters[CLUSTER].doc.clone() };
    let order = PauseOrder { cluster: Some(&other), by: "operator", reason: "", until: None };
    let changes = remediation::pause(&[], order, lab.now);
    lab.commit(changes);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn people_are_asked_meanwhile_and_what_they_approved_goes_out_afterwards() {
    let mut lab = stuck_rollout();
    pause(&mut lab, false, "");
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert!(lab.settle().is_empty(), "an approval is no way round a pause");
    assert!(lab.open(IncidentKind::RolloutStuck).reason.contains("approved by operator; paused:"));
    resume(&mut lab, false);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn an_order_of_a_person_is_refused_with_who_paused_it() {
    let mut lab = drifted_file();
    pause(&mut lab, true, "");
    lab.settle();
    let id = lab.open(IncidentKind::FileDrift).id;
    let mut ids = lab.ids.clone();
    let error = remediation::accept_baseline(&lab.snapshot(), id, "operator", lab.now, &mut ids).unwrap_err();
    assert!(
        matches!(&error, DecideError::NotAllowed(why) if why.contains("operator paused the fleet")),
        "{error}"
    );
}

#[test]
fn a_host_is_paused_with_the_cluster_that_it_is_a_node_of() {
    for (bound, expected) in [(Some(CLUSTER), 0), (None, 1)] {
        let mut lab = drifted_file();
        let agent = lab.agents.get_mut(&agent_id().to_string()).unwrap();
        agent.doc.bound_cluster = bound.map(Into::into);
        agent.doc.cluster_uid = None;
        lab.settle();
        lab.decide("operator", Decision::Approve, "").unwrap();
        pause(&mut lab, false, "");
        assert_eq!(lab.settle().len(), expected, "{bound:?}");
    }
}

#[test]
fn what_was_begun_is_finished() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    pause(&mut lab, true, "");
    let report =
        JobReport { job_id: jobs[0].job_id.clone(), phase: Phase::Succeeded.into(), ..JobReport::default() };
    let agent = jobs[0].agent_id.parse().unwrap();
    let changes = lab.look(|s| remediation::report(s, agent, &report, lab.now));
    assert!(lab.commit(changes));
    assert!(lab.jobs[&jobs[0].job_id].doc.state.is_final());
}

#[test]
fn an_agent_that_was_paused_on_its_own_side_gets_nothing() {
    let mut lab = crash_loop();
    let paused = Some("paused on this side by root since 02:14: disks are moved".to_owned());
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.paused = paused;
    assert!(lab.settle().is_empty());
    let reason = lab.open(IncidentKind::PodCrashLoop).reason.clone();
    assert!(reason.contains("agent edge says: paused on this side by root"), "{reason}");
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.paused = None;
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn a_second_pause_keeps_the_first_and_each_is_ended_by_itself() {
    let mut lab = crash_loop();
    assert!(!resume(&mut lab, true), "nothing is paused");
    assert!(pause(&mut lab, true, "first"));
    lab.pass(60);
    assert!(!pause(&mut lab, true, "second"));
    let kept = lab.pauses.values().next().unwrap().doc.clone();
    assert_eq!((kept.reason.as_str(), kept.since), ("first", crate::testing::at(0)));
    assert!(pause(&mut lab, false, ""));
    assert!(resume(&mut lab, true));
    assert!(lab.settle().is_empty(), "the cluster's own pause is another one");
    assert!(resume(&mut lab, false));
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn a_reason_has_a_bound() {
    let mut lab = crash_loop();
    pause(&mut lab, true, &"ä".repeat(remediation::MAX_PAUSE_REASON));
    assert_eq!(lab.pauses["fleet"].doc.reason.len(), remediation::MAX_PAUSE_REASON);
}

#[test]
fn a_job_that_came_to_a_paused_agent_uses_up_no_approval() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Refused, "paused", "this agent is paused by root since 02:14");
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.paused = Some("paused by root".to_owned());
    lab.pass(3_600);
    lab.settle();
    assert_eq!(lab.live_approvals(), 1, "the very same approval");
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.paused = None;
    let again = lab.settle();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].approvals, jobs[0].approvals);
}

/// A maintenance of the cluster of the tests, for so many seconds from now.
fn maintain(lab: &mut Lab, by: &str, seconds: Option<i64>) -> bool {
    let cluster = lab.clusters[CLUSTER].doc.clone();
    let until = seconds.map(|seconds| lab.now + jiff::SignedDuration::from_secs(seconds));
    let order = PauseOrder { cluster: Some(&cluster), by, reason: "disks are moved", until };
    let pauses: Vec<_> = lab.pauses.values().cloned().collect();
    let changes = remediation::pause(&pauses, order, lab.now);
    lab.commit(changes)
}

#[test]
fn a_maintenance_ends_by_itself_and_that_is_on_record() {
    let mut lab = crash_loop();
    maintain(&mut lab, "ann", Some(600));
    assert!(lab.settle().is_empty());
    let reason = lab.open(IncidentKind::PodCrashLoop).reason.clone();
    assert!(
        reason.contains("ann paused cluster prod") && reason.contains(" or `nimbus autonomous resume"),
        "{reason}"
    );
    lab.pass(599);
    assert!(lab.settle().is_empty());
    lab.pass(1);
    assert_eq!(lab.settle().len(), 1);
    assert_eq!((lab.audited("autonomous.resumed"), lab.pauses.len()), (1, 0));
    let row = lab.audit.iter().find(|row| row.draft.action == "autonomous.resumed").unwrap();
    assert_eq!(row.draft.actor, "nimbus", "nobody let it go on");
    assert!(row.draft.detail.contains("which ann had paused until 20"), "{}", row.draft.detail);
}

#[test]
fn who_pulls_the_kill_switch_in_a_maintenance_is_not_let_down_by_its_end() {
    for longer in [None, Some(1_200)] {
        let mut lab = crash_loop();
        maintain(&mut lab, "ann", Some(600));
        assert!(maintain(&mut lab, "bob", longer));
        assert_eq!(lab.audited("autonomous.paused"), 2);
        lab.pass(600);
        assert!(lab.settle().is_empty(), "{longer:?}");
        assert!(lab.open(IncidentKind::PodCrashLoop).reason.contains("bob paused"));
        lab.pass(600);
        assert_eq!(lab.settle().len(), usize::from(longer.is_some()));
    }
}

#[test]
fn who_lets_the_longer_one_go_on_does_not_end_the_maintenance_beneath() {
    let mut lab = crash_loop();
    maintain(&mut lab, "ann", Some(600));
    maintain(&mut lab, "bob", None);
    resume(&mut lab, false);
    assert!(lab.settle().is_empty());
    let reason = lab.open(IncidentKind::PodCrashLoop).reason.clone();
    assert!(reason.contains("ann paused"), "{reason}");
    lab.pass(600);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn of_three_people_each_ones_time_is_kept() {
    let (ann, bob, cas) = (("ann", Some(600)), ("bob", Some(900)), ("cas", None));
    for orders in [[ann, bob, cas], [cas, ann, bob]] {
        let mut lab = crash_loop();
        for (by, seconds) in orders {
            assert!(maintain(&mut lab, by, seconds), "{by}");
        }
        for holds in ["cas", "bob", "ann"] {
            assert!(lab.settle().is_empty());
            let reason = lab.open(IncidentKind::PodCrashLoop).reason.clone();
            assert!(reason.contains(&format!("{holds} paused")), "{holds}: {reason}");
            resume(&mut lab, false);
        }
        assert_eq!(lab.settle().len(), 1);
    }
}

#[test]
fn who_makes_ones_own_pause_longer_resumes_once() {
    let mut lab = crash_loop();
    maintain(&mut lab, "ann", Some(600));
    maintain(&mut lab, "ann", Some(1_200));
    resume(&mut lab, false);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn who_paused_beneath_and_then_for_longer_resumes_once_too() {
    let mut lab = crash_loop();
    maintain(&mut lab, "cas", Some(900));
    maintain(&mut lab, "ann", Some(600));
    maintain(&mut lab, "ann", None);
    resume(&mut lab, false);
    assert!(lab.settle().is_empty());
    let reason = lab.open(IncidentKind::PodCrashLoop).reason.clone();
    assert!(reason.contains("cas paused"), "{reason}");
    resume(&mut lab, false);
    assert_eq!(lab.settle().len(), 1, "both have let it go on");
}

#[test]
fn the_same_order_sent_again_changes_nothing_and_none_is_shortened() {
    let mut lab = crash_loop();
    assert!(maintain(&mut lab, "ann", Some(60)));
    lab.pass(5);
    assert!(!maintain(&mut lab, "ann", Some(60)));
    lab.pass(50);
    assert!(maintain(&mut lab, "ann", Some(60)), "a minute from now");
    lab.pass(59);
    assert!(lab.settle().is_empty());
    assert!(maintain(&mut lab, "ann", Some(1_200)), "that lasts longer");
}

/// Two hours are two hours, whatever the clock is set to meanwhile.
#[test]
fn a_clock_that_jumps_ends_no_maintenance() {
    let mut lab = crash_loop();
    maintain(&mut lab, "ann", Some(600));
    lab.settle();
    let by = jiff::SignedDuration::from_hours(3);
    lab.now += by;
    let changes = lab.look(|s| remediation::jumped(s, by, lab.now));
    lab.commit(changes);
    lab.pass(599);
    assert!(lab.settle().is_empty());
    lab.pass(1);
    lab.settle();
    assert!(lab.pauses.is_empty());
}

#[test]
fn a_maintenance_does_not_shorten_a_pause() {
    for lasting in [None, Some(600)] {
        let mut lab = crash_loop();
        maintain(&mut lab, "ann", lasting);
        maintain(&mut lab, "bob", Some(60));
        lab.pass(60);
        assert!(lab.settle().is_empty());
        assert!(lab.open(IncidentKind::PodCrashLoop).reason.contains("ann paused"));
    }
}

fn order_by(lab: &mut Lab, by: &str, seconds: Option<i64>) -> bool {
    let until = seconds.map(|seconds| lab.now + jiff::SignedDuration::from_secs(seconds));
    let pauses: Vec<_> = lab.pauses.values().cloned().collect();
    let changes = remediation::pause(&pauses, PauseOrder { cluster: None, by, reason: "", until }, lab.now);
    lab.commit(changes)
}

fn resume_by(lab: &mut Lab, by: &str) -> bool {
    let pauses: Vec<_> = lab.pauses.values().cloned().collect();
    let order = PauseOrder { cluster: None, by, reason: "", until: None };
    let changes = remediation::resume(&pauses, order, lab.now);
    lab.commit(changes)
}

/// Who has paused the fleet: whose pause shows, and whose are beneath.
fn pausing(lab: &Lab) -> Vec<String> {
    let all = lab.pauses.values().flat_map(|pause| [&pause.doc].into_iter().chain(&pause.doc.beneath));
    all.map(|pause| pause.by.clone()).collect()
}

/// Ann's maintenance is over in the middle of Bob's kill switch: hers ends, and his is his.
#[test]
fn whoever_ends_an_own_maintenance_leaves_another_persons_kill_switch() {
    let mut lab = crash_loop();
    assert!(order_by(&mut lab, "ann", Some(3_600)) && order_by(&mut lab, "bob", None));
    assert!(resume_by(&mut lab, "ann"));
    assert_eq!(pausing(&lab), ["bob"]);
    assert!(lab.settle().is_empty());
    assert!(resume_by(&mut lab, "ann"), "a second order is about what is left");
    assert!(pausing(&lab).is_empty());
}

#[test]
fn two_people_who_pause_without_an_end_have_both_to_let_it_go_on() {
    let mut lab = crash_loop();
    assert!(order_by(&mut lab, "cas", Some(60)) && order_by(&mut lab, "ann", None));
    assert!(order_by(&mut lab, "cas", None), "it lasts longer than cas's own of before");
    assert!(!order_by(&mut lab, "cas", None));
    lab.pass(120);
    lab.expire();
    assert!(resume_by(&mut lab, "ann"));
    assert_eq!(pausing(&lab), ["cas"]);
    assert!(lab.settle().is_empty());
}

#[test]
fn a_pause_beneath_is_over_when_its_time_is_and_the_audit_log_says_so() {
    let mut lab = crash_loop();
    assert!(order_by(&mut lab, "cas", Some(60)) && order_by(&mut lab, "ann", None));
    lab.pass(61);
    lab.expire();
    assert_eq!((pausing(&lab), lab.audited("autonomous.resumed")), (vec!["ann".to_owned()], 1));
    lab.expire();
    assert_eq!(lab.audited("autonomous.resumed"), 1);
}

#[test]
fn a_pause_that_is_not_kept_is_not_said_to_hold() {
    let mut lab = crash_loop();
    order_by(&mut lab, "ann", None);
    for n in 0..8 {
        assert!(order_by(&mut lab, &format!("person-{n}"), Some(1_000 + n)));
    }
    assert!(!order_by(&mut lab, "late", Some(60)), "eight that last longer are beneath");
    assert!(order_by(&mut lab, "longer", Some(9_000)));
    assert_eq!(pausing(&lab).len(), 9);
}
