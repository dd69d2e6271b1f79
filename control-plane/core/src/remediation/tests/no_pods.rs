//! Scenes of a rollout that has no pods, or none that can start: the reason is read and quoted word for word; the template
//! is innocent and is not rolled back.

use super::*;
use crate::model::*;
use crate::remediation::Decision;

const QUOTA: &str = "FailedCreate: pods \"web-7-x\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, \
                     limited: pods=3";

/// Revision 6 lasted; of revision 7 no pod can be made.
fn without_a_pod(change: impl FnOnce(&mut v1::Deployment)) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 6);
    let mut seen = v1::Deployment { updated: 0, available: 3, ready: 3, ..stuck("web", 3, 7) };
    change(&mut seen);
    lab.see(Body::Deployment(seen));
    lab.see(Body::ReplicaSet(replica_set("web", 7, 0)));
    lab
}

fn recommends(lab: &mut Lab, words: &str) {
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!((incident.state, lab.incidents.len()), (IncidentState::Escalated, 1), "{}", incident.reason);
    assert!(incident.reason.contains(words), "{}", incident.reason);
    assert!(lab.approvals.is_empty());
}

#[test]
fn a_quota_is_quoted_nothing_is_rolled_back_and_it_is_over_when_the_rollout_ends() {
    let mut lab = without_a_pod(|d| d.replica_failure = QUOTA.into());
    recommends(&mut lab, "exceeded quota: small, requested: pods=1");
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert!(incident.title.contains("cannot be made"), "{}", incident.title);
    assert!(incident.evidence.iter().any(|line| line.contains(QUOTA)), "{:?}", incident.evidence);
    // The quota is raised; the rollout goes on and ends.
    lab.see(Body::Deployment(v1::Deployment { updated: 2, ..stuck("web", 3, 7) }));
    for n in ["0", "1", "2"] {
        let started = v1::Pod { ready: false, ..pod("web-7", n, "node-a") };
        lab.see(Body::Pod(with_age(&lab, started)));
        let fresh = fresh(&lab, "web-7", n, "node-a");
        lab.see(Body::Pod(with_age(&lab, fresh)));
        lab.see(gone("Pod", &format!("pod-web-6-{n}")));
    }
    lab.see(Body::ReplicaSet(replica_set("web", 6, 0)));
    lab.see(Body::ReplicaSet(replica_set("web", 7, 3)));
    lab.see(Body::Deployment(deployment("web", 3, 7)));
    lab.pass(31);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::RolloutStuck).state, IncidentState::Resolved);
    assert!(lab.approvals.is_empty() && lab.jobs.is_empty());
}

fn with_age(lab: &Lab, mut pod: v1::Pod) -> v1::Pod {
    pod.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(lab.now);
    pod
}

