//! Scenes of autoscalers at their maximum: one warning that says how many replicas would do and what speaks against them, and nothing
//! concluded from what is not told or was said of another time. When it is raised is in `raised_maximum`.

use super::*;
use crate::model::*;

pub(super) fn metric(name: &str, permille: u64) -> v1::AutoscalerMetric {
    v1::AutoscalerMetric { name: name.into(), of_aim_permille: permille }
}

/// The autoscaler of Deployment `web`, which makes ten replicas of at most ten, at this part of its aim.
pub(super) fn at_maximum(permille: u64) -> v1::HorizontalPodAutoscaler {
    v1::HorizontalPodAutoscaler {
        limited_reason: "TooManyReplicas".into(),
        metrics: vec![metric("memory", 700), metric("cpu", permille)],
        ..autoscaler("web", 10)
    }
}

pub(super) fn see(lab: &mut Lab, told: v1::HorizontalPodAutoscaler) {
    lab.see(Body::HorizontalPodAutoscaler(told));
}

/// `web` with ten pods that are well, and this autoscaler for six minutes.
pub(super) fn held_back(told: v1::HorizontalPodAutoscaler) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 10, 1);
    for n in 0..10 {
        lab.see(Body::Pod(pod("web-1", &n.to_string(), "node-a")));
    }
    see(&mut lab, told);
    lab.pass(360);
    lab
}

/// What it recommends, and its evidence.
pub(super) fn told(lab: &mut Lab) -> (String, String) {
    assert!(lab.settle().is_empty(), "nothing is done by Nimbus");
    let incident = lab.open(IncidentKind::AutoscalerAtMaximum);
    assert_eq!((incident.severity, incident.plan_id), (Severity::Warning, None));
    (incident.reason.clone(), incident.evidence[0].clone())
}

fn is_quiet(lab: &mut Lab) -> bool {
    lab.settle();
    lab.incidents.is_empty()
}

#[test]
fn one_that_wants_more_for_five_minutes_is_told_with_how_many_would_do() {
    let mut lab = held_back(at_maximum(1_500));
    assert!(lab.settle().is_empty(), "a person is asked");
    let incident = lab.open(IncidentKind::AutoscalerAtMaximum);
    assert_eq!((incident.severity, incident.state), (Severity::Warning, IncidentState::WaitingApproval));
    let evidence = incident.evidence[0].clone();
    assert!(evidence.contains("it asks for 10 of at most 10 replicas of Deployment web"), "{evidence}");
    assert!(evidence.contains("memory at 70 % of its aim, cpu at 150 % of its aim"), "{evidence}");
    assert!(evidence.contains("by that about 15 replicas would do"), "{evidence}");

    // Somebody raised it, and its controller did not look yet; then it did, and it stays so.
    see(&mut lab, v1::HorizontalPodAutoscaler { generation: 4, max_replicas: 16, ..at_maximum(1_500) });
    lab.settle();
    lab.open(IncidentKind::AutoscalerAtMaximum);
    let mut within = autoscaler("web", 16);
    (within.generation, within.observed_generation, within.desired_replicas) = (4, 4, 15);
    see(&mut lab, within);
    lab.pass(119);
    lab.settle();
    lab.open(IncidentKind::AutoscalerAtMaximum);
    lab.pass(1);
    lab.settle();
    let ended = lab.last(IncidentKind::AutoscalerAtMaximum);
    assert_eq!(ended.state, IncidentState::Resolved);
    assert!(ended.reason.contains("it makes 15 of at most 16 replicas"), "{}", ended.reason);
}

/// The condition alone is true for longer: it tells of the other bound too, and keeps the greatest wish of the last five minutes.
#[test]
fn five_minutes_count_from_when_it_was_seen_to_want_more() {
    let mut lab = Lab::new();
    see(
        &mut lab,
        v1::HorizontalPodAutoscaler { limited_reason: "TooFewReplicas".into(), ..autoscaler("web", 10) },
    );
    lab.pass(36_000);
    see(
        &mut lab,
        v1::HorizontalPodAutoscaler { limited_reason: "ScaleUpLimit".into(), ..autoscaler("web", 10) },
    );
    lab.pass(3_600);
    see(&mut lab, at_maximum(1_500));
    lab.pass(299);
    assert!(is_quiet(&mut lab), "a night at its minimum is no time at its maximum");
    // What it measures moves meanwhile.
    see(&mut lab, at_maximum(1_700));
    lab.pass(1);
    lab.settle();
    lab.open(IncidentKind::AutoscalerAtMaximum);

    // A peak of a moment, of which the condition goes on to tell.
    let mut lab = Lab::new();
    for _ in 0..5 {
        see(&mut lab, at_maximum(1_500));
        lab.pass(60);
        see(&mut lab, at_maximum(900));
        lab.pass(280);
        assert!(is_quiet(&mut lab));
    }
}

