//! Tests of each detector with a table of objects: which findings it makes, and which objects it ignores.

use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::{self, observation::Body};

use super::*;
use crate::causes::correlate::diagnose;
use crate::testing::lab::Lab;
use crate::testing::objects::*;

fn found(lab: &Lab) -> Vec<(IncidentKind, String)> {
    let assessment = assess(&lab.world, &lab.settings);
    assessment.findings().map(|f| (f.kind, f.object.name().to_owned())).collect()
}

fn causes(lab: &Lab) -> Vec<Diagnosis> {
    diagnose(&lab.world, assess(&lab.world, &lab.settings).findings())
}

/// The same pod in one state after another: which kinds are found on it.
#[test]
fn pods_state_by_state() {
    use IncidentKind::{ImagePull, OutOfMemory, PodCrashLoop};
    let base = || pod("web-1", "a", "node-a");
    let deleting = |mut pod: v1::Pod| {
        pod.meta.as_mut().unwrap().deleting_since_us = 1;
        pod
    };
    let terminated = |reason: &str| {
        let mut pod = running_again(base(), 5);
        pod.containers[0].state = "terminated".into();
        pod.containers[0].reason = reason.into();
        pod
    };
    let table: [(&str, v1::Pod, &[IncidentKind]); 11] = [
        ("well", base(), &[]),
        ("crashed twice", crashing(base(), 2), &[]),
        ("crashed three times", crashing(base(), 3), &[PodCrashLoop]),
        ("between two crashes", running_again(base(), 9), &[]),
        ("just ended", terminated("Error"), &[]),
        ("on its way out", deleting(crashing(base(), 9)), &[]),
        ("memory", out_of_memory(base(), 3), &[PodCrashLoop, OutOfMemory]),
        ("memory, the first times", out_of_memory(base(), 2), &[]),
        ("killed for memory, not backing off", terminated("OOMKilled"), &[]),
        ("image", without_image(base()), &[ImagePull]),
        ("image, on its way out", deleting(without_image(base())), &[]),
    ];
    for (what, pod, kinds) in table {
        let mut lab = Lab::new();
        lab.deploy("web", 0, 1);
        lab.see(Body::Pod(pod));
        assert_eq!(found(&lab).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>(), kinds, "{what}");
    }
}

#[test]
fn image_reasons_word_by_word() {
    for (reason, is_one) in [
        ("ErrImagePull", true),
        ("ImagePullBackOff", true),
        ("InvalidImageName", true),
        ("ErrImageNeverPull", true),
        ("ContainerCreating", false),
        ("CrashLoopBackOff", false),
        ("", false),
    ] {
        let mut lab = Lab::new();
        let mut pod = without_image(pod("web-1", "a", "node-a"));
        pod.containers[0].reason = reason.into();
        lab.see(Body::Pod(pod));
        assert_eq!(!found(&lab).is_empty(), is_one, "{reason}");
    }
}

#[test]
fn the_container_that_restarts_most_speaks_for_its_pod() {
    let mut lab = Lab::new();
    lab.deploy("web", 0, 1);
    let mut pod = crashing(pod("web-1", "a", "node-a"), 3);
    pod.containers.push(v1::Container {
        name: "sidecar".into(),
        restart_count: 8,
        ..pod.containers[0].clone()
    });
    lab.see(Body::Pod(pod));
    let finding = assess(&lab.world, &lab.settings).findings().next().unwrap().clone();
    assert_eq!((finding.container.as_str(), finding.restarts), ("sidecar", 8));
    assert_eq!(finding.workload.unwrap().uid(), "dep-web");
    assert_eq!(
        finding.evidence,
        [
            "pod shop/web-1-a on node-a: container sidecar waits in CrashLoopBackOff after 8 restarts",
            "its last run ended with exit code 1 (Error)"
        ]
    );
}

#[test]
fn rollouts_condition_by_condition() {
    let table: [(&str, v1::Deployment, bool); 7] = [
        ("complete", deployment("web", 2, 2), false),
        ("past its deadline", stuck("web", 2, 2), true),
        (
            "under way",
            v1::Deployment {
                progressing_status: "True".into(),
                progressing_reason: "ReplicaSetUpdated".into(),
                ..stuck("web", 2, 2)
            },
            false,
        ),
        (
            "its status is of an older spec",
            v1::Deployment { observed_generation: 1, ..stuck("web", 2, 2) },
            false,
        ),
        (
            "not progressing for another reason",
            v1::Deployment { progressing_reason: "FailedCreate".into(), ..stuck("web", 2, 2) },
            false,
        ),
        ("wants no pods", v1::Deployment { desired: 0, ..stuck("web", 2, 2) }, false),
        (
            "without any condition",
            v1::Deployment { progressing_status: String::new(), ..stuck("web", 2, 2) },
            false,
        ),
    ];
    for (what, deployment, is_one) in table {
        let mut lab = Lab::new();
        lab.see(Body::Deployment(deployment));
        assert_eq!(found(&lab) == [(IncidentKind::RolloutStuck, "web".to_owned())], is_one, "{what}");
    }
}

