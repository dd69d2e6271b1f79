//! Scenes of workloads that somebody else keeps: the topmost owner is named, and what is its own to do is left to it.

use super::*;
use crate::model::*;

/// Two pods of a ReplicaSet that a Rollout of Argo Rollouts owns, one of which crash-loops.
fn argo_rollout() -> Lab {
    let mut lab = Lab::new();
    let mut set = replica_set("shop", 1, 2);
    let mut own = meta("rs", "shop-1", Some(("Rollout", "shop")));
    own.owner_api_version = "argoproj.io/v1alpha1".into();
    set.meta = Some(own);
    lab.see(Body::ReplicaSet(set));
    lab.see(Body::Pod(pod("shop-1", "0", "node-a")));
    lab.see(Body::Pod(crashing(pod("shop-1", "1", "node-b"), 4)));
    lab
}

#[test]
fn one_pod_of_an_argo_rollout_is_left_to_its_rollout() {
    let mut lab = argo_rollout();
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(incident.reason.contains("rollout/shop"), "{}", incident.reason);
    let Some(Workload::Other(owner)) = &incident.workload else { panic!("{:?}", incident.workload) };
    assert_eq!((owner.kind.as_str(), owner.group.as_str()), ("Rollout", "argoproj.io"));
    assert!(lab.approvals.is_empty());
}

#[test]
fn the_deployment_of_another_tool_is_rolled_back_there_and_the_tool_is_named() {
    for (manager, name, evidence) in [
        ("argocd", "Argo CD", "Application shop: argocd-controller wrote the pod template"),
        ("flux", "Flux", "Kustomization flux-system/apps"),
        ("operator", "its owner", "owned by ClusterServiceVersion etcd.v1"),
    ] {
        let mut lab = stuck_rollout();
        lab.see(Body::Deployment(v1::Deployment {
            manager: manager.into(),
            manager_evidence: evidence.into(),
            ..stuck("web", 3, 7)
        }));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::RolloutStuck);
        assert_eq!(incident.state, IncidentState::Escalated);
        assert!(incident.reason.contains(name) && incident.reason.contains(evidence), "{}", incident.reason);
        assert!(lab.approvals.is_empty());
    }
}
