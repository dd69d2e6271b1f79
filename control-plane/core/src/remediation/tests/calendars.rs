//! Scenes of windows outside of which nothing is begun, of blackouts in which nothing is, and of who breaks the glass all the same.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::prelude::*;

use super::*;
use crate::approval::{Answer, Decision};
use crate::calendar::{self, Reading, Stand};
use crate::check;
use crate::model::*;
use crate::remediation::{self, DecideError};
use crate::settings::calendar::{Period, Zone};
use crate::settings::quorum::Quorum;

fn zone(name: &str) -> Zone {
    Zone::try_from(name.to_owned()).unwrap()
}

/// Once, for so many seconds from now to so many seconds from now.
fn once(lab: &Lab, name: &str, from: i64, to: i64) -> Period {
    let at = |seconds| TimeZone::UTC.to_datetime(lab.now + SignedDuration::from_secs(seconds));
    Period {
        name: name.to_owned(),
        zone: zone("UTC"),
        actions: Vec::new(),
        clusters: Vec::new(),
        days: Vec::new(),
        from: None,
        to: None,
        starts: Some(at(from)),
        ends: Some(at(to)),
    }
}

fn reason(lab: &Lab, kind: IncidentKind) -> String {
    lab.open(kind).reason.clone()
}

#[test]
fn in_a_blackout_nothing_is_begun_and_what_is_wrong_is_seen_all_the_same() {
    let mut lab = crash_loop();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Open);
    assert!(incident.plan_id.is_some(), "it is diagnosed and planned");
    assert!(incident.reason.contains("; blackout sale until 20"), "{}", incident.reason);
    lab.pass(600);
    assert_eq!(lab.settle().len(), 1, "nothing else held it back");
}

#[test]
fn outside_its_windows_nothing_is_begun_and_inside_of_one_it_is() {
    let mut lab = crash_loop();
    lab.settings.window = vec![once(&lab, "tonight", 300, 600), once(&lab, "tomorrow", 90_000, 93_600)];
    assert!(lab.settle().is_empty());
    let said = reason(&lab, IncidentKind::PodCrashLoop);
    assert!(said.contains("; outside its windows until 20") && said.contains(": tonight is "), "{said}");
    lab.pass(300);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn a_blackout_inside_of_a_window_holds() {
    let mut lab = crash_loop();
    lab.settings.window = vec![once(&lab, "tonight", -300, 3_600)];
    lab.settings.blackout = vec![once(&lab, "backup", -10, 60)];
    assert!(lab.settle().is_empty());
    assert!(reason(&lab, IncidentKind::PodCrashLoop).contains("blackout backup"));
}

#[test]
fn a_window_that_was_missed_is_over_and_nothing_is_made_up_for() {
    let mut lab = crash_loop();
    lab.settings.window = vec![once(&lab, "tonight", -600, -300)];
    assert!(lab.settle().is_empty());
    assert!(reason(&lab, IncidentKind::PodCrashLoop).contains("of which none is left"));
}

#[test]
fn what_is_meant_for_another_place_or_action_holds_nothing_here() {
    let lab = crash_loop();
    let elsewhere = Period { clusters: vec!["staging".into()], ..once(&lab, "a", -60, 600) };
    let another = Period { actions: vec![ActionKind::RollbackDeployment], ..once(&lab, "b", -60, 600) };
    for (blackout, window) in [(elsewhere.clone(), None), (another.clone(), None), (elsewhere, Some(another))]
    {
        let mut lab = crash_loop();
        lab.settings.blackout = vec![blackout];
        lab.settings.window = window
            .into_iter()
            .map(|window| Period {
                starts: None,
                ends: None,
                days: Vec::new(),
                from: Some(jiff::civil::time(0, 0, 0, 0)),
                ..window
            })
            .collect();
        assert_eq!(lab.settle().len(), 1);
    }
    // By its name, or by its id, which nobody but Nimbus chooses.
    for name in ["prod", CLUSTER] {
        let mut lab = crash_loop();
        lab.settings.blackout = vec![Period { clusters: vec![name.into()], ..once(&lab, "a", -60, 600) }];
        assert!(lab.settle().is_empty(), "{name}");
    }
}

#[test]
fn people_are_asked_meanwhile_and_what_they_approved_goes_out_afterwards() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert!(lab.settle().is_empty(), "an approval is no way round a blackout");
    assert!(reason(&lab, IncidentKind::RolloutStuck).contains("approved by operator; blackout sale"));
    lab.pass(600);
    assert_eq!(lab.settle().len(), 1);
}