#[test]
fn nodes_condition_by_condition() {
    for (ready, is_one) in [("True", false), ("False", true), ("Unknown", true), ("", true)] {
        let mut lab = Lab::new();
        lab.see(Body::Node(v1::Node { ready: ready.into(), ..node("node-a") }));
        assert_eq!(!found(&lab).is_empty(), is_one, "Ready is {ready:?}");
    }
}

/// The runs of the CronJob `report` in the order in which they were made, and whether its newest ended one failed.
#[test]
fn runs_one_after_the_other() {
    use crate::testing::at;
    let run = |n: i64| {
        let mut job = batch_job(&format!("report-{n}"), Some("report"));
        job.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(at(60 * n));
        job
    };
    let leaving = |mut job: v1::BatchJob| {
        job.meta.as_mut().unwrap().deleting_since_us = 1;
        job
    };
    let table: [(&str, Vec<v1::BatchJob>, bool); 8] = [
        ("it runs", vec![run(1)], false),
        ("pods of it failed, and it goes on", vec![v1::BatchJob { failed: 2, ..run(1) }], false),
        ("it failed", vec![failed(run(1), at(90))], true),
        ("it is deleted", vec![leaving(failed(run(1), at(90)))], false),
        ("it completed", vec![completed(run(1), at(90))], false),
        ("a later one runs", vec![failed(run(1), at(90)), run(2)], true),
        ("a later one completed", vec![failed(run(1), at(90)), completed(run(2), at(130))], false),
        ("an earlier one completed", vec![completed(run(1), at(200)), failed(run(2), at(130))], true),
    ];
    for (what, runs, is_one) in table {
        let mut lab = Lab::new();
        for run in runs {
            lab.see(Body::BatchJob(run));
        }
        assert_eq!(found(&lab) == [(IncidentKind::JobFailing, "report".to_owned())], is_one, "{what}");
    }
}

#[test]
fn files_change_by_change() {
    let file_of = |mode, content| file_state("file", mode, content);
    let table = [
        ("content", file_of(0o644, 1), file_of(0o644, 2), "was changed"),
        ("mode", file_of(0o644, 1), file_of(0o600, 1), "has another mode or owner"),
        (
            "owner",
            file_of(0o644, 1),
            v1::FileState { uid: 9, ..file_of(0o644, 1) },
            "has another mode or owner",
        ),
        ("deleted", file_of(0o644, 1), file_state("absent", 0, 0), "was deleted"),
        ("added", file_state("absent", 0, 0), file_of(0o644, 2), "was added"),
        ("a link now", file_of(0o644, 1), file_state("symlink", 0o777, 0), "is another kind of thing"),
        ("unreadable", file_of(0o644, 1), file_state("unreadable", 0, 0), "cannot be read"),
    ];
    for (what, baseline, current, words) in table {
        let mut lab = Lab::new();
        lab.see_host(Body::File(file("/srv/etc/a", baseline.clone(), current)));
        let cause = causes(&lab).remove(0);
        assert!(cause.title.contains(words), "{what}: {}", cause.title);
        assert_eq!(cause.key, format!("file/{}//srv/etc/a", crate::testing::lab::agent_id()));
        lab.see_host(Body::File(file("/srv/etc/a", baseline.clone(), baseline)));
        assert_eq!(causes(&lab), [], "{what}");
    }
}

#[test]
fn pods_of_one_owner_are_one_cause() {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 1);
    lab.deploy("api", 1, 1);
    for n in ["0", "1"] {
        lab.see(Body::Pod(crashing(pod("web-1", n, "node-a"), 4)));
    }
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-a"), 3)));
    let causes = causes(&lab);
    let keys: Vec<&str> = causes.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(keys, ["crash/cluster-1/dep-api", "crash/cluster-1/dep-web"]);
    assert_eq!(causes[1].symptoms.len(), 1);
    assert_eq!(causes[1].title, "shop/deployment/web: 2 pods in a crash loop (container app)");
    assert_eq!(causes[1].severity, crate::model::Severity::Warning, "one pod is still well");
    assert_eq!(causes[0].severity, crate::model::Severity::Critical, "none is");
}

#[test]
fn a_stuck_rollout_explains_its_crashing_pods() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Deployment(stuck("web", 2, 2)));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    lab.see(Body::Pod(crashing(pod("web-2", "x", "node-b"), 6)));
    lab.see(Body::Pod(without_image(pod("web-2", "y", "node-b"))));
    let causes = causes(&lab);
    assert_eq!(causes.len(), 1);
    assert_eq!((causes[0].kind, causes[0].symptoms.len()), (IncidentKind::RolloutStuck, 2));
    assert_eq!(causes[0].explains, ["crash/cluster-1/dep-web", "image/cluster-1/dep-web"]);
}

