//! Scenes of autoscalers at their maximum: one warning that says how many replicas would do and what speaks against them, nothing
//! done by Nimbus, and nothing concluded from what is not told.

use super::*;
use crate::model::*;

/// The autoscaler of Deployment `web`, which makes ten replicas of at most ten since `since`, at this part of its aim.
fn at_maximum(since: jiff::Timestamp, permille: u64) -> v1::HorizontalPodAutoscaler {
    v1::HorizontalPodAutoscaler {
        limited_reason: "TooManyReplicas".into(),
        limited_since_us: nimbus_protocol::to_micros(since),
        metrics: vec![
            v1::AutoscalerMetric { name: "memory".into(), of_aim_permille: 700 },
            v1::AutoscalerMetric { name: "cpu".into(), of_aim_permille: permille },
        ],
        ..autoscaler("web", 10)
    }
}

fn see(lab: &mut Lab, told: v1::HorizontalPodAutoscaler) {
    lab.see(Body::HorizontalPodAutoscaler(told));
}

/// `web` with two pods that are well, and an autoscaler that has been at its maximum for six minutes.
fn held_back(permille: u64) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Pod(pod("web-1", "0", "node-a")));
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    let since = lab.now;
    see(&mut lab, at_maximum(since, permille));
    lab.pass(360);
    lab
}

fn advice(lab: &mut Lab) -> String {
    assert!(lab.settle().is_empty(), "nothing is done by Nimbus");
    let incident = lab.open(IncidentKind::AutoscalerAtMaximum);
    assert_eq!((incident.severity, incident.plan_id), (Severity::Warning, None));
    incident.reason.clone()
}

#[test]
fn one_at_its_maximum_for_five_minutes_is_told_with_how_many_would_do() {
    let mut lab = held_back(1_500);
    let advice = advice(&mut lab);
    assert!(advice.contains("about 15 replicas of Deployment web would do"), "{advice}");
    assert!(advice.contains("raise spec.maxReplicas (10) of shop/web"), "{advice}");
    let incident = lab.open(IncidentKind::AutoscalerAtMaximum).clone();
    assert!(
        incident.evidence[0].contains("it makes 10 of at most 10 replicas of Deployment web"),
        "{incident:?}"
    );
    assert!(
        incident.evidence[0].contains("memory at 70 % of its aim, cpu at 150 % of its aim"),
        "{incident:?}"
    );

    // Somebody raised it, and its controller did not look yet; then it did.
    let mut raised = at_maximum(lab.now, 1_500);
    (raised.generation, raised.max_replicas) = (4, 16);
    see(&mut lab, raised);
    lab.settle();
    lab.open(IncidentKind::AutoscalerAtMaximum);
    let mut within = autoscaler("web", 16);
    (within.generation, within.observed_generation, within.desired_replicas) = (4, 4, 15);
    see(&mut lab, within);
    lab.settle();
    let ended = lab.last(IncidentKind::AutoscalerAtMaximum);
    assert_eq!(ended.state, IncidentState::Resolved);
    assert!(ended.reason.contains("it makes 15 of at most 16 replicas"), "{}", ended.reason);
}

#[test]
fn a_peak_that_is_over_within_five_minutes_is_not_told() {
    let mut lab = Lab::new();
    let since = lab.now;
    see(&mut lab, at_maximum(since, 1_500));
    lab.pass(299);
    lab.settle();
    assert!(lab.incidents.is_empty());
    lab.pass(1);
    lab.settle();
    lab.open(IncidentKind::AutoscalerAtMaximum);

    // One that does not say since when is at it for an unknown time.
    let mut lab = held_back(1_500);
    see(&mut lab, v1::HorizontalPodAutoscaler { limited_since_us: 0, ..at_maximum(since, 1_500) });
    lab.settle();
    assert!(lab.incidents.is_empty());
}

/// Absent is unknown, never zero: no number is made up.
#[test]
fn without_figures_it_says_that_it_does_not_know_how_many_would_do() {
    for told in [vec![], vec![v1::AutoscalerMetric { name: "cpu".into(), of_aim_permille: 0 }]] {
        let mut lab = held_back(1_500);
        let since = lab.now - jiff::SignedDuration::from_mins(6);
        see(&mut lab, v1::HorizontalPodAutoscaler { metrics: told, ..at_maximum(since, 1_500) });
        let advice = advice(&mut lab);
        assert!(advice.starts_with("how many replicas of Deployment web would do is not known"), "{advice}");
    }
    // All of them at or below their aim: others than the metrics hold it there, such as a pause before it scales in.
    let advice = advice(&mut held_back(900));
    assert!(advice.contains("is not known from what it measures"), "{advice}");
}

