//! Properties of the planner and of the independent checker over units of every kind.

use nimbus_protocol::v1::job_report::Phase;
use proptest::prelude::*;

use super::units::{failed, see};
use super::*;

/// A word of a list, or one that nobody knows.
fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn any_unit() -> impl Strategy<Value = v1::Unit> {
    let state = prop_oneof![
        4 => Just(("failed", "failed")),
        1 => Just(("activating", "auto-restart")),
        1 => Just(("active", "running")),
        1 => Just(("inactive", "dead")),
    ];
    let how = (
        one_of(&[
            "exit-code",
            "signal",
            "core-dump",
            "watchdog",
            "oom-kill",
            "start-limit-hit",
            "timeout",
            "protocol",
            "",
        ]),
        one_of(&["simple", "notify", "dbus", "oneshot", "idle", ""]),
        one_of(&["no", "on-failure", "always", ""]),
        proptest::option::of((
            one_of(&["exited", "killed", "dumped"]),
            proptest::sample::select(&[0, 1, 2, 78, 143, 203, 245][..]),
        )),
    );
    let around = (
        any::<bool>(),
        any::<bool>(),
        proptest::sample::select(&[0_u64, 10_000_000, 120_000_000][..]),
        proptest::collection::vec(one_of(&["web.timer", "web.socket", "web.path"]), 0..2),
        prop_oneof![4 => Just(""), 1 => Just("policy"), 1 => Just("job"), 1 => Just("reload")],
    );
    (state, how, around, 1_u8..3).prop_map(
        |(state, (result, kind, restart, main), (gave_up, restarting, limit, by, obstacle), run)| v1::Unit {
            active_state: state.0.into(),
            sub_state: state.1.into(),
            result,
            service_type: kind,
            restart,
            main_code: main.as_ref().map(|(code, _)| code.clone()).unwrap_or_default(),
            main_status: main.map(|(_, status)| status),
            start_limit_us: Some(limit),
            triggered_by: by,
            obstacle: obstacle.into(),
            reason: obstacle.into(),
            gave_up,
            restarting,
            ..failed(run)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever a unit is like: what the planner would start, the checker lets go (each dispatch asks it), and nobody is told that a
    /// plan of the planner's waits for the checker.
    #[test]
    fn planner_and_checker_agree_on_what_is_started(units in proptest::collection::vec(any_unit(), 1..4)) {
        let mut lab = Lab::new();
        for unit in &units {
            see(&mut lab, std::slice::from_ref(unit));
            for _ in 0..4 {
                for job in lab.settle() {
                    prop_assert_eq!(unit.active_state.as_str(), "failed");
                    prop_assert!(unit.restart == "no" || unit.gave_up);
                    lab.apply(&job);
                    lab.report(&job, Phase::Failed, "", "found it failed again");
                }
                for incident in lab.incidents.values() {
                    prop_assert!(!incident.doc.reason.contains("not yet:"), "{}", incident.doc.reason);
                }
                lab.pass(50);
            }
        }
    }
}
