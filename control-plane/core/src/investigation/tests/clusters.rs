//! Of a cluster: what was tried, how it is now and as of when, and what is gone.

use nimbus_protocol::v1;

use super::*;
use crate::connected_agents::ConnectedAgents;
use crate::model::{JobState, KubeRef, Workload};

#[test]
fn each_line_says_when_of_what_and_from_where() {
    let lab = crashed();
    let incident = lab.last(IncidentKind::PodCrashLoop).clone();
    let found = around(&lab, &incident);
    let stories = found.timeline.iter().filter(|one| one.source == Source::Incident);
    assert!(stories.map(|one| &one.text).eq(incident.history.iter().map(|entry| &entry.text)));
    let job = lab.jobs.values().next().unwrap().doc.clone();
    let id = job.id.to_string();
    for (at, part) in [
        (Some(job.created_at), "restart_pod on shop/pod/web-1-0 was signed for agent edge"),
        (job.applied_at, "restart_pod on shop/pod/web-1-0 took effect"),
        (job.finished_at, "restart_pod on shop/pod/web-1-0 ended as failed: "),
    ] {
        let (when, what, _) = line(&found.timeline, Source::Job, part);
        assert_eq!((when, what), (at, id.as_str()), "{part}");
    }
    let (at, what, _) = line(&found.timeline, Source::Status, "container app ended with exit code 1 (Error)");
    assert_eq!((at, what), (Some(lab.now), "shop/pod/web-1-0"));
    for (source, what, part) in [
        (
            Source::Status,
            "shop/deployment/web",
            "2 pods wanted, 2 of the newest revision (1), 2 ready, 2 available",
        ),
        (Source::Status, "shop/pod/web-1-0", "Running, not ready since 2027-01-15T07:00:00Z, on node-a"),
        (Source::Status, "shop/pod/web-1-1", "Running, ready since 2027-01-15T07:00:00Z, on node-b"),
        (Source::Status, "node/node-a", "Ready is True since 2027-01-15T07:00:00Z"),
        (
            Source::Status,
            "shop/pod/web-1-0",
            "container app of image shop/app:1: waiting (CrashLoopBackOff), started again 4 times",
        ),
    ] {
        assert_eq!(line(&found.now, source, part), (None, what, part));
    }
    let first = found.now.first().map(|one| one.of.as_str());
    assert_eq!(first, Some("shop/deployment/web"), "its own workload first: {:#?}", found.now);
    assert!(
        found.timeline.is_sorted_by_key(|one| one.at) && found.timeline.iter().all(|one| one.at.is_some())
    );
    assert!(found.now.iter().all(|one| one.at.is_none()));
    gap(&found, "logs of containers are not collected");
    assert_eq!((found.as_of, found.left_out), (Some(lab.now), 0));
    assert_eq!(around(&lab, &incident), found, "the same input gives the same answer");
}

#[test]
fn the_evidence_of_a_job_is_told_at_its_newest_moment_alone() {
    let lab = crashed();
    let own = lab.last(IncidentKind::PodCrashLoop).clone();
    let mut job = lab.jobs.values().next().unwrap().doc.clone();
    job.evidence = vec!["web-1-x is not ready".into()];
    (job.applied_at, job.finished_at) = (Some(lab.now), Some(lab.now + SignedDuration::from_secs(9)));
    let found = investigate(&own, &[], &[&job], &lab.snapshot());
    let text = line(&found.timeline, Source::Job, "(web-1-x is not ready)").2;
    assert!(text.contains("ended as failed"), "{text}");
    job.finished_at = None;
    let found = investigate(&own, &[], &[&job], &lab.snapshot());
    let text = line(&found.timeline, Source::Job, "(web-1-x is not ready)").2;
    assert!(text.contains("took effect"), "{text}");
}