#[test]
fn where_its_pods_wait_for_room_nodes_come_first() {
    let mut lab = held_back(1_500);
    let mut waits = pod("web-1", "2", "");
    (waits.ready, waits.phase) = (false, "Pending".into());
    waits.unschedulable = "0/3 nodes are available: 3 Insufficient cpu".into();
    lab.see(Body::Pod(waits));
    let advice = advice(&mut lab);
    assert!(advice.contains("but 1 of its pods wait for a node that has room"), "{advice}");
    assert!(advice.contains("Add nodes"), "{advice}");
}

#[test]
fn where_its_pods_are_not_well_they_come_first() {
    let mut lab = held_back(1_500);
    lab.see(Body::Pod(v1::Pod { ready: false, ..pod("web-1", "1", "node-b") }));
    let advice = advice(&mut lab);
    assert!(advice.contains("but 1 of its 2 pods are not ready"), "{advice}");
    // Pods of others in the namespace say nothing of it.
    let mut lab = held_back(1_500);
    lab.deploy("other", 1, 1);
    lab.see(Body::Pod(v1::Pod { ready: false, ..pod("other-1", "0", "node-b") }));
    lab.settle();
    let reason = &lab.open(IncidentKind::AutoscalerAtMaximum).reason;
    assert!(reason.contains("raise spec.maxReplicas"), "{reason}");
}

#[test]
fn where_somebody_keeps_its_bounds_they_are_raised_there() {
    let mut lab = held_back(1_500);
    let since = lab.now - jiff::SignedDuration::from_mins(6);
    let (manager, manager_evidence) = ("argocd".to_owned(), "Application web".to_owned());
    see(&mut lab, v1::HorizontalPodAutoscaler { manager, manager_evidence, ..at_maximum(since, 1_500) });
    let advice = advice(&mut lab);
    assert!(advice.contains("raise its maximum (10) where Argo CD keeps it (Application web)"), "{advice}");
}

#[test]
fn one_that_does_not_scale_neither_opens_nor_ends_anything() {
    let since = Lab::new().now;
    let inactive = || v1::HorizontalPodAutoscaler {
        scaling_active: "False".into(),
        inactive_reason: "FailedGetResourceMetric: no metrics API".into(),
        ..at_maximum(since, 1_500)
    };
    for told in [
        inactive(),
        v1::HorizontalPodAutoscaler { scaling_active: "Unknown".into(), ..at_maximum(since, 1_500) },
        v1::HorizontalPodAutoscaler { limited_reason: "TooFewReplicas".into(), ..at_maximum(since, 1_500) },
        v1::HorizontalPodAutoscaler { generation: 4, observed_generation: 3, ..at_maximum(since, 1_500) },
    ] {
        let mut lab = Lab::new();
        see(&mut lab, told.clone());
        lab.pass(360);
        lab.settle();
        assert!(lab.incidents.is_empty(), "{told:?}");
    }
    let mut lab = held_back(1_500);
    lab.settle();
    see(&mut lab, v1::HorizontalPodAutoscaler { limited_reason: String::new(), ..inactive() });
    lab.settle();
    lab.open(IncidentKind::AutoscalerAtMaximum);
}

#[test]
fn one_that_is_gone_ends_its_incident() {
    let mut lab = held_back(1_500);
    lab.settle();
    lab.see(gone("HorizontalPodAutoscaler", "hpa-web"));
    lab.settle();
    let ended = lab.last(IncidentKind::AutoscalerAtMaximum);
    assert_eq!(ended.state, IncidentState::Resolved);
    assert!(ended.reason.contains("no longer exists"), "{}", ended.reason);
}

/// A busy hour is no failure: what has to be begun elsewhere is begun.
#[test]
fn many_at_their_maximum_are_no_storm() {
    let mut lab = Lab::new();
    let since = lab.now;
    for n in 0..60 {
        let mut told = at_maximum(since, 1_500);
        told.meta = Some(meta("hpa", &format!("web-{n}"), None));
        see(&mut lab, told);
    }
    lab.pass(360);
    lab.settle();
    let open = lab.incidents.values().filter(|i| i.doc.is_open());
    assert!(open.clone().count() == 60 && open.clone().all(|i| i.doc.kind != IncidentKind::Storm));
}
