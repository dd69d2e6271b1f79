//! Scenes of approvals that several people have to give, of a broken glass and of its review.

use super::*;
use crate::approval::{Answer, Decision};
use crate::check;
use crate::model::*;
use crate::remediation::{self, DecideError};
use crate::settings::quorum::Quorum;

/// A stuck rollout whose rollback needs one of oncall and one of payments or platform, and was asked for.
fn asked() -> Lab {
    let mut lab = stuck_rollout();
    lab.settings.quorum = vec![Quorum {
        actions: vec![ActionKind::RollbackDeployment],
        clusters: Vec::new(),
        groups: vec![groups(&["oncall"]), groups(&["payments", "platform"])],
    }];
    assert!(lab.settle().is_empty());
    assert_eq!(incident(&lab).state, IncidentState::WaitingApproval);
    lab
}

fn groups(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn incident(lab: &Lab) -> Incident {
    lab.open(IncidentKind::RolloutStuck).clone()
}

fn approve(lab: &mut Lab, by: &str, of: &[&str]) -> Result<(), DecideError> {
    let of = groups(of);
    lab.answer(&Answer { groups: &of, ..Answer::of(by, Decision::Approve) })
}

fn approval(lab: &Lab) -> Versioned<Approval> {
    lab.approvals.values().next().unwrap().clone()
}

#[test]
fn two_people_of_the_groups_approve_and_the_job_names_both() {
    let mut lab = asked();
    let reason = incident(&lab).reason;
    assert!(
        reason.starts_with("waits for approval by one of oncall, and one of payments or platform: "),
        "{reason}"
    );
    approve(&mut lab, "ann", &["oncall", "platform"]).unwrap();
    assert!(lab.settle().is_empty(), "one word of two");
    let waiting = incident(&lab);
    assert_eq!(waiting.state, IncidentState::WaitingApproval);
    assert!(waiting.reason.contains("approved by ann: "), "{}", waiting.reason);
    approve(&mut lab, "bob", &["oncall"]).unwrap();
    assert_eq!(approval(&lab).doc.decided_by.as_deref(), Some("ann, bob"));
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1, "ann makes room: bob is of oncall alone");
    let by: Vec<&str> = jobs[0].approvals.iter().map(|approval| approval.by.as_str()).collect();
    assert_eq!(by, ["ann", "bob"], "the agent looks at each");
    assert_eq!((lab.audited("approval.word_given"), lab.audited("approval.approved")), (1, 1));
}

#[test]
fn a_word_that_is_not_needed_or_was_given_changes_nothing() {
    let mut lab = asked();
    for (by, of) in [("operator", &[][..]), ("cas", &["sales"])] {
        let error = approve(&mut lab, by, of).unwrap_err();
        assert!(matches!(error, DecideError::NotAsked { .. }), "{error}");
        assert!(error.to_string().contains("one of oncall"), "{error}");
    }
    approve(&mut lab, "ann", &["oncall"]).unwrap();
    let again = approve(&mut lab, "ann", &["oncall", "payments"]).unwrap_err();
    assert!(matches!(again, DecideError::WordGiven { .. }), "{again}");
    let second = approve(&mut lab, "bob", &["oncall"]).unwrap_err();
    assert!(matches!(second, DecideError::NotAsked { .. }), "that item has its person: {second}");
    assert_eq!((approval(&lab).doc.state, approval(&lab).doc.given.len()), (ApprovalState::Pending, 1));
    assert!(lab.settle().is_empty());
}

#[test]
fn one_word_against_it_denies_whoever_approved_before() {
    let mut lab = asked();
    approve(&mut lab, "ann", &["oncall"]).unwrap();
    lab.decide("dee", Decision::Deny, "not now").unwrap();
    assert_eq!(approval(&lab).doc.state, ApprovalState::Denied);
    assert_eq!(incident(&lab).state, IncidentState::Escalated);
    assert!(lab.settle().is_empty());
}

#[test]
fn words_stand_while_the_same_plan_is_made_again() {
    let mut lab = asked();
    approve(&mut lab, "ann", &["oncall"]).unwrap();
    lab.pass(60);
    assert!(lab.settle().is_empty());
    assert_eq!((lab.approvals.len(), approval(&lab).doc.given.len()), (1, 1));
}

