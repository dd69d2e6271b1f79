//! What the checker asks of a rollback.

use nimbus_protocol::v1::{self, observation::Body};

use super::{Lab, approved, numbers};
use crate::model::*;
use crate::testing::objects::*;

/// The pods of the present revision.
fn unready(lab: &Lab) -> Vec<String> {
    let pods = lab.world.clusters[CLUSTER].pods.values();
    let unready: Vec<String> = pods.filter(|pod| !pod.ready).map(|pod| pod.meta.uid.clone()).collect();
    assert!(!unready.is_empty());
    unready
}

fn quota_refuses_and_the_rest_begins(lab: &mut Lab) {
    let replica_failure = "FailedCreate: exceeded quota: small".into();
    lab.see(Body::Deployment(v1::Deployment { replica_failure, ..stuck("web", 3, 7) }));
    for uid in unready(lab) {
        let made = pod("web-7", uid.rsplit_once('-').unwrap().1, "node-a");
        let mut begins = v1::Pod { ready: false, ..made };
        begins.containers[0].reason = "ContainerCreating".into();
        begins.containers[0].restart_count = 0;
        lab.see(Body::Pod(begins));
    }
}

fn its_pods_wait_for_a_volume(lab: &mut Lab) {
    for uid in unready(lab) {
        let made = pod("web-7", uid.rsplit_once('-').unwrap().1, "node-a");
        let mut waits = v1::Pod { ready: false, ..made };
        waits.containers[0].state = "waiting".into();
        waits.containers[0].reason = "PodInitializing".into();
        waits.containers[0].restart_count = 0;
        waits.meta.as_mut().unwrap().created_at_us =
            nimbus_protocol::to_micros(lab.now - jiff::SignedDuration::from_mins(11));
        waits.facts.get_or_insert_default().begun = "no".into();
        lab.see(Body::Pod(waits));
    }
}

#[test]
fn each_change_of_a_rollback_names_its_invariant() {
    type Change = fn(&mut Lab, &mut Plan);
    let table: &[(&str, u8, Change)] = &[
        ("an agent that binds the generation", 3, |lab, _| {
            let older = v1::Deployment { strategy: String::new(), ..stuck("web", 3, 7) };
            lab.see(Body::Deployment(older));
        }),
        ("a ConfigMap that the older template needs is gone", 3, |lab, _| {
            lab.see(gone("ConfigMap", &config_map("web-env", "", 0).meta.unwrap().uid));
        }),
        ("no pod of the present revision can start", 3, |lab, _| {
            for uid in unready(lab) {
                let wanted = pod("web-7", uid.rsplit_once('-').unwrap().1, "");
                let waits = v1::Pod { unschedulable: "0/2 nodes".into(), ready: false, ..wanted };
                assert_eq!(waits.meta.as_ref().unwrap().uid, uid);
                lab.see(Body::Pod(waits));
            }
        }),
        ("a quota refuses its pods, and those that were made only begin", 3, |lab, _| {
            quota_refuses_and_the_rest_begins(lab);
        }),
        ("its pods wait for a volume, and no init container was begun", 3, |lab, _| {
            its_pods_wait_for_a_volume(lab);
        }),
        ("it lasted itself", 3, |lab, _| {
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            let history = histories.get_mut("dep-web").unwrap();
            history.revisions.last_mut().unwrap().longest_ms = 600_000;
        }),
        ("it is on its way and nothing of it has failed", 3, |lab, _| {
            let progressing = v1::Deployment {
                progressing_status: "True".into(),
                progressing_reason: "ReplicaSetUpdated".into(),
                ..stuck("web", 3, 7)
            };
            lab.see(Body::Deployment(progressing));
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            let present = histories.get_mut("dep-web").unwrap().revisions.last_mut().unwrap();
            (present.trouble, present.late_at) = (None, None);
        }),
        ("it lasted for a moment less than the soak time", 3, |lab, _| {
            for n in 0..3 {
                lab.see(gone("Pod", &format!("pod-web-6-{n}")));
            }
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            histories.get_mut("dep-web").unwrap().revisions[0].held_ms = 599_999;
        }),
        ("another template", 3, |lab, _| {
            lab.see(Body::Deployment(v1::Deployment { template_hash: hash(9), ..stuck("web", 3, 7) }));
        }),
        ("the old ReplicaSet is gone", 3, |lab, _| _ = lab.see(gone("ReplicaSet", "rs-web-6"))),
        ("no evidence any more", 3, |lab, _| {
            lab.see(Body::ReplicaSet(replica_set("web", 6, 0)));
            for n in 0..3 {
                lab.see(gone("Pod", &format!("pod-web-6-{n}")));
            }
            lab.world.clusters.get_mut(CLUSTER).unwrap().histories.clear();
        }),
        ("managed by another", 9, |lab, _| {
            lab.see(Body::Deployment(v1::Deployment { manager: "flux".into(), ..stuck("web", 3, 7) }));
        }),
        ("paused", 9, |lab, _| {
            lab.see(Body::Deployment(v1::Deployment { paused: true, ..stuck("web", 3, 7) }));
        }),
        ("no approval", 2, |lab, _| lab.approvals.clear()),
        ("an approval of another plan", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.plan_digest.push('0'));
        }),
        ("a used approval", 2, |lab, _| {
            let used = format!("job_{:032x}", 5).parse().ok();
            lab.approvals.values_mut().for_each(|a| a.doc.used_by.clone_from(&used));
        }),
        ("an expired approval", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.expires_at = lab.now);
        }),
        ("approved by the requester", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.decided_by = Some("nimbus".into()));
        }),
        ("still pending", 2, |lab, _| {
            lab.approvals.values_mut().for_each(|a| a.doc.state = ApprovalState::Pending);
        }),
        ("denied by a person", 12, |lab, plan| {
            let incident = lab.incidents.get_mut(&plan.incident_id.to_string()).unwrap();
            incident.doc.denied_digest = Some(plan.digest.clone());
        }),
        ("it could not be carried out before", 5, |lab, plan| {
            let incident = lab.incidents.get_mut(&plan.incident_id.to_string()).unwrap();
            incident.doc.failed_digest = Some(plan.digest.clone());
        }),
        ("no approval asked for", 12, |_, plan| {
            plan.needs_approval = false;
            plan.digest = plan.computed_digest();
        }),
    ];
    for (what, invariant, change) in table {
        let (mut lab, mut plan) = approved();
        change(&mut lab, &mut plan);
        assert_eq!(numbers(&lab, &plan), [*invariant], "{what}");
    }
}