/// The deadline passed while no pod could be made: what comes up now had no time yet.
#[test]
fn in_the_moment_in_which_a_quota_is_raised_nothing_is_rolled_back() {
    let mut lab = without_a_pod(|d| d.replica_failure = QUOTA.into());
    recommends(&mut lab, "exceeded quota");
    lab.see(Body::Deployment(v1::Deployment { updated: 1, ..stuck("web", 3, 7) }));
    let started = v1::Pod { ready: false, ..pod("web-7", "0", "node-a") };
    lab.see(Body::Pod(with_age(&lab, started)));
    assert!(lab.settle().is_empty() && lab.approvals.is_empty(), "{:#?}", lab.incidents);
    // One that never becomes ready is the revision's, once it had its time.
    lab.pass(601);
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

/// The same for a pod that could start only now, as a Secret was made.
#[test]
fn in_the_moment_in_which_a_secret_is_made_nothing_is_rolled_back() {
    let mut lab = without_a_pod(|d| d.updated = 1);
    let mut waits = v1::Pod { ready: false, ready_since_us: 0, ..pod("web-7", "0", "node-a") };
    waits = with_age(&lab, waits);
    let mut held = waits.clone();
    held.containers[0].state = "waiting".into();
    held.containers[0].reason = "CreateContainerConfigError".into();
    held.containers[0].message = "secret \"web-key\" not found".into();
    lab.see(Body::Pod(held));
    recommends(&mut lab, "web-key");
    lab.pass(3_600);
    lab.see(Body::Pod(waits));
    assert!(lab.settle().is_empty() && lab.approvals.is_empty(), "{:#?}", lab.incidents);
    lab.pass(601);
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

#[test]
fn a_quota_of_replica_sets_is_seen_although_the_controller_never_observed_the_change() {
    let said = "Failed to create new replica set \"web-7\": replicasets.apps \"web-7\" is forbidden: exceeded quota: small";
    let mut lab = Lab::new();
    lab.deploy("web", 3, 6);
    lab.see(Body::Deployment(v1::Deployment {
        template_hash: hash(7),
        generation: 7,
        observed_generation: 6,
        progressing_status: "False".into(),
        progressing_reason: "ReplicaSetCreateError".into(),
        progressing_message: said.into(),
        ..deployment("web", 3, 6)
    }));
    recommends(&mut lab, said);
}

#[test]
fn what_the_scheduler_or_the_kubelet_says_is_quoted() {
    type Break = fn(&mut v1::Pod);
    let table: [(&str, Break); 3] = [
        ("0/2 nodes are available: 2 Insufficient cpu", |pod| {
            pod.node = String::new();
            pod.unschedulable = "Unschedulable: 0/2 nodes are available: 2 Insufficient cpu".into();
        }),
        ("unbound immediate PersistentVolumeClaims", |pod| {
            pod.node = String::new();
            pod.unschedulable = "Unschedulable: pod has unbound immediate PersistentVolumeClaims".into();
        }),
        ("container app: CreateContainerConfigError: secret \"web-key\" not found", |pod| {
            pod.containers[0].reason = "CreateContainerConfigError".into();
            pod.containers[0].message = "secret \"web-key\" not found".into();
        }),
    ];
    for (words, change) in table {
        let mut lab = without_a_pod(|_| ());
        let mut pod = crashing(pod("web-7", "0", "node-a"), 0);
        change(&mut pod);
        lab.see(Body::Pod(pod));
        recommends(&mut lab, words);
    }
}

#[test]
fn a_config_map_that_a_volume_needs_is_named_by_the_event_about_it() {
    let mut lab = without_a_pod(|_| ());
    let mut pod = crashing(pod("web-7", "0", "node-a"), 0);
    pod.containers[0].reason = "ContainerCreating".into();
    lab.see(Body::Pod(pod.clone()));
    let said = "MountVolume.SetUp failed for volume \"settings\" : configmap \"web-settings\" not found";
    lab.see(Body::PodEvent(v1::PodEvent {
        meta: Some(meta("event", "web-7-0.1", Some(("Pod", "web-7-0")))),
        reason: "FailedMount".into(),
        message: said.into(),
    }));
    recommends(&mut lab, said);
    // It is there now, and the container crashes: what was said before is no excuse.
    let mut lab = without_a_pod(|_| ());
    lab.see(Body::PodEvent(v1::PodEvent {
        meta: Some(meta("event", "web-7-0.1", Some(("Pod", "web-7-0")))),
        reason: "FailedMount".into(),
        message: said.into(),
    }));
    pod.containers[0].reason = "CrashLoopBackOff".into();
    pod.containers[0].restart_count = 4;
    lab.see(Body::Pod(pod));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

#[test]
fn of_which_no_pod_was_ever_made_is_not_rolled_back_even_where_nobody_says_why() {
    let mut lab = without_a_pod(|_| ());
    recommends(&mut lab, "never tried");
    let mut lab = without_a_pod(|d| d.strategy = String::new());
    recommends(&mut lab, "never tried");
}

/// One pod was made and crashes; that the others could not be made does not make the revision innocent.
#[test]
fn a_revision_whose_pods_crash_is_rolled_back_although_a_quota_stops_the_rest() {
    let mut lab = without_a_pod(|d| d.replica_failure = QUOTA.into());
    lab.see(Body::Pod(crashing(pod("web-7", "0", "node-b"), 6)));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

#[test]
fn a_surge_that_waits_for_a_moment_is_nothing_and_one_that_stays_is_told() {
    let progressing = |since: jiff::Timestamp| v1::Deployment {
        progressing_status: "True".into(),
        progressing_reason: "ReplicaSetUpdated".into(),
        replica_failure: QUOTA.into(),
        replica_failure_since_us: nimbus_protocol::to_micros(since),
        updated: 0,
        ..stuck("web", 3, 7)
    };
    let mut lab = Lab::new();
    lab.deploy("web", 3, 6);
    lab.see(Body::Deployment(progressing(lab.now)));
    lab.settle();
    assert!(lab.incidents.is_empty());
    lab.pass(30);
    recommends(&mut lab, "exceeded quota");
}

#[test]
fn a_pod_template_that_cannot_run_is_not_innocent_for_the_kubelets_refusal() {
    let refused = |message: &str| {
        let mut lab = without_a_pod(|_| ());
        let mut pod = crashing(pod("web-7", "0", "node-a"), 0);
        pod.containers[0].reason = "CreateContainerConfigError".into();
        pod.containers[0].message = message.into();
        lab.see(Body::Pod(pod));
        lab
    };
    let mut lab = refused("container has runAsNonRoot and image will run as root");
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    for missing in ["secret \"keys\" not found", "couldn't find key URL in ConfigMap shop/settings", ""] {
        recommends(&mut refused(missing), "CreateContainerConfigError");
    }
}

/// A volume that cannot be attached, or a network that cannot be made: no container is ever begun, and no condition says why.
#[test]
fn where_no_container_is_begun_the_template_is_not_rolled_back() {
    let mut lab = without_a_pod(|d| d.updated = 1);
    let mut waits = v1::Pod { ready: false, ready_since_us: 0, ..pod("web-7", "0", "node-a") };
    waits = with_age(&lab, waits);
    waits.containers[0].state = "waiting".into();
    waits.containers[0].reason = "ContainerCreating".into();
    lab.see(Body::Pod(waits.clone()));
    assert!(lab.settle().is_empty() && lab.incidents.is_empty(), "it was made only now");
    lab.pass(601);
    lab.see(Body::Deployment(v1::Deployment { updated: 1, available: 3, ready: 3, ..stuck("web", 3, 7) }));
    recommends(&mut lab, "no container of it was begun in 600 s (ContainerCreating)");
    let history = &lab.world.clusters[CLUSTER].histories["dep-web"];
    assert!(history.revisions.last().unwrap().trouble.is_none(), "and it is not known to be bad");
    // Once it runs and fails, it is the revision's.
    lab.see(Body::Pod(crashing(waits, 6)));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

/// A pod with an init container says PodInitializing while its volume is attached and while that container runs. Which of them
/// it is, its agent says; an older one does not, and such a pod may well have begun, and its template hang.
#[test]
fn a_pod_with_an_init_container_that_hangs_is_its_revisions_fault_and_one_before_it_is_not() {
    for begun in ["yes", "no", "init", ""] {
        let mut lab = without_a_pod(|d| d.updated = 1);
        let mut waits = v1::Pod { ready: false, ready_since_us: 0, ..pod("web-7", "0", "node-a") };
        waits = with_age(&lab, waits);
        waits.containers[0].state = "waiting".into();
        waits.containers[0].reason = "PodInitializing".into();
        waits.facts.get_or_insert_default().begun = begun.into();
        lab.see(Body::Pod(waits.clone()));
        lab.pass(601);
        lab.see(Body::Deployment(v1::Deployment {
            updated: 1,
            available: 3,
            ready: 3,
            ..stuck("web", 3, 7)
        }));
        if matches!(begun, "no" | "init") {
            let words =
                if begun == "no" { "begun in 600 s" } else { "begun after its init containers in 600 s" };
            recommends(&mut lab, words);
            // Its volume is there at last, and the init container has the time that its deadline gives it.
            waits.facts.get_or_insert_default().begun = "yes".into();
            lab.see(Body::Pod(waits));
            lab.pass(590);
            assert_ne!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
            lab.pass(11);
        }
        lab.settle();
        assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval, "{begun:?}");
    }
}

/// A volume that the template itself describes may be what cannot be made; one of a claim, or what an older revision asked for as
/// well, is not.
#[test]
fn what_a_template_itself_asks_of_the_kubelet_anew_is_its_own_fault() {
    let fact = |path: &str| {
        let (path, value) = path.split_once('=').unwrap_or((path, "x"));
        v1::TemplateFact { path: path.into(), value: value.into(), digest: Vec::new() }
    };
    for (path, older_too, guilty) in [
        ("volumes[data].hostPath.type", false, true),
        ("volumes[data].hostPath.path", false, false),
        ("volumes[data].hostPath.type=", false, false),
        ("runtimeClassName", false, true),
        ("volumes[data].hostPath.type", true, false),
        ("volumes[data].persistentVolumeClaim.claimName", false, false),
    ] {
        let mut lab = without_a_pod(|d| d.updated = 1);
        for revision in [6, 7] {
            let mut set = replica_set("web", revision, if revision == 6 { 3 } else { 0 });
            if revision == 7 || older_too {
                set.template.push(fact(path));
            }
            lab.see(Body::ReplicaSet(set));
        }
        let mut waits = v1::Pod { ready: false, ready_since_us: 0, ..pod("web-7", "0", "node-a") };
        waits = with_age(&lab, waits);
        waits.containers[0].state = "waiting".into();
        waits.containers[0].reason = "ContainerCreating".into();
        waits.facts.get_or_insert_default().begun = "no".into();
        lab.see(Body::Pod(waits));
        lab.pass(601);
        lab.see(Body::Deployment(v1::Deployment {
            updated: 1,
            available: 3,
            ready: 3,
            ..stuck("web", 3, 7)
        }));
        if guilty {
            lab.settle();
            let state = lab.open(IncidentKind::RolloutStuck).state;
            assert_eq!(state, IncidentState::WaitingApproval, "{path}");
            lab.decide("operator", Decision::Approve, "").unwrap();
            assert_eq!(lab.settle().len(), 1, "{path}");
        } else {
            recommends(&mut lab, "no container of it was begun");
        }
    }
}