fn breaks<'a>(by: &'a str, reason: &'a str) -> Answer<'a> {
    Answer { reason, breaks_glass: true, ..Answer::of(by, Decision::Approve) }
}

#[test]
fn who_breaks_the_glass_with_a_reason_passes_it_by_and_leaves_a_review() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    lab.settle();
    assert!(matches!(lab.answer(&breaks("eve", " ")), Err(DecideError::NoReason { .. })));
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].approvals.iter().map(|it| it.by.as_str()).collect::<Vec<_>>(), ["eve"]);
    assert_eq!(lab.audited("approval.glass_broken"), 1);
    let row = lab.audit.iter().find(|row| row.draft.action == "approval.glass_broken").unwrap();
    assert!(row.draft.detail.starts_with("past blackout sale: blackout sale until "), "{}", row.draft.detail);
    let broken = lab.approvals.values().next().unwrap().doc.broken_glass.clone().unwrap();
    let until = lab.now + SignedDuration::from_secs(600);
    assert_eq!(broken.past, [Passed { what: "blackout sale".to_owned(), until: Some(until) }]);
    assert!(broken.review.is_none());
}

#[test]
fn what_was_approved_before_can_pass_by_a_broken_glass_too() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    lab.settle();
    lab.decide("ann", Decision::Approve, "").unwrap();
    assert!(lab.settle().is_empty());
    assert!(matches!(lab.decide("bob", Decision::Approve, ""), Err(DecideError::AlreadyDecided { .. })));
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    let approval = lab.approvals.values().next().unwrap().doc.clone();
    assert_eq!(approval.decided_by.as_deref(), Some("ann"), "who approved stays who did");
    let again = lab.answer(&breaks("eve", "once more"));
    assert!(matches!(again, Err(DecideError::AlreadyDecided { .. })), "{again:?}");
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    let by: Vec<&str> = jobs[0].approvals.iter().map(|it| it.by.as_str()).collect();
    assert_eq!(by, ["ann", "eve"], "the job names who approved and who let it out");
}

#[test]
fn where_several_are_needed_the_last_of_them_breaks_the_glass_for_the_blackout() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    lab.settings.quorum =
        vec![Quorum { actions: Vec::new(), clusters: Vec::new(), groups: vec![vec!["oncall".into()]] }];
    lab.settle();
    let groups = ["oncall".to_owned()];
    lab.answer(&Answer { groups: &groups, ..breaks("ann", "nobody can pay") }).unwrap();
    let row = lab.audit.iter().find(|row| row.draft.action == "approval.glass_broken").unwrap();
    assert!(
        row.draft.detail.starts_with("past blackout sale"),
        "nobody else was needed: {}",
        row.draft.detail
    );
    let jobs = lab.settle();
    assert_eq!(jobs[0].approvals.iter().map(|it| it.by.as_str()).collect::<Vec<_>>(), ["ann"]);
}