#[test]
fn load_around_the_maximum_is_one_incident() {
    let mut lab = held_back(at_maximum(1_200));
    lab.settle();
    for _ in 0..5 {
        see(&mut lab, at_maximum(1_000));
        lab.pass(60);
        lab.settle();
        see(&mut lab, at_maximum(1_100));
        lab.pass(60);
        lab.settle();
    }
    lab.open(IncidentKind::AutoscalerAtMaximum);
    assert_eq!(lab.incidents.len(), 1);
}

/// Absent is unknown, never zero: no number is made up, and it takes longer than Kubernetes remembers a peak.
#[test]
fn without_figures_it_says_that_it_does_not_know_how_many_would_do() {
    for metrics in [vec![], vec![metric("cpu", 0)], vec![metric("memory", 700), metric("cpu", 0)]] {
        let mut lab = held_back(v1::HorizontalPodAutoscaler { metrics, ..at_maximum(0) });
        assert!(is_quiet(&mut lab), "six minutes");
        lab.pass(240);
        let (_, evidence) = told(&mut lab);
        assert!(evidence.contains("how many replicas would do is not known"), "{evidence}");
    }
    // With one that is not known another one tells the least.
    let metrics = vec![metric("cpu", 1_500), metric("queue", 0)];
    let mut lab = held_back(v1::HorizontalPodAutoscaler { metrics, ..at_maximum(0) });
    lab.settle();
    let evidence = lab.open(IncidentKind::AutoscalerAtMaximum).evidence[0].clone();
    assert!(
        evidence.contains("queue unknown; by what is known about 15 replicas would do at least"),
        "{evidence}"
    );
    // So much or more is no figure to reckon with.
    let (_, evidence) = told(&mut held_back(at_maximum(100_000)));
    assert!(
        evidence.contains("cpu at 10000 % of its aim or more; how many replicas would do is not known"),
        "{evidence}"
    );
}

#[test]
fn where_its_pods_cannot_be_scheduled_that_comes_first_in_the_schedulers_words() {
    for (words, first) in [
        ("0/3 nodes are available: 3 Insufficient cpu", "add nodes, or lower what its pods request"),
        ("0/3 nodes are available: 3 node(s) had untolerated taint", "see to that"),
    ] {
        let mut lab = held_back(at_maximum(1_500));
        let mut waits = pod("web-1", "9", "");
        (waits.ready, waits.phase, waits.unschedulable) = (false, "Pending".into(), words.into());
        lab.see(Body::Pod(waits));
        let (reason, _) = told(&mut lab);
        assert!(reason.contains(&format!("({words})")) && reason.contains(first), "{reason}");
        assert!(!reason.contains("raise spec"), "{reason}");
    }
}

#[test]
fn where_pods_are_missing_or_not_ready_they_come_first() {
    let mut lab = held_back(at_maximum(1_500));
    lab.see(Body::Pod(v1::Pod { ready: false, ..pod("web-1", "1", "node-b") }));
    let (reason, _) = told(&mut lab);
    assert!(reason.contains("are not ready, and the load is on those that are"), "{reason}");
    let mut lab = held_back(at_maximum(1_500));
    lab.see(gone("Pod", "pod-web-1-9"));
    let (reason, _) = told(&mut lab);
    assert!(reason.contains("fewer pods of Deployment web are there than are asked for"), "{reason}");
    // Pods of others in the namespace say nothing of it.
    let mut lab = held_back(at_maximum(1_500));
    lab.deploy("other", 1, 1);
    lab.see(Body::Pod(v1::Pod { ready: false, ..pod("other-1", "0", "node-b") }));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::AutoscalerAtMaximum).state, IncidentState::WaitingApproval);
}

