//! Scenes of a host's units: one that failed and is named by its agent's policy is started again, with waits and a last try; and
//! as many in which Nimbus keeps its hands off.

use jiff::SignedDuration;
use nimbus_protocol::action::{Body as ActionBody, MAY_START};
use nimbus_protocol::v1::job_report::Phase;

use super::*;
use crate::model::*;
use crate::testing::{action_of, at};

/// A service that is named by the policy and ended with status 1, in the run of this number.
pub(super) fn failed(run: u8) -> v1::Unit {
    v1::Unit {
        name: "web.service".into(),
        load_state: "loaded".into(),
        active_state: "failed".into(),
        sub_state: "failed".into(),
        result: "exit-code".into(),
        service_type: "notify".into(),
        restart: "no".into(),
        main_code: "exited".into(),
        main_status: Some(1),
        restarts: Some(0),
        invocation_id: vec![run; 16],
        changed_us: Some(nimbus_protocol::to_micros(at(-5))),
        start_limit: Some(5),
        start_limit_us: Some(10_000_000),
        ..v1::Unit::default()
    }
}

fn runs(run: u8) -> v1::Unit {
    v1::Unit {
        active_state: "active".into(),
        sub_state: "running".into(),
        result: "success".into(),
        ..failed(run)
    }
}

pub(super) fn see(lab: &mut Lab, units: &[v1::Unit]) {
    let all = v1::Units { system_state: "degraded".into(), units: units.to_vec(), not_listed: 0 };
    lab.see_host(Body::Units(all));
}

/// Nothing is done by Nimbus, however long it stands; what a person is told.
fn refrains(units: &[v1::Unit]) -> String {
    let mut lab = Lab::new();
    see(&mut lab, units);
    for _ in 0..6 {
        assert!(lab.settle().is_empty(), "{units:?}");
        lab.pass(60);
    }
    let incident = lab.incidents.values().map(|i| &i.doc).find(|i| i.object.name() == "web.service").unwrap();
    assert_eq!(
        (incident.state, incident.approval_id),
        (IncidentState::Escalated, None),
        "{}",
        incident.reason
    );
    incident.reason.clone()
}

#[test]
fn a_service_that_failed_is_started_again_once_others_had_their_time_and_ends_when_it_lasts() {
    let mut lab = Lab::new();
    see(&mut lab, &[failed(1)]);
    assert!(lab.settle().is_empty(), "systemd and whoever is at it go first");
    let incident = lab.open(IncidentKind::UnitFailed).clone();
    assert_eq!(incident.title, "web.service failed: its main process ended with status 1");
    assert!(incident.reason.contains("go first"), "{}", incident.reason);
    lab.pass(31);
    let jobs = lab.settle();
    let Some(ActionBody::RestartUnit(action)) = jobs.first().and_then(action_of) else { panic!("{jobs:?}") };
    assert_eq!((action.unit.as_str(), action.failed_invocation), ("web.service", vec![1; 16]));
    assert_eq!((jobs[0].cluster_uid.as_str(), jobs[0].needs_approval), ("", false));
    assert_eq!(jobs[0].approvals[0].by, "policy:unit_failed");
    lab.apply(&jobs[0]);
    see(&mut lab, &[runs(2)]);
    lab.pass(30);
    assert!(lab.report(&jobs[0], Phase::Succeeded, "", "found web.service running for 30 s"));
    lab.settle();
    let over = lab.last(IncidentKind::UnitFailed);
    assert_eq!(over.state, IncidentState::Resolved, "{}", over.reason);
}

#[test]
fn one_that_does_not_last_is_tried_with_growing_waits_and_then_a_person_is_asked() {
    let mut lab = Lab::new();
    let mut tries = Vec::new();
    for second in 0..3_600 {
        let run = u8::try_from(tries.len()).unwrap() + 1;
        see(&mut lab, &[failed(run)]);
        for job in lab.settle() {
            lab.apply(&job);
            assert!(lab.report(&job, Phase::Failed, "", "found it failed again"));
            tries.push(second);
        }
        lab.pass(1);
    }
    assert_eq!(tries.len(), 3, "{tries:?}");
    assert!(tries[0] >= 30 && tries[2] - tries[1] > tries[1] - tries[0], "{tries:?}");
    let incident = lab.open(IncidentKind::UnitFailed);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(incident.reason.contains("3 of at most 3 attempts"), "{}", incident.reason);
}