#[test]
fn a_glass_passes_by_what_was_then_and_nothing_that_came_later() {
    // Broken for the people who were missing alone: a blackout that begins later has a glass of its own.
    let mut lab = stuck_rollout();
    lab.settings.quorum =
        vec![Quorum { actions: Vec::new(), clusters: Vec::new(), groups: vec![vec!["oncall".into()]] }];
    lab.settings.blackout = vec![once(&lab, "month-end", 60, 600)];
    lab.settle();
    // Else it would go out at once.
    let held = super::paused::pause(&mut lab, false, "");
    lab.answer(&breaks("eve", "nobody answers")).unwrap();
    assert!(held && lab.settle().is_empty());
    super::paused::resume(&mut lab, false);
    let before = lab.approvals.values().next().unwrap().doc.broken_glass.clone().unwrap();
    assert!(before.past.is_empty());
    // Nothing goes out so shortly before it.
    lab.pass(51);
    assert!(lab.settle().is_empty(), "nobody said a word about the end of the month");
    lab.pass(9);
    assert!(lab.settle().is_empty());
    assert_eq!(
        lab.open(IncidentKind::RolloutStuck).state,
        IncidentState::WaitingApproval,
        "it is asked for anew"
    );
    lab.answer(&breaks("bob", "and nobody can pay")).unwrap();
    assert_eq!(lab.settle().len(), 1);
    let owed = lab.approvals.values().filter_map(|it| it.doc.broken_glass.as_ref()).map(|it| it.by.as_str());
    assert_eq!(owed.collect::<std::collections::BTreeSet<_>>(), ["bob", "eve"].into(), "each owes a review");

    // In one blackout, and another follows before anything could be done.
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "lunch", -60, 60), once(&lab, "backup", 60, 600)];
    lab.settle();
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    lab.pass(60);
    assert!(lab.settle().is_empty());
    assert!(reason(&lab, IncidentKind::RolloutStuck).contains("blackout backup"));

    // The same one, a night later.
    let mut lab = stuck_rollout();
    let at = |seconds| Some(TimeZone::UTC.to_datetime(lab.now + SignedDuration::from_secs(seconds)).time());
    let nights =
        Period { starts: None, ends: None, from: at(-60), to: at(600), ..once(&lab, "nights", 0, 1) };
    lab.settings.blackout = vec![nights];
    lab.settings.approval_ttl_s = 7 * 86_400;
    lab.settle();
    super::paused::pause(&mut lab, false, "");
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    lab.pass(86_400);
    super::paused::resume(&mut lab, false);
    assert!(lab.settle().is_empty(), "that was yesterday's night");
    let plan = lab.plans.values().next().unwrap().doc.clone();
    let found = check::check(&plan, &lab.snapshot(), lab.now);
    assert!(found.iter().any(|it| it.invariant == 10), "{found:?}");
}

#[test]
fn shortly_before_a_blackout_nobody_breaks_a_glass_in_vain() {
    let mut lab = stuck_rollout();
    lab.settings.quorum =
        vec![Quorum { actions: Vec::new(), clusters: Vec::new(), groups: vec![vec!["oncall".into()]] }];
    lab.settle();
    lab.settings.blackout = vec![once(&lab, "backup", 5, 600)];
    lab.answer(&breaks("eve", "nobody answers")).unwrap();
    assert!(lab.settle().is_empty());
    assert!(reason(&lab, IncidentKind::RolloutStuck).contains("too late to begin"));
    assert_eq!((lab.approvals.len(), lab.live_approvals()), (1, 1), "no blackout has begun yet");
    // A person's order would be carried out when nobody thinks of it any more.
    let mut lab = drifted_file();
    lab.settle();
    lab.settings.blackout = vec![once(&lab, "backup", 5, 600)];
    let id = lab.open(IncidentKind::FileDrift).id;
    let mut ids = lab.ids.clone();
    let error = remediation::accept_baseline(&lab.snapshot(), id, "operator", lab.now, &mut ids).unwrap_err();
    assert!(matches!(&error, DecideError::NotAllowed(why) if why.contains("too late to begin")), "{error}");
}

#[test]
fn a_job_has_to_be_begun_before_the_blackout_and_before_its_window_ends() {
    let ends = |lab: &mut Lab| {
        let jobs = lab.settle();
        assert_eq!(jobs.len(), 1);
        jobs[0].expires_at_us - nimbus_protocol::to_micros(lab.now)
    };
    let mut lab = crash_loop();
    lab.settings.blackout = vec![once(&lab, "sale", 20, 600)];
    assert_eq!(ends(&mut lab), 20_000_000);
    let mut lab = crash_loop();
    lab.settings.window = vec![once(&lab, "tonight", -60, 30)];
    assert_eq!(ends(&mut lab), 30_000_000);
    let mut lab = crash_loop();
    lab.settings.blackout = vec![once(&lab, "sale", 3_600, 7_200)];
    assert_eq!(ends(&mut lab), i64::from(lab.settings.job_ttl_ms) * 1_000, "far away it changes nothing");
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 20), once(&lab, "backup", 30, 600)];
    lab.settle();
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    assert_eq!(ends(&mut lab), 30_000_000, "the second one was not passed by");
    // Outside its windows by a glass, until the next one begins: that one's end is the job's.
    let mut lab = stuck_rollout();
    lab.settings.job_ttl_ms = 1_200_000;
    lab.settings.window = vec![once(&lab, "tonight", 120, 420)];
    lab.settle();
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    assert_eq!(ends(&mut lab), 420_000_000);
}