#[test]
fn who_breaks_the_glass_says_why_and_another_person_reviews_it() {
    let mut lab = asked();
    let breaks = |reason| Answer { reason, breaks_glass: true, ..Answer::of("eve", Decision::Approve) };
    let silent = lab.answer(&breaks("  ")).unwrap_err();
    assert!(matches!(silent, DecideError::NoReason { .. }), "{silent}");
    lab.answer(&breaks("the shop is down, and nobody answers")).unwrap();
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].approvals.iter().map(|it| it.by.as_str()).collect::<Vec<_>>(), ["eve"]);
    assert_eq!(lab.audited("approval.glass_broken"), 1);

    let review = |lab: &Lab, by: &str, note: &str| remediation::review(&approval(lab), by, note, lab.now);
    assert!(matches!(review(&lab, "eve", "fine"), Err(DecideError::OwnGlass { .. })));
    assert!(matches!(review(&lab, "ann", ""), Err(DecideError::NoReason { .. })));
    let changes = review(&lab, "ann", "it was right").unwrap();
    lab.commit(changes);
    assert!(matches!(review(&lab, "bob", "again"), Err(DecideError::Reviewed { .. })));
    assert_eq!(lab.audited("approval.reviewed"), 1);
}

#[test]
fn there_is_no_glass_where_one_person_is_enough() {
    let mut lab = stuck_rollout();
    lab.settle();
    let alone = Answer { reason: "now", breaks_glass: true, ..Answer::of("eve", Decision::Approve) };
    assert!(matches!(lab.answer(&alone), Err(DecideError::NoGlass { .. })));
    assert!(matches!(
        remediation::review(&approval(&lab), "ann", "fine", lab.now),
        Err(DecideError::NothingToReview { .. })
    ));
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1);
}

/// The checker counts for itself: an approval that was put together wrongly lets nothing out.
#[test]
fn an_approval_without_everybody_it_needs_stops_at_the_check() {
    let mut lab = asked();
    approve(&mut lab, "ann", &["oncall", "payments"]).unwrap();
    let mut forged = approval(&lab);
    forged.doc.state = ApprovalState::Approved;
    forged.doc.decided_by = Some("ann, bob".to_owned());
    forged.doc.decided_at = Some(lab.now);
    lab.commit(ChangeSet { approvals: vec![forged], ..ChangeSet::default() });
    let plan = lab.plans[&incident(&lab).plan_id.unwrap().to_string()].doc.clone();
    let found = lab.look(|s| check::check(&plan, s, lab.now));
    assert!(found.iter().any(|it| it.invariant == 2 && it.text.contains("names this digest")), "{found:?}");
}

#[test]
fn what_a_rule_would_do_by_itself_asks_where_several_people_are_needed() {
    let mut lab = crash_loop();
    lab.settings.quorum = vec![Quorum {
        actions: Vec::new(),
        clusters: vec![CLUSTER.to_owned()],
        groups: vec![groups(&["oncall"]), groups(&["oncall"])],
    }];
    assert!(lab.settle().is_empty(), "in the mode act, and a replaced pod goes by itself otherwise");
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::WaitingApproval);
    approve(&mut lab, "ann", &["oncall"]).unwrap();
    approve(&mut lab, "bob", &["oncall"]).unwrap();
    let jobs = lab.settle();
    assert_eq!((jobs.len(), jobs[0].approvals.len(), jobs[0].needs_approval), (1, 2, true));
}