#[test]
fn the_memory_limit_explains_the_crash_loop() {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Pod(out_of_memory(pod("web-1", "0", "node-a"), 5)));
    lab.see(Body::Pod(crashing(pod("web-1", "1", "node-a"), 9)));
    let causes = causes(&lab);
    assert_eq!(causes.len(), 1);
    assert_eq!((causes[0].kind, causes[0].object.name()), (IncidentKind::OutOfMemory, "web-1-0"));
    assert_eq!(causes[0].explains, ["crash/cluster-1/dep-web"]);
}

#[test]
fn a_node_explains_its_pods_and_only_those() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    lab.deploy("api", 1, 1);
    lab.see(Body::Node(v1::Node { ready: "Unknown".into(), ..node("node-a") }));
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 5)));
    lab.see(Body::Pod(crashing(pod("api-1", "0", "node-a"), 5)));
    lab.see(Body::Pod(crashing(pod("api-1", "1", "node-b"), 5)));
    let causes = causes(&lab);
    let keys: Vec<&str> = causes.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(keys, ["crash/cluster-1/dep-api", "node/cluster-1/node-node-a"]);
    assert_eq!(causes[0].object.name(), "api-1-1");
    assert_eq!(
        causes[1].symptoms.iter().map(crate::model::ObjectRef::name).collect::<Vec<_>>(),
        ["api-1-0", "web-1-0"]
    );
    assert_eq!(
        causes[1].explains,
        ["crash/cluster-1/dep-web"],
        "the other owner still has trouble of its own"
    );
}

#[test]
fn a_rollout_that_only_a_lost_node_holds_up_is_the_nodes() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    lab.see(Body::Deployment(stuck("web", 1, 2)));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 0)));
    lab.see(Body::Pod(crashing(pod("web-2", "x", "node-b"), 0)));
    lab.see(Body::Node(v1::Node { ready: "False".into(), ..node("node-b") }));
    assert_eq!(causes(&lab).iter().map(|c| c.kind).collect::<Vec<_>>(), [IncidentKind::NodeNotReady]);
    lab.see(Body::Pod(crashing(pod("web-2", "y", "node-a"), 0)));
    assert_eq!(causes(&lab).len(), 2, "a pod fails on a good node too");
}

#[test]
fn evidence_and_symptoms_are_bounded() {
    let mut lab = Lab::new();
    lab.deploy("web", 60, 1);
    for n in 0..60 {
        lab.see(Body::Pod(crashing(pod("web-1", &n.to_string(), "node-a"), 4)));
    }
    let cause = causes(&lab).remove(0);
    assert_eq!((cause.evidence.len(), cause.symptoms.len()), (21, 20));
    assert!(cause.evidence[20].starts_with("... and "), "{}", cause.evidence[20]);
    assert!(cause.title.contains("60 pods"), "{}", cause.title);
}

/// A host of which it is heard, or which is forgotten, and how full it is.
fn host_events() -> impl proptest::strategy::Strategy<Value = Vec<(u8, Option<bool>)>> {
    use proptest::prelude::*;
    proptest::collection::vec((0_u8..4, proptest::option::of(any::<bool>())), 0..40)
}

proptest::proptest! {
    /// Whatever hosts say, and whichever are forgotten and met again: an assessment that followed finds what one that is
    /// made anew finds.
    #[test]
    fn hosts_that_are_followed_are_as_hosts_that_are_looked_at_anew(events in host_events()) {
        let (mut world, settings) = (World::default(), Settings::default());
        let mut followed = Assessment::default();
        let mut found_some = false;
        for (n, is_full) in &events {
            let agent = AgentId::of_bytes([*n; 16]);
            if let Some(is_full) = is_full {
                let available_bytes = if *is_full { 1 << 30 } else { 60 << 30 };
                let filesystem = "ext4".to_owned();
                let disk = v1::Disk { mount: "/".into(), filesystem, total_bytes: 100 << 30, available_bytes };
                let body = Body::Host(v1::Host { disks: vec![disk], ..v1::Host::default() });
                let said = v1::Observation { body: Some(body), ..v1::Observation::default() };
                world.apply(agent, &said, Timestamp::UNIX_EPOCH);
            } else {
                world.hosts.remove(&agent);
            }
            refresh(&mut followed, &world, &settings);
            let anew = assess(&world, &settings);
            proptest::prop_assert!(followed.findings().eq(anew.findings()));
            found_some |= followed.findings().next().is_some();
        }
        proptest::prop_assert_eq!(found_some, events.iter().any(|(_, is_full)| *is_full == Some(true)));
    }
}
