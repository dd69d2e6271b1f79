//! Evictions that a budget refused, where budgets are watched: asked for again as soon as none stands in the way, and seldom
//! before.

use jiff::SignedDuration;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::model::*;
use crate::remediation::budgets::{Standing, standing};

const SAID: &str = "budget web-guard (minAvailable 3, 2 of 3 pods healthy) does not allow it";

fn labelled(mut pod: v1::Pod) -> v1::Pod {
    let facts = pod.facts.get_or_insert_default();
    facts.labels = vec![v1::Label { key: "app".into(), value: "web".into() }];
    facts.labels_complete = true;
    pod
}

fn crashes() -> v1::Pod {
    crashing(pod("web-1", "0", "node-a"), 4)
}

/// The pod that crash-loops has the label `app=web`.
fn labelled_crash_loop() -> Lab {
    let mut lab = crash_loop();
    lab.see(Body::Pod(labelled(crashes())));
    lab
}

fn see(lab: &mut Lab, budget: v1::PodDisruptionBudget) {
    lab.see(Body::PodDisruptionBudget(budget));
}

fn refuse(lab: &mut Lab, job: &v1::Job) {
    assert!(lab.report(job, Phase::Accepted, "", ""));
    assert!(lab.report(job, Phase::Refused, "eviction_refused", SAID));
}

/// The next job goes out, and is refused.
fn refuse_next(lab: &mut Lab) {
    let job = lab.settle().pop().unwrap();
    refuse(lab, &job);
}

/// For how long it waits from now on, seconds.
fn wait(lab: &Lab) -> i64 {
    let next = lab.open(IncidentKind::PodCrashLoop).next_attempt_at.unwrap();
    next.duration_since(lab.now).as_secs()
}

fn reason(lab: &Lab) -> &str {
    &lab.open(IncidentKind::PodCrashLoop).reason
}

#[test]
fn as_soon_as_no_budget_stands_in_the_way_it_is_asked_for_again() {
    type Change = fn(&mut Lab);
    let cases: [(&str, Change); 5] = [
        ("it allows one", |lab| see(lab, budget("web-guard", "web", 1))),
        ("enough others are healthy", |lab| {
            see(lab, v1::PodDisruptionBudget { current_healthy: 3, ..budget("web-guard", "web", 0) });
        }),
        ("it lets unready pods go, which its controller has not seen yet", |lab| {
            see(
                lab,
                v1::PodDisruptionBudget {
                    generation: 2,
                    unhealthy_pod_eviction_policy: "AlwaysAllow".into(),
                    ..budget("web-guard", "web", 0)
                },
            );
        }),
        ("it selects other pods", |lab| see(lab, budget("web-guard", "api", 0))),
        ("it is gone", |lab| {
            lab.see(gone("PodDisruptionBudget", "PodDisruptionBudget-web-guard"));
        }),
    ];
    for (what, change) in cases {
        let mut lab = labelled_crash_loop();
        see(&mut lab, budget("web-guard", "web", 0));
        // Budgets of other pods and namespaces are in nobody's way.
        see(&mut lab, budget("api-guard", "api", 0));
        let mut foreign = budget("foreign", "web", 0);
        foreign.meta = foreign.meta.map(|meta| v1::ObjectMeta { namespace: "bank".into(), ..meta });
        see(&mut lab, foreign);
        refuse_next(&mut lab);
        lab.pass(60);
        assert_eq!(lab.settle(), [], "{what}");
        change(&mut lab);
        let jobs = lab.settle();
        let [job] = &jobs[..] else { panic!("{what}: {:#?}", lab.incidents) };
        assert_eq!(lab.jobs[&job.job_id].doc.again, 1, "{what}: it is the plan that it was");
        // Refused all the same, it waits as any refused eviction.
        refuse(&mut lab, job);
        assert_eq!(wait(&lab), 2, "{what}");
        assert!(reason(&lab).contains("no attempt is counted; asked again at"), "{}", reason(&lab));
        lab.pass(1);
        assert_eq!(lab.settle(), [], "{what}");
        lab.pass(1);
        assert_eq!(lab.settle().len(), 1, "{what}");
    }
}