#[test]
fn where_pods_are_not_known_that_is_said() {
    let mut lab = held_back(at_maximum(1_500));
    lab.see(begin("Pod", 1));
    let (reason, _) = told(&mut lab);
    assert!(reason.starts_with("unknown: ") && reason.contains("nothing is planned"), "{reason}");
}

#[test]
fn where_somebody_keeps_its_bounds_they_are_raised_there() {
    let (manager, manager_evidence) = ("argocd".to_owned(), "Application web".to_owned());
    let mut lab = held_back(v1::HorizontalPodAutoscaler { manager, manager_evidence, ..at_maximum(1_500) });
    let (reason, _) = told(&mut lab);
    assert!(reason.contains("raise its maximum (10) where Argo CD keeps it (Application web)"), "{reason}");
}

#[test]
fn one_that_does_not_scale_or_says_nothing_of_now_neither_opens_nor_ends_anything() {
    let changed = |change: fn(&mut v1::HorizontalPodAutoscaler)| {
        let mut told = at_maximum(1_500);
        change(&mut told);
        told
    };
    let all = [
        changed(|it| {
            (it.scaling_active, it.inactive_reason) = ("False".into(), "FailedGetResourceMetric".into());
        }),
        changed(|it| it.scaling_active = "Unknown".into()),
        // Its target cannot be read: all else is what it said before.
        changed(|it| it.able_to_scale = "False".into()),
        changed(|it| it.able_to_scale = "Unknown".into()),
        changed(|it| (it.generation, it.observed_generation) = (4, 3)),
    ];
    for told in all {
        let mut lab = held_back(told.clone());
        lab.pass(3_600);
        assert!(is_quiet(&mut lab), "{told:?}");
        let mut lab = held_back(at_maximum(1_500));
        lab.settle();
        see(&mut lab, told.clone());
        lab.pass(3_600);
        lab.settle();
        lab.open(IncidentKind::AutoscalerAtMaximum);
    }
    // Whoever wrote one number for both bounds pinned it.
    let pinned = v1::HorizontalPodAutoscaler { min_replicas: 10, ..at_maximum(1_500) };
    assert!(is_quiet(&mut held_back(pinned)));
}

#[test]
fn one_that_is_gone_switched_off_or_without_its_target_ends_its_incident() {
    let ends = |change: fn(&mut Lab), words: &str| {
        let mut lab = held_back(at_maximum(1_500));
        lab.settle();
        change(&mut lab);
        lab.settle();
        let ended = lab.last(IncidentKind::AutoscalerAtMaximum);
        assert_eq!(ended.state, IncidentState::Resolved, "{words}");
        assert!(ended.reason.contains(words), "{}", ended.reason);
    };
    let without_it = |lab: &mut Lab| {
        lab.see(gone("HorizontalPodAutoscaler", "hpa-web"));
    };
    ends(without_it, "no longer exists");
    let off = |lab: &mut Lab| {
        let mut told = v1::HorizontalPodAutoscaler { current_replicas: 0, ..at_maximum(0) };
        (told.scaling_active, told.inactive_reason) = ("False".into(), "ScalingDisabled".into());
        see(lab, told);
    };
    ends(off, "is switched off: there are no replicas of Deployment web");
    let without = |lab: &mut Lab| {
        lab.see(gone("Deployment", "dep-web"));
        see(lab, v1::HorizontalPodAutoscaler { able_to_scale: "False".into(), ..at_maximum(1_500) });
    };
    ends(without, "Deployment web that");
}

/// A busy hour is no failure: what has to be begun elsewhere is begun.
#[test]
fn many_at_their_maximum_are_no_storm() {
    let mut lab = Lab::new();
    for n in 0..60 {
        let meta = Some(meta("hpa", &format!("web-{n}"), None));
        see(&mut lab, v1::HorizontalPodAutoscaler { meta, ..at_maximum(1_500) });
    }
    lab.pass(360);
    lab.settle();
    let open = lab.incidents.values().filter(|i| i.doc.is_open());
    assert!(open.clone().count() == 60 && open.clone().all(|i| i.doc.kind != IncidentKind::Storm));
}