#[test]
fn settings_that_need_others_ask_anew_whoever_approved_before() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.settings.quorum =
        vec![Quorum { actions: Vec::new(), clusters: Vec::new(), groups: vec![groups(&["oncall"])] }];
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert!(lab.settle().is_empty(), "approved by one who is of no group, as it was needed before");
    let states: Vec<_> = lab.approvals.values().map(|approval| approval.doc.state).collect();
    assert_eq!(states.iter().filter(|state| **state == ApprovalState::Expired).count(), 1, "{states:?}");
    approve(&mut lab, "ann", &["oncall"]).unwrap();
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn who_takes_a_denial_back_is_none_of_those_who_approve() {
    let mut lab = asked();
    lab.decide("dee", Decision::Deny, "not now").unwrap();
    let denied = lab.incidents.values().next().unwrap().clone();
    let changes = remediation::ask_again(&denied, "ann", lab.now).unwrap();
    lab.commit(changes);
    lab.settle();
    let error = approve(&mut lab, "ann", &["oncall"]).unwrap_err();
    assert!(matches!(error, DecideError::OwnRequest { .. }), "{error}");
    approve(&mut lab, "bob", &["oncall"]).unwrap();
    approve(&mut lab, "cas", &["payments"]).unwrap();
    assert_eq!(lab.settle().len(), 1);
}

/// The checker reads the settings for itself.
#[test]
fn a_plan_that_asks_nobody_stops_at_the_check_where_several_people_are_needed() {
    let mut lab = crash_loop();
    paused::pause(&mut lab, true, "");
    lab.settle();
    paused::resume(&mut lab, true);
    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(lab.look(|s| check::check(&plan, s, lab.now)), []);
    lab.settings.quorum =
        vec![Quorum { actions: Vec::new(), clusters: Vec::new(), groups: vec![groups(&["oncall"])] }];
    let found = lab.look(|s| check::check(&plan, s, lab.now));
    assert!(found.iter().any(|it| it.invariant == 2 && it.text.contains("asks nobody")), "{found:?}");
}

#[test]
fn who_took_a_denial_back_may_break_the_glass() {
    let mut lab = asked();
    lab.decide("ann", Decision::Deny, "a mistake").unwrap();
    let denied = lab.incidents.values().next().unwrap().clone();
    let changes = remediation::ask_again(&denied, "ann", lab.now).unwrap();
    lab.commit(changes);
    lab.settle();
    let reason = "the shop is down";
    let of = groups(&["payments"]);
    let answer = Answer { reason, breaks_glass: true, groups: &of, ..Answer::of("ann", Decision::Approve) };
    approve(&mut lab, "bob", &["oncall"]).unwrap();
    // Hers would be the last word that is missing, and is none of those that count.
    lab.answer(&answer).unwrap();
    assert_eq!(lab.settle().len(), 1);
    assert!(
        lab.approvals.values().any(|approval| approval.doc.broken_glass.is_some()),
        "and a review is owed"
    );
}

/// Whatever comes in between, who took the denial of a plan back is none of those who approve it.
#[test]
fn a_silence_in_between_makes_nobody_an_approver() {
    let mut lab = asked();
    lab.decide("dee", Decision::Deny, "not now").unwrap();
    let denied = lab.incidents.values().next().unwrap().clone();
    let changes = remediation::ask_again(&denied, "ann", lab.now).unwrap();
    lab.commit(changes);
    lab.settle();
    let incident = lab.incidents.values().next().unwrap().clone();
    let approval = lab.approvals.values().find(|it| it.doc.state == ApprovalState::Pending).cloned();
    let until = crate::settings::later(lab.now, jiff::SignedDuration::from_secs(60));
    let changes = remediation::silence(&incident, approval.as_ref(), until, "ann", "", lab.now).unwrap();
    lab.commit(changes);
    lab.settle();
    lab.pass(61);
    lab.settle();
    let error = approve(&mut lab, "ann", &["oncall"]).unwrap_err();
    assert!(matches!(error, DecideError::OwnRequest { .. }), "{error}");
}

/// What could not be done for a moment takes nobody's word back.
#[test]
fn the_words_of_several_outlive_a_moment_in_which_nothing_could_be_done() {
    let mut lab = asked();
    approve(&mut lab, "ann", &["oncall"]).unwrap();
    let cluster = lab.clusters[CLUSTER].clone();
    let changes =
        remediation::disable(&cluster, &[ActionKind::RollbackDeployment], false, "operator", lab.now);
    lab.commit(changes.unwrap());
    lab.settle();
    assert_eq!(approval(&lab).doc.state, ApprovalState::Pending);
    let cluster = lab.clusters[CLUSTER].clone();
    let changes = remediation::enable(&cluster, &[ActionKind::RollbackDeployment], None, "operator", lab.now);
    lab.commit(changes.unwrap());
    lab.settle();
    assert_eq!((lab.approvals.len(), approval(&lab).doc.given.len()), (1, 1));
}