#[test]
fn a_change_right_after_the_refusal_is_followed_a_second_later() {
    let mut lab = labelled_crash_loop();
    see(&mut lab, budget("web-guard", "web", 0));
    refuse_next(&mut lab);
    see(&mut lab, budget("web-guard", "web", 1));
    assert_eq!(lab.settle(), []);
    lab.pass(1);
    assert_eq!(lab.settle().len(), 1);
}

/// It changed while the try was on its way: the refusal is of the state before.
#[test]
fn a_change_while_it_was_asked_for_is_followed_too() {
    let mut lab = labelled_crash_loop();
    see(&mut lab, budget("web-guard", "web", 0));
    refuse_next(&mut lab);
    lab.pass(300);
    let job = lab.settle().pop().unwrap();
    see(&mut lab, budget("web-guard", "web", 1));
    refuse(&mut lab, &job);
    lab.pass(1);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn while_a_budget_stands_in_the_way_it_is_asked_for_seldom_and_the_incident_says_so() {
    let mut lab = labelled_crash_loop();
    // The wait is no sign of a clock that was ahead.
    lab.settings.backoff_max_ms = 30_000;
    see(&mut lab, budget("web-guard", "web", 0));
    let (start, mut tries) = (lab.now, 0);
    while lab.now < start + SignedDuration::from_hours(1) {
        for job in lab.settle() {
            refuse(&mut lab, &job);
            assert_eq!(wait(&lab), 300);
            tries += 1;
        }
        // Its figures move, and it still does not allow it.
        let current_healthy = 1 + i32::from(tries % 2 == 0);
        see(&mut lab, v1::PodDisruptionBudget { current_healthy, ..budget("web-guard", "web", 0) });
        lab.pass(5);
    }
    assert_eq!((tries, lab.audited("job.signed"), lab.audited("job.refused")), (12, 12, 1));
    let reason = reason(&lab);
    assert!(reason.contains(SAID) && reason.contains("12 times by now"), "{reason}");
    for words in [
        "; asked again as soon as budget web-guard (minAvailable 3, ",
        "of 3 pods healthy, 3 needed, 0 disruptions allowed) allows it: that is watched, and it is asked for at 2",
        " at the latest",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).attempts, 0);
}