#[test]
fn what_is_only_refused_again_is_one_line() {
    let lab = crashed();
    let own = lab.last(IncidentKind::PodCrashLoop).clone();
    let first = lab.jobs.values().next().unwrap().doc.clone();
    let again = |n: u32| Job {
        id: format!("job_{n:032x}").parse().unwrap(),
        state: JobState::Refused,
        reason: format!("blocked: for the {n}. time"),
        created_at: lab.now + SignedDuration::from_secs(n.into()),
        applied_at: None,
        finished_at: Some(lab.now + SignedDuration::from_secs(n.into())),
        again: n,
        ..first.clone()
    };
    let jobs: Vec<Job> = (1..=300).map(again).collect();
    let jobs: Vec<&Job> = jobs.iter().chain([&first]).collect();
    let found = investigate(&own, &[], &jobs, &lab.snapshot());
    let text = line(&found.timeline, Source::Job, "was asked for again and refused 300 times").2;
    assert!(text.ends_with("the last time: blocked: for the 300. time"), "{text}");
    assert_eq!(found.timeline.iter().filter(|one| one.source == Source::Job).count(), 4);
    assert_eq!(found.left_out, 0, "none of its own jobs is left out");
}

#[test]
fn what_is_gone_or_not_watched_is_said_to_be_unknown() {
    let mut lab = crashed();
    lab.see(gone("Pod", "pod-web-1-0"));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    gap(&found, "shop/pod/web-1-0 is no longer there");
    says_nothing_of(&found, "shop/deployment/web is");
    lab.see(gone("Deployment", "dep-web"));
    gap(&of(&lab, IncidentKind::PodCrashLoop), "shop/deployment/web is no longer there");
    lab.see(begin("Deployment", 1));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    gap(&found, "whether shop/deployment/web is still there is unknown: not every Deployment is listed");
    let mut other = lab.last(IncidentKind::PodCrashLoop).clone();
    let rollout = KubeRef::new("argoproj.io/v1alpha1", "Rollout", "shop", "web", "rollout-web");
    other.workload = Some(Workload::of(rollout));
    gap(&around(&lab, &other), "how shop/rollout/web itself is, is unknown: its kind is not watched");
}

#[test]
fn of_a_cluster_that_nobody_watches_and_after_a_jump_of_the_clock_it_is_said_what_is_not_known() {
    let mut lab = crashed();
    let heard = lab.now;
    lab.pass(600);
    lab.connected = ConnectedAgents::default();
    let found = of(&lab, IncidentKind::PodCrashLoop);
    gap(&found, "what is said of the cluster is as it was seen last");
    assert_eq!(found.as_of, Some(heard));
    says_nothing_of(&found, "clock");
    lab.world.clock_jumped(hours(3), lab.now);
    gap(&of(&lab, IncidentKind::PodCrashLoop), "the control plane's clock jumped");
}

#[test]
fn events_whose_message_stays_in_the_cluster_say_so_and_those_of_other_pods_are_not_told() {
    let mut lab = crashed();
    let event = |name: &str, pod: &str, minutes: i64, message: &str| {
        let mut meta = meta("Event", name, Some(("Pod", pod)));
        meta.created_at_us = to_micros(lab.now - SignedDuration::from_mins(minutes));
        Body::PodEvent(v1::PodEvent {
            meta: Some(meta),
            reason: "FailedMount".into(),
            message: message.into(),
        })
    };
    for body in [
        event("e1", "web-1-0", 9, ""),
        event("e2", "web-1-0", 8, "configmap \"web-env\" not found"),
        event("e3", "web-1-0", 7, "the newest but one"),
        event("old", "web-1-0", 10, "the oldest of four"),
        event("e4", "other-1-0", 5, "of another pod"),
    ] {
        lab.see(body);
    }
    let found = of(&lab, IncidentKind::PodCrashLoop);
    let told = line(&found.timeline, Source::Event, "(its message is not told)");
    let at = lab.now - SignedDuration::from_mins(9);
    assert_eq!(told, (Some(at), "shop/pod/web-1-0", "FailedMount (its message is not told)"));
    line(&found.timeline, Source::Event, "FailedMount: configmap \"web-env\" not found");
    assert!(!has(&found.timeline, "of another pod") && !has(&found.timeline, "the oldest of four"));
}