/// Its one pod was made just now; so far the kubelet has told of its container that it waits for this reason.
fn its_pod_only_begins(lab: &mut Lab, begun: &str, reason: &str) {
    let mut begins = v1::Pod { ready: false, ..pod("web-7", "0", "node-b") };
    assert_eq!(unready(lab), [begins.meta.as_ref().unwrap().uid.as_str()]);
    begins.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(lab.now);
    (begins.containers[0].state, begins.containers[0].reason) = ("waiting".into(), reason.into());
    begins.facts.get_or_insert_default().begun = begun.into();
    lab.see(Body::Pod(begins));
}

#[test]
fn an_event_about_a_pod_shows_that_it_waits_for_a_volume_unless_it_was_begun_since() {
    let said = "MountVolume.SetUp failed for volume \"settings\" : configmap \"web-settings\" not found";
    let cases: [(&str, &str, &str, &[u8]); 5] = [
        ("no", "ContainerCreating", said, &[3]),
        ("no", "ContainerCreating", "", &[]),
        ("", "PodInitializing", said, &[3]),
        ("yes", "PodInitializing", said, &[]),
        ("no", "CrashLoopBackOff", said, &[]),
    ];
    for (begun, reason, message, expected) in cases {
        let (mut lab, plan) = approved();
        its_pod_only_begins(&mut lab, begun, reason);
        assert_eq!(numbers(&lab, &plan), [0_u8; 0], "{begun} {reason}: before");
        for about in ["another", "web-7-0"] {
            lab.see(Body::PodEvent(v1::PodEvent {
                meta: Some(meta("event", &format!("{about}.1"), Some(("Pod", about)))),
                reason: "FailedMount".into(),
                message: message.into(),
            }));
            let expected: &[u8] = if about == "another" { &[] } else { expected };
            assert_eq!(numbers(&lab, &plan), expected, "{begun} {reason} {message}, about {about}");
        }
    }
}

/// When its pods were made is by the cluster's clock, and when it was late by the one before.
#[test]
fn since_the_clock_jumped_that_a_revision_was_late_once_shows_nothing() {
    type Jump = fn(&mut Lab);
    let jumps: [Jump; 2] = [
        |lab| lab.world.clusters.get_mut(CLUSTER).unwrap().clock_jumped_at = Some(lab.now),
        |lab| {
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            histories.get_mut("dep-web").unwrap().clock_jumped_at = Some(lab.now);
        },
    ];
    for jump in jumps {
        let (mut lab, plan) = approved();
        lab.see(Body::Deployment(v1::Deployment {
            progressing_status: "True".into(),
            progressing_reason: "ReplicaSetUpdated".into(),
            ..stuck("web", 3, 7)
        }));
        let now = lab.now;
        let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
        let present = histories.get_mut("dep-web").unwrap().revisions.last_mut().unwrap();
        (present.trouble, present.late_at) = (None, Some(now));
        assert_eq!(numbers(&lab, &plan), [0_u8; 0], "its pod is not ready still");
        jump(&mut lab);
        assert_eq!(numbers(&lab, &plan), [3]);
    }
}

#[test]
fn scaling_breaks_no_rollback() {
    let (mut lab, plan) = approved();
    let scaled = stuck("web", 5, 7);
    lab.see(Body::Deployment(v1::Deployment { generation: 12, observed_generation: 12, ..scaled }));
    assert_eq!(numbers(&lab, &plan), [0_u8; 0]);
}