#[test]
fn a_budget_that_is_heard_of_after_the_refusal_counts_from_then_on() {
    let mut lab = labelled_crash_loop();
    refuse_next(&mut lab);
    assert_eq!(wait(&lab), 1);
    see(&mut lab, budget("web-guard", "web", 0));
    assert_eq!(lab.settle(), []);
    assert_eq!(wait(&lab), 300);
    assert!(reason(&lab).contains("asked again as soon as budget web-guard"), "{}", reason(&lab));
    lab.pass(299);
    assert_eq!(lab.settle(), []);
    lab.pass(1);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn two_budgets_on_one_pod_stand_in_the_way_whatever_they_allow() {
    let mut lab = labelled_crash_loop();
    see(&mut lab, budget("web-first", "web", 1));
    see(&mut lab, budget("web-second", "web", 0));
    refuse_next(&mut lab);
    assert_eq!(wait(&lab), 300);
    let words = "only one of 2 budgets (web-first, web-second) selects it";
    assert!(reason(&lab).contains(words), "{}", reason(&lab));
    see(&mut lab, budget("web-second", "web", 1));
    lab.pass(60);
    assert_eq!(lab.settle(), []);
    lab.see(gone("PodDisruptionBudget", "PodDisruptionBudget-web-second"));
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn where_budgets_are_not_listed_the_waits_are_those_of_any_refused_eviction() {
    let mut lab = labelled_crash_loop();
    see(&mut lab, budget("web-guard", "web", 0));
    lab.see(begin("PodDisruptionBudget", 1));
    let mut waits = Vec::new();
    for _ in 0..8 {
        refuse_next(&mut lab);
        assert!(reason(&lab).contains("no attempt is counted; asked again at"), "{}", reason(&lab));
        waits.push(wait(&lab));
        see(&mut lab, budget("web-guard", "web", 1));
        if wait(&lab) > 1 {
            lab.pass(1);
            assert_eq!(lab.settle(), []);
        }
        lab.now = lab.open(IncidentKind::PodCrashLoop).next_attempt_at.unwrap();
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 45, 45]);
}

/// Whom the budgets of its namespace select is not told: each may be its own.
#[test]
fn of_a_pod_whose_labels_are_not_told_all_budgets_of_its_namespace_have_to_allow_it() {
    let mut lab = crash_loop();
    see(&mut lab, budget("any", "api", 0));
    for expected in [1, 2, 4, 8, 16] {
        refuse_next(&mut lab);
        assert_eq!(wait(&lab), expected, "that one stands in the way is not known");
        lab.now = lab.open(IncidentKind::PodCrashLoop).next_attempt_at.unwrap();
    }
    refuse_next(&mut lab);
    // Two may be its own, and Kubernetes evicts no such pod.
    see(&mut lab, budget("any", "api", 1));
    see(&mut lab, budget("other", "db", 1));
    lab.pass(1);
    assert_eq!(lab.settle(), []);
    lab.see(gone("PodDisruptionBudget", "PodDisruptionBudget-other"));
    assert_eq!(lab.settle().len(), 1);
}

/// The API asks no budget for a pod that has not started, and there is nothing to wait for when it is gone.
#[test]
fn of_a_pod_that_no_budget_is_asked_for_none_stands_in_the_way() {
    let mut lab = labelled_crash_loop();
    see(&mut lab, budget("web-guard", "web", 0));
    let mut initializing = labelled(crashes());
    initializing.phase = "Pending".into();
    lab.see(Body::Pod(initializing));
    refuse_next(&mut lab);
    assert_eq!(wait(&lab), 1);
    let scope = lab.open(IncidentKind::PodCrashLoop).scope.clone();
    let found = |lab: &Lab| lab.look(|s| standing(&scope, "pod-web-1-0", s));
    assert_eq!(found(&lab), Standing::Free);
    lab.see(Body::Pod(labelled(crashes())));
    assert!(matches!(found(&lab), Standing::InTheWay(_)));
    lab.see(gone("Pod", "pod-web-1-0"));
    assert_eq!(found(&lab), Standing::Free);
}

/// Somebody else takes each disruption that it allows, as a drain of a node does: what is refused early again and again is asked for
/// the more seldom, and another one whose budget is free goes before it.
#[test]
fn a_budget_that_allows_for_a_moment_again_and_again_is_no_reason_to_ask_all_the_time() {
    let mut lab = labelled_crash_loop();
    see(&mut lab, budget("web-guard", "web", 0));
    refuse_next(&mut lab);
    let (start, mut tries) = (lab.now, 0);
    while lab.now < start + SignedDuration::from_hours(1) {
        see(&mut lab, budget("web-guard", "web", 1));
        for job in lab.settle() {
            see(&mut lab, budget("web-guard", "web", 0));
            refuse(&mut lab, &job);
            tries += 1;
        }
        see(&mut lab, budget("web-guard", "web", 0));
        lab.settle();
        lab.pass(5);
    }
    assert!((10..=32).contains(&tries), "{tries}");
    // Once it stood for as long as a try waits at most, the next change is followed at once.
    lab.pass(300);
    refuse_next(&mut lab);
    lab.pass(2);
    see(&mut lab, budget("web-guard", "web", 1));
    assert_eq!(lab.settle().len(), 1);
}

/// What was refused for another reason is not waited for as if a budget had refused it.
#[test]
fn a_refusal_that_names_no_budget_waits_as_any_does() {
    let mut lab = labelled_crash_loop();
    see(&mut lab, budget("web-guard", "web", 0));
    let job = lab.settle().pop().unwrap();
    assert!(lab.report(&job, Phase::Accepted, "", ""));
    let said = "the API server does not allow the eviction of budgets/budget-api: namespace budgets is being terminated";
    assert!(lab.report(&job, Phase::Refused, "eviction_refused", said));
    lab.settle();
    assert!(wait(&lab) < 300 && !reason(&lab).contains("as soon as budget"), "{}", reason(&lab));
}