#[test]
fn who_is_asked_is_told_of_the_blackout_and_who_approved_too() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    lab.settle();
    let asked = reason(&lab, IncidentKind::RolloutStuck);
    assert!(
        asked.contains("; blackout sale until 20") && asked.ends_with("`--break-glass` passes it by"),
        "{asked}"
    );
    lab.decide("ann", Decision::Approve, "").unwrap();
    let approved = reason(&lab, IncidentKind::RolloutStuck);
    assert!(approved.starts_with("approved by ann; blackout sale until 20"), "{approved}");
}

#[test]
fn what_was_approved_and_waits_can_be_denied() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    lab.settle();
    lab.decide("ann", Decision::Approve, "").unwrap();
    lab.settle();
    lab.decide("bob", Decision::Deny, "not this week").unwrap();
    let denied = lab.audit.iter().find(|row| row.draft.action == "approval.denied").unwrap();
    assert!(denied.draft.detail.ends_with("; approved before by ann"), "{}", denied.draft.detail);
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::Escalated);
    lab.pass(600);
    assert!(lab.settle().is_empty(), "a word against it stands when the blackout is over");
}

#[test]
fn an_approval_that_ends_in_a_long_blackout_is_asked_for_anew() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "freeze", -60, 200_000)];
    lab.settle();
    lab.decide("ann", Decision::Approve, "").unwrap();
    lab.pass(i64::from(lab.settings.approval_ttl_s));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    lab.pass(200_000);
    assert!(lab.settle().is_empty(), "the word of before is over");
}

#[test]
fn the_files_of_a_host_are_held_back_by_its_name() {
    let mut lab = drifted_file();
    lab.settings.approval_ttl_s = 60;
    lab.settle();
    let host = {
        let incident = lab.open(IncidentKind::FileDrift);
        incident.cluster.clone()
    };
    lab.settings.blackout = vec![Period { clusters: vec![host], ..once(&lab, "sale", -60, 600) }];
    lab.settle();
    assert!(reason(&lab, IncidentKind::FileDrift).contains("blackout sale"));
}

#[test]
fn there_is_no_glass_where_nothing_holds_it_back_and_a_pause_has_none() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "later", 600, 1_200)];
    lab.settle();
    assert!(matches!(lab.answer(&breaks("eve", "now")), Err(DecideError::NoGlass { .. })));
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    super::paused::pause(&mut lab, false, "");
    lab.settle();
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    assert!(lab.settle().is_empty(), "the kill switch holds for whomever");
}