#[test]
fn where_systemd_gave_up_its_own_count_is_waited_for() {
    let mut lab = Lab::new();
    let given_up = v1::Unit {
        gave_up: true,
        restart: "on-failure".into(),
        start_limit_us: Some(120_000_000),
        restarts: Some(5),
        ..failed(1)
    };
    see(&mut lab, &[given_up]);
    lab.settle();
    lab.pass(119);
    assert!(lab.settle().is_empty(), "{}", lab.open(IncidentKind::UnitFailed).reason);
    lab.pass(7);
    let jobs = lab.settle();
    assert!(matches!(jobs.first().and_then(action_of), Some(ActionBody::RestartUnit(_))));
    let evidence = &lab.open(IncidentKind::UnitFailed).evidence;
    assert!(evidence[0].contains("gave up after too many starts"), "{evidence:?}");
    assert!(evidence.iter().any(|line| line.contains("5 times before")), "{evidence:?}");
}

#[test]
fn every_end_that_a_new_process_may_do_better_than_is_answered() {
    for (result, code, status) in [
        ("signal", "killed", 9),
        ("core-dump", "dumped", 11),
        ("watchdog", "killed", 6),
        ("oom-kill", "killed", 9),
        // A worker was killed, and the main process ended as it was told to.
        ("oom-kill", "exited", 0),
    ] {
        let mut lab = Lab::new();
        let unit = v1::Unit {
            result: result.into(),
            main_code: code.into(),
            main_status: Some(status),
            ..failed(1)
        };
        see(&mut lab, &[unit]);
        lab.settle();
        lab.pass(31);
        assert_eq!(lab.settle().len(), 1, "{result}");
    }
}

#[test]
fn what_runs_once_is_not_done_twice_and_what_an_event_starts_waits_for_it() {
    let once = v1::Unit { service_type: "oneshot".into(), ..failed(1) };
    assert!(refrains(&[once]).contains("do its work again"));
    for by in ["web.timer", "web.path", "web.something-new"] {
        let triggered = v1::Unit { triggered_by: vec![by.into()], ..failed(1) };
        assert!(
            refrains(&[triggered]).contains(&format!("{by} starts web.service when its time or event comes"))
        );
    }
    let unknown = v1::Unit { service_type: "newer-type".into(), ..failed(1) };
    refrains(&[unknown]);
    let mount = v1::Unit { service_type: String::new(), result: String::new(), ..failed(1) };
    assert!(refrains(&[mount]).contains("no service"));
}

#[test]
fn what_systemd_starts_again_by_itself_needs_nobody_else() {
    let mut again = v1::Unit {
        active_state: "activating".into(),
        sub_state: "auto-restart".into(),
        restart: "always".into(),
        restarts: Some(3),
        ..failed(1)
    };
    assert!(refrains(&[again.clone()]).contains("again and again by itself"));
    // A first try of its own is no incident.
    again.restarts = Some(1);
    let mut lab = Lab::new();
    see(&mut lab, &[again]);
    lab.settle();
    assert!(lab.incidents.is_empty());
}

#[test]
fn what_cannot_begin_as_its_unit_file_says_is_not_tried() {
    for (status, word) in
        [(203, "its program cannot be run"), (217, "its user is not known"), (78, "configured")]
    {
        let reason = refrains(&[v1::Unit { main_status: Some(status), ..failed(1) }]);
        assert!(reason.contains(word), "{reason}");
    }
    // Also where systemd tried it until it gave up.
    let given_up = v1::Unit { gave_up: true, main_status: Some(203), ..failed(1) };
    assert!(refrains(&[given_up]).contains("status 203"));
}

#[test]
fn what_somebody_may_have_stopped_stays_stopped() {
    let told_to_end = v1::Unit { main_status: Some(143), ..failed(1) };
    assert!(refrains(&[told_to_end]).contains("SuccessExitStatus=143"));
    let slow =
        v1::Unit { result: "timeout".into(), main_code: "killed".into(), main_status: Some(9), ..failed(1) };
    assert!(refrains(&[slow]).contains("may have stopped it"));
}