/// A changed file, for which every action needs one of oncall.
fn drifted_for_oncall() -> Lab {
    let mut lab = drifted_file();
    lab.settings.quorum = vec![Quorum {
        actions: Vec::new(),
        clusters: vec!["edge".into()],
        groups: vec![groups(&["oncall"])],
    }];
    lab.settle();
    lab
}

fn accept(lab: &mut Lab, by: &str) {
    let id = lab.open(IncidentKind::FileDrift).id;
    let mut ids = lab.ids.clone();
    let changes = remediation::accept_baseline(&lab.snapshot(), id, by, lab.now, &mut ids).unwrap();
    lab.ids = ids;
    lab.commit(changes);
    lab.settle();
}

/// The approval that waits, as who asked for it and what it is about.
fn waits(lab: &Lab) -> Option<(String, ActionKind)> {
    let pending = lab.approvals.values().find(|approval| approval.doc.state == ApprovalState::Pending)?;
    let plan = &lab.plans[&pending.doc.plan_id.to_string()].doc;
    Some((pending.doc.requested_by.clone(), plan.action.kind().unwrap()))
}

#[test]
fn one_persons_order_is_asked_of_others_and_its_own_word_is_none_of_theirs() {
    let mut lab = drifted_for_oncall();
    accept(&mut lab, "ann");
    assert_eq!(waits(&lab), Some(("ann".into(), ActionKind::AcceptBaseline)));
    let own = approve(&mut lab, "ann", &["oncall"]).unwrap_err();
    assert!(matches!(own, DecideError::OwnRequest { .. }), "{own}");
    approve(&mut lab, "bob", &["oncall"]).unwrap();
    let jobs = lab.settle();
    assert_eq!((jobs.len(), jobs[0].requested_by.as_str()), (1, "ann"));
    assert_eq!(jobs[0].approvals.iter().map(|it| it.by.as_str()).collect::<Vec<_>>(), ["bob"]);
}

/// An order that was denied is over; what was denied before it stays denied, and nobody gets to approve it by that.
#[test]
fn a_denied_order_brings_back_nothing_that_was_denied_before() {
    let mut lab = drifted_for_oncall();
    assert_eq!(waits(&lab), Some(("nimbus".into(), ActionKind::RestoreFile)));
    lab.decide("dee", Decision::Deny, "leave it").unwrap();
    accept(&mut lab, "ann");
    lab.decide("ann", Decision::Deny, "not that either").unwrap();
    assert!(lab.settle().is_empty());
    assert_eq!(waits(&lab), None);
    let incident = lab.open(IncidentKind::FileDrift).clone();
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
    assert!(incident.reason.contains("incidents ask"), "{}", incident.reason);
    // Ordered again it is asked again.
    accept(&mut lab, "ann");
    assert_eq!(waits(&lab), Some(("ann".into(), ActionKind::AcceptBaseline)));
}

/// Nobody answered an order in its time: a person goes on with what was denied before it.
#[test]
fn an_order_that_nobody_answered_leaves_an_incident_that_says_what_to_do() {
    let mut lab = drifted_for_oncall();
    lab.decide("dee", Decision::Deny, "leave it").unwrap();
    accept(&mut lab, "ann");
    lab.pass(90_000);
    lab.settle();
    assert_eq!(waits(&lab), None);
    let incident = lab.open(IncidentKind::FileDrift).clone();
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
}

#[test]
fn an_order_is_given_again_when_the_settings_ask_others_since() {
    let mut lab = drifted_file();
    lab.settle();
    lab.settings.quorum =
        vec![Quorum { actions: Vec::new(), clusters: Vec::new(), groups: vec![groups(&["oncall"])] }];
    accept(&mut lab, "ann");
    assert_eq!(waits(&lab), Some(("ann".into(), ActionKind::AcceptBaseline)));
    lab.settings.quorum.clear();
    lab.settle();
    assert_eq!(waits(&lab), Some(("nimbus".into(), ActionKind::RestoreFile)));
}