#[test]
fn a_job_that_failed_shows_its_runs_and_the_pods_that_ended() {
    let mut lab = Lab::new();
    let run = failed(batch_job("once", None), lab.now);
    lab.see(Body::BatchJob(run));
    let mut owned = meta("pod", "once-x", Some(("Job", "once")));
    owned.owner_api_version = "batch/v1".into();
    let mut ended = v1::Pod { meta: Some(owned), phase: "Failed".into(), ..pod("x-1", "x", "node-a") };
    ended.ready = false;
    ended.containers[0].state = "terminated".into();
    ended.containers[0].reason = "Error".into();
    lab.see(Body::Pod(ended));
    lab.settle();
    let found = of(&lab, IncidentKind::JobFailing);
    let (_, what, text) = line(&found.now, Source::Status, "it failed for good at");
    assert_eq!(what, "shop/job/once");
    assert!(
        text.contains("BackoffLimitExceeded")
            && text.contains("0 pods of it run or wait, 0 succeeded, 1 failed"),
        "{text}"
    );
    assert_eq!(line(&found.timeline, Source::Status, "it failed for good").0, Some(lab.now));
    let (_, what, text) = line(&found.now, Source::Status, "Failed, on node-a");
    assert_eq!(
        (what, text),
        ("shop/pod/once-x", "Failed, on node-a"),
        "what ended is neither ready nor not ready"
    );
    line(&found.now, Source::Status, "container app of image shop/app:1: terminated (Error)");
}

#[test]
fn a_silent_container_and_a_pod_on_its_way_out_are_called_that() {
    let mut lab = crashed();
    let mut silent = crashing(pod("web-1", "2", "node-b"), 0);
    silent.containers[0].state = String::new();
    silent.meta.as_mut().unwrap().deleting_since_us = to_micros(lab.now);
    lab.see(Body::Pod(silent));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    let text = line(&found.now, Source::Status, "its kubelet has not told").2;
    assert_eq!(text, "container app of image shop/app:1: how it is, its kubelet has not told");
    assert_eq!(line(&found.now, Source::Status, "on its way out").1, "shop/pod/web-1-2");
}

#[test]
fn a_deployment_says_why_its_pods_cannot_be_made_and_that_it_is_paused() {
    let mut lab = crashed();
    let since = lab.now - SignedDuration::from_mins(3);
    lab.see(Body::Deployment(v1::Deployment {
        paused: true,
        replica_failure: "exceeded quota: web".into(),
        replica_failure_since_us: to_micros(since),
        ..deployment("web", 2, 1)
    }));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    line(&found.now, Source::Status, "2 available, paused");
    let text = line(&found.now, Source::Status, "pods cannot be made since").2;
    assert!(text.ends_with(": exceeded quota: web"), "{text}");
    assert_eq!(line(&found.timeline, Source::Status, "pods cannot be made since then").0, Some(since));
}

#[test]
fn a_stateful_set_says_which_revisions_its_pods_are_of() {
    let mut lab = crashed();
    lab.see(Body::StatefulSet(stateful_set("db", 3, "db-1")));
    lab.pass(60);
    let next =
        v1::StatefulSet { current_revision: "db-1".into(), updated: 1, ..stateful_set("db", 3, "db-2") };
    lab.see(Body::StatefulSet(next));
    let mut own = lab.last(IncidentKind::PodCrashLoop).clone();
    own.workload = Some(Workload::of(KubeRef::new("apps/v1", "StatefulSet", "shop", "db", "sts-db")));
    let found = around(&lab, &own);
    line(
        &found.now,
        Source::Status,
        "revision db-2 is being brought out (1 pods are of it), the others are of db-1",
    );
    assert_eq!(line(&found.timeline, Source::Revisions, "revision db-2 came out").0, Some(lab.now));
    gap(
        &found,
        "who wrote the pod template of shop/statefulset/db, and when, is unknown: agents do not tell it",
    );
}

#[test]
fn a_node_says_who_keeps_pods_away_from_it() {
    let mut lab = crashed();
    lab.see(Body::Node(held_node("node-a", "job_7")));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    line(&found.now, Source::Status, "job_7, a job of Nimbus, keeps new pods away from it");
    line(&found.now, Source::Status, "taints: nimbus.dev/held=job_7:NoSchedule");
    lab.see(Body::Node(marked_node("node-a", "drained by kured")));
    line(&of(&lab, IncidentKind::PodCrashLoop).now, Source::Status, "marked: drained by kured");
}