#[test]
fn where_the_unit_file_says_when_it_is_started_again_that_is_its_word() {
    let own = v1::Unit { restart: "on-failure".into(), ..failed(1) };
    assert!(refrains(&[own]).contains("Restart=on-failure"));
    for result in ["protocol", "resources", "a-word-of-tomorrow"] {
        assert!(
            refrains(&[v1::Unit { result: result.into(), ..failed(1) }]).contains("would end as this one"),
            "{result}"
        );
    }
}

#[test]
fn what_the_agent_may_not_start_is_said_with_its_own_words() {
    let unit = |obstacle: &str, reason: &str| v1::Unit {
        obstacle: obstacle.into(),
        reason: reason.into(),
        ..failed(1)
    };
    let reason = refrains(&[unit("policy", "\"web.service\" is not in this agent's `units`")]);
    assert!(
        reason.contains("is not in this agent's `units`") && reason.contains("systemctl start"),
        "{reason}"
    );
    assert!(refrains(&[unit("reload", "systemctl daemon-reload")]).contains("daemon-reload"));
    refrains(&[unit("a word of tomorrow", "something is in the way")]);
    // What is over in a moment is waited for, and what is not is a person's.
    let mut lab = Lab::new();
    let queued = unit("job", "a job of systemd is queued for web.service");
    for minute in 0..16 {
        see(&mut lab, std::slice::from_ref(&queued));
        assert!(lab.settle().is_empty());
        let expected = if minute < 15 { IncidentState::Open } else { IncidentState::Escalated };
        assert_eq!(lab.open(IncidentKind::UnitFailed).state, expected, "{minute} min");
        lab.pass(60);
    }
}

#[test]
fn several_that_fail_at_once_have_a_cause_that_they_share() {
    let other = |name: &str| v1::Unit { name: name.into(), ..failed(1) };
    let all = [failed(1), other("db.service"), other("queue.service")];
    let reason = refrains(&all);
    assert!(reason.contains("3 units of this host failed within 5 min"), "{reason}");
    // Two are none, and each is started by itself.
    let mut lab = Lab::new();
    see(&mut lab, &all[..2]);
    lab.settle();
    lab.pass(31);
    assert_eq!(lab.settle().len(), 2);
}

/// The agent's word for it is `host`, and systemd's own is checked beside it: none that is not known to be up is leave.
#[test]
fn on_a_host_that_is_not_known_to_be_up_nothing_is_started() {
    for state in ["starting", "stopping", "maintenance", "offline", "unknown", ""] {
        let mut lab = Lab::new();
        for _ in 0..6 {
            let all = v1::Units { system_state: state.into(), units: vec![failed(1)], not_listed: 0 };
            lab.see_host(Body::Units(all));
            assert!(lab.settle().is_empty(), "{state:?}");
            lab.pass(60);
        }
    }
}

#[test]
fn on_a_full_disk_nothing_is_started() {
    let mut lab = Lab::new();
    let disk = v1::Disk {
        mount: "/".into(),
        filesystem: "ext4".into(),
        total_bytes: 1 << 30,
        available_bytes: 1 << 20,
    };
    lab.see_host(Body::Host(v1::Host { disks: vec![disk], ..v1::Host::default() }));
    see(&mut lab, &[failed(1)]);
    lab.settle();
    lab.pass(60);
    assert!(lab.settle().is_empty());
    assert!(lab.open(IncidentKind::UnitFailed).reason.contains("the disk at / is full"));
}

