//! Tests of what is told of a host's units, and when.

use jiff::Timestamp;
use nimbus_protocol::v1;

use super::*;

/// A policy that names one service and the instances of another but for one.
fn may_start(unit: &str) -> Result<(), String> {
    match unit {
        "web.service" | "worker@a.service" => Ok(()),
        _ => Err(format!("{unit} is not in this agent's `units`")),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn failed(name: &str) -> UnitFacts {
    UnitFacts {
        name: name.into(),
        path: String::new(),
        load_state: "loaded".into(),
        active_state: FAILED.into(),
        sub_state: FAILED.into(),
        has_job: false,
        more: More {
            result: "exit-code".into(),
            service_type: "simple".into(),
            restart: "no".into(),
            main_code: 1,
            main_status: 3,
            main_ran_us: (100, 200),
            restarts: Some(0),
            invocation_id: vec![1; 16],
            changed_us: 5,
            left_active_us: 201,
            came_up_us: 100,
            left_inactive_us: 99,
            start_limit: 5,
            start_limit_us: 10_000_000,
            can_start: true,
            ..More::default()
        },
    }
}

fn runs(name: &str) -> UnitFacts {
    let more = More { restarts: Some(0), invocation_id: vec![2; 16], ..More::default() };
    UnitFacts { active_state: "active".into(), sub_state: "running".into(), more, ..failed(name) }
}

fn told(facts: UnitFacts) -> v1::Unit {
    message(facts, "running", &may_start)
}

/// One look, in the classes in which the daemon asks.
fn look(pictures: &mut Pictures, units: &[UnitFacts], second: i64) -> Option<v1::Units> {
    let (unwell, well): (Vec<_>, Vec<_>) = units.iter().cloned().partition(UnitFacts::is_unwell);
    let is_remembered = |facts: &&UnitFacts| pictures.remembered().any(|name| name == facts.name);
    let remembered = well.iter().filter(is_remembered).cloned().collect();
    let chosen = pictures.choose(unwell, remembered, well);
    pictures.offer(chosen, "running", &may_start, at(second))
}

#[test]
fn a_failed_unit_is_told_with_what_it_ended_with_and_whether_it_could_be_started() {
    let unit = told(failed("web.service"));
    assert_eq!((unit.main_code.as_str(), unit.main_status, unit.restarts), ("exited", Some(3), Some(0)));
    assert_eq!((unit.changed_us, unit.start_limit_us, unit.gave_up), (Some(5), Some(10_000_000), false));
    assert_eq!((unit.obstacle.as_str(), unit.reason.as_str()), ("", ""));
    assert_eq!(told(failed("worker@a.service")).obstacle, "");
    // Of one that is well nothing stands in the way.
    let well = told(runs("other.service"));
    assert_eq!((well.obstacle.as_str(), well.main_status, well.restarts), ("", None, Some(0)));
}

#[test]
fn whatever_is_in_the_way_is_named() {
    let with = |change: fn(&mut UnitFacts)| {
        let mut facts = failed("web.service");
        change(&mut facts);
        facts
    };
    for (facts, state, expected) in [
        (with(|f| f.name = "web.timer".into()), "running", "no_service"),
        (with(|f| f.name = "dbus.service".into()), "running", "never"),
        (with(|f| f.load_state = "masked".into()), "running", "not_loaded"),
        (with(|f| f.more.can_start = false), "running", "refuses_start"),
        (with(|f| f.more.needs_reload = true), "running", "reload"),
        (with(|f| f.more.left_active_us = 150), "running", "stopped"),
        (with(|f| f.more.would_stop = vec!["other.service".into()]), "running", "conflict"),
        (with(|f| f.more.would_start = vec!["db.service".into()]), "running", "starts_others"),
        (with(|f| f.has_job = true), "running", "job"),
        (failed("web.service"), "stopping", "host"),
        (failed("web.service"), "starting", "host"),
        (failed("web.service"), "maintenance", "host"),
        (failed("web.service"), "unknown", "host"),
        (failed("web.service"), "", "host"),
        (failed("other.service"), "running", "policy"),
    ] {
        assert_eq!(message(facts.clone(), state, &may_start).obstacle, expected, "{facts:?}");
    }
}

#[test]
fn one_that_ended_by_itself_was_not_being_stopped() {
    let with = |change: fn(&mut More)| {
        let mut more = failed("web.service").more;
        change(&mut more);
        more.may_have_been_stopped()
    };
    assert!(!with(|_| {}), "it ended, and its unit with it");
    assert!(with(|m| m.left_active_us = 150), "its unit was left first");
    assert!(!with(|m| m.left_active_us = 50), "that was an earlier run");
    assert!(with(|m| m.main_ran_us = (0, 0)), "it never ran, and nobody can tell why");
    for result in ["watchdog", "oom-kill"] {
        let more = More { left_active_us: 150, result: result.into(), ..failed("web.service").more };
        assert!(!more.may_have_been_stopped(), "{result}: systemd ended it, and says why");
    }
    // One that had not come up: nobody can tell.
    let starting = More {
        came_up_us: 50,
        left_active_us: 60,
        service_type: "notify".into(),
        ..failed("web.service").more
    };
    assert!(starting.may_have_been_stopped());
    let tried =
        More { restart: "on-failure".into(), restarts: Some(5), left_inactive_us: 300, ..starting.clone() };
    assert!(!tried.may_have_been_stopped(), "systemd tried it again, as it does not where it stops");
    // Also of one whose start waits for a command after its main process.
    assert!(More { service_type: "simple".into(), ..starting }.may_have_been_stopped());
}

#[test]
fn a_run_that_ended_before_its_main_process_is_not_judged_by_an_earlier_one() {
    let mut facts = failed("web.service");
    facts.more.before_main_us = 300;
    assert!(facts.more.ended_before_main() && facts.more.may_have_been_stopped());
    let unit = told(facts.clone());
    assert_eq!((unit.main_code.as_str(), unit.main_status), ("", None));
    (facts.more.restart, facts.more.restarts, facts.more.left_inactive_us) = ("always".into(), Some(9), 250);
    assert!(!facts.more.gave_up(), "it may have been stopped while it began");
    // Newer ones forget that process then.
    let forgot = More { main_ran_us: (0, 0), ..facts.more.clone() };
    assert!(forgot.may_have_been_stopped() && !forgot.gave_up());
    // A command before the main process that ran.
    facts.more.before_main_us = 90;
    assert!(!facts.more.ended_before_main() && facts.more.gave_up());
}

#[test]
fn that_systemd_gave_up_is_seen_by_a_try_after_the_last_run_and_by_its_count() {
    let more = |change: fn(&mut More)| {
        let mut more = More {
            restart: "on-failure".into(),
            restarts: Some(5),
            main_ran_us: (1_000, 2_000),
            left_inactive_us: 2_001,
            start_limit: 5,
            start_limit_us: 10_000_000,
            result: "exit-code".into(),
            ..More::default()
        };
        change(&mut more);
        more.gave_up()
    };
    assert!(more(|_| {}));
    assert!(!more(|m| m.restarts = Some(4)), "there were more to come");
    assert!(!more(|m| m.left_inactive_us = 999), "it was told not to start it again after this");
    assert!(!more(|m| m.restart = "no".into()) && !more(|m| m.start_limit = 0));
    assert!(!more(|m| m.start_limit_us = 0), "without a time nothing is counted");
    assert!(more(|m| (m.result, m.restarts) = ("start-limit-hit".into(), None)));
}

#[test]
fn what_failed_is_remembered_until_its_end_was_seen_for_long_enough() {
    let mut pictures = Pictures::default();
    let picture = look(&mut pictures, &[runs("web.service"), failed("a.service")], 0).unwrap();
    let names: Vec<&str> = picture.units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(names, ["a.service", "web.service"]);
    assert_eq!(pictures.remembered().collect::<Vec<_>>(), ["a.service"]);
    assert_eq!(look(&mut pictures, &[runs("web.service"), failed("a.service")], 5), None, "the same picture");
    assert_eq!(
        look(&mut pictures, &[runs("web.service"), failed("a.service")], 299),
        None,
        "it stays failed"
    );
    let later = |second: i64| second + 300;
    assert!(look(&mut pictures, &[runs("web.service"), runs("a.service")], later(10)).is_some());
    // That it lasts is said closely, and later as often as of a quiet host.
    assert!(look(&mut pictures, &[runs("web.service"), runs("a.service")], later(39)).is_none());
    assert!(look(&mut pictures, &[runs("web.service"), runs("a.service")], later(40)).is_some());
    assert!(look(&mut pictures, &[runs("web.service"), runs("a.service")], later(800)).is_some());
    assert!(look(&mut pictures, &[runs("web.service"), runs("a.service")], later(1_000)).is_none());
    assert!(look(&mut pictures, &[runs("web.service"), runs("a.service")], later(1_100)).is_some());
    // One that is remembered and not loaded is told of as that.
    let gone = look(&mut pictures, &[runs("web.service")], later(1_101)).unwrap();
    assert_eq!((gone.units[0].name.as_str(), gone.units[0].load_state.as_str()), ("a.service", NOT_LOADED));
    look(&mut pictures, &[runs("web.service")], later(86_405));
    assert_eq!(pictures.remembered().count(), 0);
    assert!(look(&mut pictures, &[runs("web.service")], 100).is_some(), "the clock was set back");
    // What was remembered before a start is told of after it.
    let mut after = Pictures::remembering(["a.service", "no name"], at(0));
    assert_eq!(after.remembered().collect::<Vec<_>>(), ["a.service"]);
    assert_eq!(look(&mut after, &[runs("a.service")], 1).unwrap().units[0].active_state, "active");
}

#[test]
fn no_class_pushes_another_out_and_what_is_left_out_is_counted() {
    let mut pictures = Pictures::remembering(["z.service"], at(0));
    let mut units: Vec<UnitFacts> = (0..80).map(|n| failed(&format!("f{n:02}.service"))).collect();
    units.extend((0..80).map(|n| runs(&format!("r{n:02}.service"))));
    units.push(runs("z.service"));
    let picture = look(&mut pictures, &units, 1).unwrap();
    assert_eq!((picture.units.len(), picture.not_listed), (2 * MOST + 1, 32));
    assert!(picture.units.iter().any(|unit| unit.name == "z.service"), "its recovery is not pushed out");
    assert_eq!(pictures.remembered().count(), MOST);
}

#[test]
fn one_that_is_started_again_and_again_is_seen_also_between_two_falls() {
    let mut pictures = Pictures::default();
    let mut seen = |times: u32, second: i64| {
        let mut unit = runs("web.service");
        unit.more.restarts = Some(times);
        look(&mut pictures, &[unit], second).is_some_and(|picture| picture.units[0].restarting)
    };
    assert!(!seen(7, 0), "how long ago those were is not known");
    assert!(!seen(9, 60));
    assert!(seen(10, 120));
    assert!(seen(11, 659), "the last three of them");
    assert!(!seen(11, 661), "one of those is more than ten minutes ago");
    assert!(!seen(0, 730) && !seen(2, 740), "somebody started it anew");
    assert!(seen(3, 750));
    // One that fails every three minutes is so all the time.
    let every_three: Vec<bool> = (0..20).map(|n| seen(3 + n, 2_000 + 180 * i64::from(n))).collect();
    assert!(every_three[3..].iter().all(|restarting| *restarting), "{every_three:?}");
    // What systemd gave up on is failed, and started again by nobody.
    let mut pictures = Pictures::default();
    look(&mut pictures, &[runs("web.service")], 0);
    let mut ended = failed("web.service");
    ended.more.restarts = Some(5);
    let unit = look(&mut pictures, &[ended], 5).unwrap().units.remove(0);
    assert!(!unit.restarting && unit.active_state == FAILED);
    let mut stopped =
        UnitFacts { active_state: "inactive".into(), sub_state: "dead".into(), ..runs("web.service") };
    stopped.more.restarts = Some(5);
    assert!(!look(&mut pictures, &[stopped], 10).unwrap().units[0].restarting, "somebody stopped it");
    assert!(failed("a.timer").is_unwell() && !runs("web.service").is_unwell());
}

#[test]
fn names_that_no_room_is_left_for_are_counted_for_as_long_as_they_would_be_told_of() {
    let mut pictures = Pictures::default();
    let of = |from: i32| (from..from + 40).map(|n| failed(&format!("u{n:03}.service"))).collect::<Vec<_>>();
    assert_eq!(look(&mut pictures, &of(0), 0).unwrap().not_listed, 0);
    assert_eq!(look(&mut pictures, &of(40), 10).unwrap().not_listed, 1, "16 were forgotten");
    assert_eq!(look(&mut pictures, &[], 86_000).unwrap().not_listed, 1);
    assert_eq!(look(&mut pictures, &[], 86_500).unwrap().not_listed, 0);
}