#[test]
fn a_glass_that_was_broken_for_another_plan_or_by_who_ordered_it_passes_nothing() {
    let mut lab = stuck_rollout();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    lab.settle();
    lab.answer(&breaks("eve", "nobody can pay")).unwrap();
    let id = lab.approvals.keys().next().unwrap().clone();
    let good = lab.approvals[&id].clone();
    let plan = lab.plans[&good.doc.plan_id.to_string()].doc.clone();
    assert!(check::check(&plan, &lab.snapshot(), lab.now).iter().all(|it| it.invariant != 10));
    let changes: [fn(&mut Approval); 8] = [
        |it| it.broken_glass.as_mut().unwrap().past[0].what = "blackout another".to_owned(),
        |it| it.broken_glass.as_mut().unwrap().past[0].until = Some(Timestamp::UNIX_EPOCH),
        |it| it.plan_digest = "00".repeat(32),
        |it| it.state = ApprovalState::Pending,
        |it| it.used_by = Some("job_00000000000000000000000000000001".parse().unwrap()),
        |it| it.broken_glass = None,
        |it| it.broken_glass.as_mut().unwrap().by = "nimbus".to_owned(),
        |it| it.broken_glass.as_mut().unwrap().reason = " ".to_owned(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut wrong = good.clone();
        change(&mut wrong.doc);
        lab.approvals.insert(id.clone(), wrong);
        let found = check::check(&plan, &lab.snapshot(), lab.now);
        assert!(found.iter().any(|it| it.invariant == 10), "{number}: {found:?}");
    }
}

#[test]
fn an_order_of_a_person_is_refused_with_the_blackout() {
    let mut lab = drifted_file();
    lab.settings.blackout = vec![once(&lab, "sale", -60, 600)];
    lab.settle();
    let id = lab.open(IncidentKind::FileDrift).id;
    let mut ids = lab.ids.clone();
    let error = remediation::accept_baseline(&lab.snapshot(), id, "operator", lab.now, &mut ids).unwrap_err();
    assert!(matches!(&error, DecideError::NotAllowed(why) if why.contains("blackout sale")), "{error}");
}

#[test]
fn a_job_that_is_under_way_when_a_blackout_begins_is_finished() {
    let mut lab = crash_loop();
    lab.settings.blackout = vec![once(&lab, "sale", 15, 600)];
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    lab.apply(&jobs[0]);
    lab.pass(20);
    assert!(lab.settle().is_empty());
    assert!(lab.report(&jobs[0], v1::job_report::Phase::Succeeded, "", ""));
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Santiago",
    "Africa/Casablanca",
    "Pacific/Apia",
];

/// Does the zone change its clocks within a day of this moment?
fn changes_near(period: &Period, now: Timestamp) -> bool {
    let offset = |hours| period.zone.rules().to_offset(now + SignedDuration::from_hours(hours));
    (-26..=26).any(|hours| offset(hours) != offset(0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What the planner lets out the checker does too, and where no clock is changed near they say the same.
    #[test]
    fn planner_and_checker_agree_on_what_time_it_is(
        zone_of in 0..ZONES.len(),
        days in prop::collection::vec(0..7_usize, 0..4),
        (from, to) in (0..96_i8, 0..96_i8),
        seconds in 1_735_689_600_i64..1_893_456_000,
        (is_once, near) in any::<(bool, bool)>(),
        (before, long) in (-200_000_i64..200_000, 1_i64..200_000),
    ) {
        let mut lab = crash_loop();
        lab.now = Timestamp::from_second(seconds).unwrap();
        let mut period = once(&lab, "it", 0, 1);
        period.zone = zone(ZONES[zone_of]);
        if near {
            // Three hours around the next change of the clocks, where there is one.
            let next = period.zone.rules().following(lab.now).next();
            lab.now = next.map_or(lab.now, |change| change.timestamp() + SignedDuration::from_secs(before / 20));
        }
        let clock = |quarters: i8| jiff::civil::time(quarters / 4, quarters % 4 * 15, 0, 0);
        if is_once {
            let at = |seconds| period.zone.rules().to_datetime(lab.now + SignedDuration::from_secs(seconds));
            (period.starts, period.ends) = (Some(at(before)), Some(at(before + long)));
        } else {
            (period.starts, period.ends) = (None, None);
            let days: std::collections::BTreeSet<usize> = days.into_iter().collect();
            period.days = days.iter().map(|day| crate::settings::calendar::Day::ALL[*day]).collect();
            // Where the clocks change most is at night.
            let (from, to) = if near { (from % 16, to % 16) } else { (from, to) };
            (period.from, period.to) = (Some(clock(from)), Some(clock(to)));
        }
        if period.starts.is_some() && period.starts >= period.ends {
            return Ok(());
        }
        let is_now = |reading| matches!(calendar::stand(&period, reading, lab.now), Stand::Now(_));
        let (blackout, window) = (is_now(Reading::Longest), is_now(Reading::Shortest));
        let checked = check::shows_for_test(&period, lab.now);
        prop_assert!(!checked || blackout, "a blackout that the clocks show holds");
        prop_assert!(!window || checked, "a window is open while the clocks show it alone");
        if !changes_near(&period, lab.now) {
            prop_assert_eq!((blackout, window), (checked, checked));
        }
        // When it changes is a moment ahead, at which it is so; what comes each week is never over.
        for reading in [Reading::Longest, Reading::Shortest] {
            match calendar::stand(&period, reading, lab.now) {
                Stand::Now(Some(until)) => {
                    prop_assert!(until > lab.now);
                    let then = calendar::stand(&period, reading, until);
                    prop_assert!(matches!(then, Stand::Later(_)), "{:?}", then);
                }
                Stand::Later(Some(begins)) => {
                    prop_assert!(begins > lab.now);
                    let then = calendar::stand(&period, reading, begins);
                    prop_assert!(matches!(then, Stand::Now(_)), "{:?}", then);
                }
                Stand::Later(None) => prop_assert!(is_once, "a weekly one is never over"),
                Stand::Now(None) => {}
            }
        }
    }
}