#[test]
fn a_right_that_is_missing_is_asked_for_once() {
    let mut lab = Lab::new();
    see(&mut lab, &[failed(1)]);
    lab.settle();
    lab.pass(31);
    let jobs = lab.settle();
    assert!(lab.report(&jobs[0], Phase::Refused, "precondition_failed", &format!("{MAY_START} web.service")));
    for _ in 0..20 {
        see(&mut lab, &[failed(1)]);
        assert!(lab.settle().is_empty());
        lab.pass(60);
    }
    let incident = lab.open(IncidentKind::UnitFailed);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(incident.reason.contains(MAY_START), "{}", incident.reason);
    // Failed anew, it is asked for again.
    see(&mut lab, &[failed(2)]);
    lab.settle();
    lab.pass(31);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn a_limit_without_an_end_is_a_persons() {
    let for_ever = v1::Unit { gave_up: true, start_limit_us: Some(u64::MAX), ..failed(1) };
    assert!(refrains(&[for_ever]).contains("reset-failed"));
    // That it was started again and again before is no word against one that failed.
    let mut lab = Lab::new();
    see(&mut lab, &[v1::Unit { gave_up: true, restarting: true, restart: "always".into(), ..failed(1) }]);
    lab.settle();
    lab.pass(31);
    assert_eq!(lab.settle().len(), 1);
}

/// Each start helps for a while, long enough that attempts are forgotten.
#[test]
fn one_that_fails_again_and_again_over_hours_is_a_persons_after_five_starts_a_day() {
    let mut lab = Lab::new();
    let mut starts = 0;
    for run in (1..100).step_by(2) {
        see(&mut lab, &[failed(run)]);
        lab.settle();
        lab.pass(35);
        let jobs = lab.settle();
        if jobs.is_empty() {
            break;
        }
        starts += jobs.len();
        lab.apply(&jobs[0]);
        see(&mut lab, &[runs(run + 1)]);
        lab.pass(30);
        assert!(lab.report(&jobs[0], Phase::Succeeded, "", "found web.service running for 30 s"));
        lab.settle();
        assert_eq!(lab.last(IncidentKind::UnitFailed).state, IncidentState::Resolved);
        lab.pass(15 * 60);
    }
    assert_eq!(starts, 5);
    let incident = lab.open(IncidentKind::UnitFailed);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(incident.reason.contains("5 times within a day"), "{}", incident.reason);
}

#[test]
fn what_was_left_failed_long_before_is_not_started_when_it_is_first_heard_of() {
    let old = v1::Unit { changed_us: Some(nimbus_protocol::to_micros(at(-90_000))), ..failed(1) };
    assert!(refrains(&[old]).contains("more than a day"));
    // Three of which each failed at a time of its own have no cause that they share.
    let mut lab = Lab::new();
    let other = |name: &str, ago: i64| v1::Unit {
        name: name.into(),
        changed_us: Some(nimbus_protocol::to_micros(at(-ago))),
        ..failed(1)
    };
    see(&mut lab, &[failed(1), other("db.service", 2_000), other("queue.service", 9_000)]);
    lab.settle();
    lab.pass(31);
    assert_eq!(lab.settle().len(), 3);
}

#[test]
fn what_failed_beside_the_main_process_is_not_put_right_by_a_start() {
    for main_status in [Some(0), None] {
        let beside = v1::Unit { main_status, ..failed(1) };
        assert!(refrains(&[beside]).contains("ExecStartPre="));
    }
    let finishes =
        v1::Unit { result: "start-limit-hit".into(), gave_up: true, main_status: Some(0), ..failed(1) };
    assert!(refrains(&[finishes]).contains("it finishes"));
    assert!(refrains(&[v1::Unit { restarting: true, ..runs(1) }]).contains("again and again by itself"));
}

#[test]
fn silence_and_a_short_life_are_no_recovery_and_a_reset_is_one_that_says_so() {
    let mut lab = Lab::new();
    let is_open = |lab: &mut Lab, why: &str| {
        lab.settle();
        assert!(lab.open(IncidentKind::UnitFailed).is_open(), "{why}");
    };
    see(&mut lab, &[v1::Unit { main_status: Some(203), ..failed(1) }]);
    lab.settle();
    see(&mut lab, &[runs(2)]);
    lab.pass(59);
    see(&mut lab, &[runs(2)]);
    is_open(&mut lab, "it may end again");
    lab.pass(60);
    is_open(&mut lab, "nobody said that it lasts, although its agent is connected");
    see(&mut lab, &[runs(3)]);
    lab.pass(59);
    see(&mut lab, &[runs(3)]);
    is_open(&mut lab, "it came up anew in between");
    lab.pass(600);
    is_open(&mut lab, "what was told is too long ago");
    see(&mut lab, &[]);
    is_open(&mut lab, "nothing is told of it");
    lab.connected.clear();
    see(&mut lab, &[runs(3)]);
    lab.pass(60);
    see(&mut lab, &[runs(3)]);
    is_open(&mut lab, "nobody is connected");
    lab.connected = crate::connected_agents::ConnectedAgents::from([crate::testing::lab::agent_id()]);
    see(&mut lab, &[v1::Unit { main_status: Some(203), ..failed(4) }]);
    is_open(&mut lab, "it failed again");
    // What stays failed is told of seldom: how long it has been well is counted from the first word of that.
    lab.pass(200);
    let stopped = v1::Unit { active_state: "inactive".into(), sub_state: "dead".into(), ..failed(4) };
    see(&mut lab, std::slice::from_ref(&stopped));
    is_open(&mut lab, "it may be on its way to be started");
    lab.pass(60);
    see(&mut lab, std::slice::from_ref(&stopped));
    lab.settle();
    let over = lab.last(IncidentKind::UnitFailed);
    assert_eq!(over.state, IncidentState::Resolved);
    assert!(over.reason.contains("somebody reset or stopped it"), "{}", over.reason);
}

#[test]
fn one_that_systemd_has_forgotten_was_started_by_nobody() {
    let mut lab = Lab::new();
    see(&mut lab, &[v1::Unit { main_status: Some(203), ..failed(1) }]);
    lab.settle();
    let gone = v1::Unit {
        name: "web.service".into(),
        load_state: "not-loaded".into(),
        active_state: "inactive".into(),
        sub_state: "dead".into(),
        ..v1::Unit::default()
    };
    for _ in 0..2 {
        see(&mut lab, std::slice::from_ref(&gone));
        lab.settle();
        lab.pass(61);
    }
    let over = lab.last(IncidentKind::UnitFailed);
    assert!(over.reason.contains("loaded no more"), "{}", over.reason);
}

#[test]
fn one_that_is_told_of_no_more_is_over_only_when_its_agent_forgot_it() {
    let mut lab = Lab::new();
    see(&mut lab, &[v1::Unit { main_status: Some(203), ..failed(1) }]);
    lab.settle();
    lab.pass(26 * 3_600);
    lab.see_host(Body::Units(v1::Units { not_listed: 1, ..v1::Units::default() }));
    lab.settle();
    assert!(lab.open(IncidentKind::UnitFailed).is_open(), "it may be among those that are not told of");
    see(&mut lab, &[]);
    lab.settle();
    let over = lab.last(IncidentKind::UnitFailed);
    assert!(over.reason.contains("does not tell any more"), "{}", over.reason);
}

/// A job of a timer has a new run each time, and is inactive between them.
#[test]
fn a_job_that_failed_once_is_over_with_a_run_that_did_not() {
    let once =
        v1::Unit { service_type: "oneshot".into(), triggered_by: vec!["web.timer".into()], ..failed(1) };
    let mut lab = Lab::new();
    see(&mut lab, std::slice::from_ref(&once));
    lab.settle();
    for run in 2..5 {
        assert!(lab.open(IncidentKind::UnitFailed).is_open());
        lab.pass(30);
        let done = v1::Unit { active_state: "inactive".into(), sub_state: "dead".into(), ..failed(run) };
        see(&mut lab, &[done]);
        lab.settle();
    }
    let over = lab.last(IncidentKind::UnitFailed);
    assert_eq!(over.state, IncidentState::Resolved);
    assert!(over.reason.contains("has ended without failing"), "{}", over.reason);
}

/// Neither is anything waited for less, nor for a year.
#[test]
fn a_clock_that_jumps_begins_the_waits_anew() {
    for by in [SignedDuration::from_hours(1), SignedDuration::from_hours(-24 * 365)] {
        let mut lab = Lab::new();
        see(&mut lab, &[failed(1)]);
        lab.settle();
        lab.now += by;
        lab.world.clock_jumped(by, lab.now);
        assert!(lab.settle().is_empty(), "{by:?}");
        see(&mut lab, &[failed(1)]);
        lab.pass(29);
        assert!(lab.settle().is_empty(), "{by:?}");
        lab.pass(3);
        assert_eq!(lab.settle().len(), 1, "{by:?}: {}", lab.open(IncidentKind::UnitFailed).reason);
    }
}
