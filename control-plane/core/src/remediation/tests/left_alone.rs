//! Scenes in which a crash-looping pod is left alone, or replaced without holding its node back, and the reason is said.

use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::{to_micros, v1};

use super::*;
use crate::model::*;
use crate::testing::{ActionBody, action_of, at};

pub(super) fn facts(pod: &mut v1::Pod) -> &mut v1::PodFacts {
    pod.facts.as_mut().unwrap()
}

/// A crash loop after `change` of its pod.
fn crashing_with(change: impl FnOnce(&mut v1::Pod)) -> Lab {
    let mut lab = crash_loop();
    let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
    change(&mut pod);
    lab.see(Body::Pod(pod));
    lab
}

/// Nothing goes out, and the incident says each of these words.
fn is_left_alone(mut lab: Lab, words: &[&str]) -> Lab {
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop).clone();
    for word in words {
        assert!(incident.reason.contains(word), "{word}: {}", incident.reason);
    }
    assert_eq!(lab.live_approvals(), 0, "nobody is asked either");
    lab
}

/// The one order that goes out.
pub(super) fn ordered(lab: &mut Lab) -> v1::RestartPod {
    let jobs = lab.settle();
    let [job] = &jobs[..] else { panic!("expected one job: {:#?}", lab.incidents) };
    let Some(ActionBody::RestartPod(action)) = action_of(job) else { panic!("{job:?}") };
    action
}

pub(super) fn plan(lab: &Lab) -> &Plan {
    &lab.plans.values().next_back().unwrap().doc
}

#[test]
fn marks_that_say_do_not_disturb_hold_and_it_goes_on_when_they_are_gone() {
    for mark in [
        "annotation cluster-autoscaler.kubernetes.io/safe-to-evict: false",
        "annotation karpenter.sh/do-not-disrupt: true",
        "the ephemeral container debug runs in it",
    ] {
        let lab = crashing_with(|pod| facts(pod).do_not_disturb = vec![mark.into()]);
        let mut lab = is_left_alone(lab, &["asks not to be disturbed", mark]);
        assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::Escalated, "a person is asked");
        lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
        assert_eq!(lab.settle().len(), 1, "{mark}");
    }
}

#[test]
fn what_is_being_deleted_or_paused_is_left_to_whoever_is_at_it() {
    let mut going = deployment("web", 2, 1);
    going.meta.as_mut().unwrap().deleting_since_us = 1;
    let paused = v1::Deployment { paused: true, ..deployment("web", 2, 1) };
    for (deployment, word) in [(going, "being deleted"), (paused, "paused")] {
        let mut lab = crash_loop();
        lab.see(Body::Deployment(deployment));
        is_left_alone(lab, &[word]);
    }
}

#[test]
fn an_agent_that_does_not_say_who_asks_not_to_be_disturbed_has_nothing_evicted() {
    is_left_alone(crashing_with(|pod| pod.facts = None), &["unknown", "upgrade"]);
}

#[test]
fn what_ends_with_0_each_time_finishes_and_does_not_crash() {
    let lab = crashing_with(|pod| {
        pod.containers[0].last_exit_code = 0;
        pod.containers[0].last_reason = "Completed".into();
    });
    is_left_alone(lab, &["exit code 0", "Job", "stays"]);
}

#[test]
fn a_pod_that_was_never_ready_is_not_made_anew() {
    let mut lab = Lab::new();
    lab.deploy("web", 0, 1);
    lab.see(Body::Deployment(deployment("web", 1, 1)));
    let mut never = crashing(pod("web-1", "0", "node-a"), 4);
    never.ready_since_us = facts(&mut never).started_at_us;
    lab.see(Body::Pod(never));
    is_left_alone(lab, &["never been ready", "logs of container app"]);
}

#[test]
fn a_failing_init_container_or_sidecar_is_named_as_such() {
    for (role, words) in [("init", "init container prepare"), ("sidecar", "sidecar prepare")] {
        let mut lab = Lab::new();
        lab.deploy("web", 0, 1);
        lab.see(Body::Deployment(deployment("web", 1, 1)));
        let mut never = crashing(pod("web-1", "0", "node-a"), 4);
        never.ready_since_us = facts(&mut never).started_at_us;
        never.containers[0].name = "prepare".into();
        never.containers[0].role = role.into();
        lab.see(Body::Pod(never));
        let lab = is_left_alone(lab, &[words]);
        assert!(lab.open(IncidentKind::PodCrashLoop).evidence[0].contains(words));
    }
}

#[test]
fn without_a_probe_a_pod_that_never_lasted_is_not_made_anew() {
    let mut lab = Lab::new();
    lab.deploy("web", 0, 1);
    lab.see(Body::Deployment(deployment("web", 1, 1)));
    // Ready for three seconds in each run, and seen so.
    let runs = |ended: i64| {
        let mut pod = crashing(pod("web-1", "0", "node-a"), 4);
        pod.ready_since_us = to_micros(at(ended));
        pod.containers[0].last_started_at_us = to_micros(at(ended - 3));
        pod.containers[0].last_finished_at_us = to_micros(at(ended));
        pod
    };
    let ready = |since: i64| v1::Pod { ready_since_us: to_micros(at(since)), ..pod("web-1", "0", "node-a") };
    lab.see(Body::Pod(ready(-70)));
    lab.see(Body::Pod(runs(-67)));
    lab.see(Body::Pod(ready(-3)));
    lab.see(Body::Pod(runs(0)));
    is_left_alone(lab, &["never lasted", "ran for 3 s"]);
}

#[test]
fn where_all_pods_fail_on_several_nodes_neither_is_to_blame() {
    let mut lab = crash_loop();
    lab.see(Body::Pod(crashing(pod("web-1", "1", "node-b"), 4)));
    let lab = is_left_alone(lab, &["all 2", "2 nodes", "ConfigMap"]);
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::Escalated);
}

/// Three pods of `web` on node-a, of which so many crash-loop.
fn on_one_node(failing: u32) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 1);
    for n in 0..failing {
        lab.see(Body::Pod(crashing(pod("web-1", &n.to_string(), "node-a"), 4)));
    }
    lab
}

/// A single node, as k3s has it: the database that all of them need is gone.
#[test]
fn where_all_pods_fail_on_the_only_node_a_person_is_asked_and_nothing_untrue_is_said() {
    let mut lab = on_one_node(3);
    lab.see(gone("Node", "node-node-b"));
    let lab = is_left_alone(lab, &["all 3 of its running pods fail, on one node (node-a)", "ConfigMap"]);
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Escalated);
    for untrue in ["neither a node", "nodes"] {
        assert!(!incident.reason.contains(untrue), "{untrue}: {}", incident.reason);
    }
    // What they refer to is told as where they fail on several nodes.
    let mut lab = on_one_node(3);
    lab.see(gone("Node", "node-node-b"));
    let written = to_micros(at(-3_700));
    lab.see(Body::ConfigMap(config_map("settings", "kubectl-edit", written)));
    for n in 0..3 {
        let mut pod = crashing(pod("web-1", &n.to_string(), "node-a"), 4);
        facts(&mut pod).config_maps = vec!["settings".into()];
        lab.see(Body::Pod(pod));
    }
    is_left_alone(lab, &["all 3", "ConfigMap settings, to which they refer, was written by kubectl-edit"]);
}

#[test]
fn of_several_that_fail_on_the_only_node_none_is_replaced_until_one_is_known_to_be_well() {
    let mut lab = on_one_node(2);
    lab.see(gone("Node", "node-node-b"));
    let third = fresh(&lab, "web-1", "2", "node-a");
    lab.see(Body::Pod(third));
    let mut lab =
        is_left_alone(lab, &["2 of its 3 running pods fail, on one node (node-a)", "none is known"]);
    lab.pass(31);
    assert!(!ordered(&mut lab).avoid_node);
    assert!(plan(&lab).rationale.contains("well on its node"), "{}", plan(&lab).rationale);
}

#[test]
fn where_all_fail_on_one_node_of_several_one_eviction_is_the_probe() {
    let mut lab = on_one_node(3);
    let jobs = lab.settle();
    let [job] = &jobs[..] else { panic!("{:#?}", lab.incidents) };
    let Some(ActionBody::RestartPod(action)) = action_of(job) else { panic!("{job:?}") };
    assert!(!action.avoid_node);
    assert!(plan(&lab).rationale.contains("as a probe: all 3"), "{}", plan(&lab).rationale);
    lab.apply(job);
    lab.see(gone("Pod", &action.pod.unwrap().uid));
    lab.see(Body::Pod(crashing(pod("web-1", "9", "node-a"), 4)));
    // Its agent saw it well for long enough; by now it fails as the others do.
    lab.report(job, Phase::Succeeded, "", "");
    lab.pass(60);
    let lab = is_left_alone(lab, &["all 3", "one node (node-a)", "replacing one did not help", "ConfigMap"]);
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::Escalated);
}

#[test]
fn while_one_elsewhere_is_about_to_tell_of_the_node_nothing_is_replaced() {
    let mut lab = on_one_node(2);
    let third = fresh(&lab, "web-1", "2", "node-b");
    lab.see(Body::Pod(third));
    let mut lab = is_left_alone(lab, &["ready on node-b since a moment ago", "node-a is to blame"]);
    lab.pass(31);
    assert!(ordered(&mut lab).avoid_node, "the node alone is suspect: {}", plan(&lab).rationale);
}

/// A crash loop of a pod that refers to ConfigMap `settings`, which was written by `kubectl-edit` at that second.
fn refers_to_settings(written_at: i64) -> Lab {
    let mut lab = crashing_with(|pod| facts(pod).config_maps = vec!["settings".into()]);
    lab.see(Body::ConfigMap(config_map("settings", "kubectl-edit", to_micros(at(written_at)))));
    lab
}

#[test]
fn where_all_fail_the_config_map_that_was_written_before_is_the_evidence() {
    let mut other = crashing(pod("web-1", "1", "node-b"), 4);
    facts(&mut other).config_maps = vec!["settings".into()];
    let written = "ConfigMap settings, to which they refer, was written by kubectl-edit at ";
    let mut lab = refers_to_settings(0);
    lab.see(Body::Pod(other.clone()));
    is_left_alone(lab, &["all 2", written]);
    // Long ago is no evidence, and what is not known is said.
    let mut lab = refers_to_settings(-90_000);
    lab.see(Body::Pod(other.clone()));
    let lab = is_left_alone(lab, &["all 2"]);
    assert!(!lab.open(IncidentKind::PodCrashLoop).reason.contains("written"));
    let mut lab = refers_to_settings(0);
    lab.see(Body::Pod(other.clone()));
    lab.see(begin("ConfigMap", 1));
    is_left_alone(lab, &["unknown: whether ConfigMap settings changed"]);
    let mut lab = refers_to_settings(0);
    lab.see(Body::Pod(other));
    lab.see(gone("ConfigMap", &config_map("settings", "", 0).meta.unwrap().uid));
    is_left_alone(lab, &["ConfigMap settings is not there"]);
}

#[test]
fn while_what_the_pods_refer_to_was_just_written_no_node_is_suspect() {
    let lone = |written_at: i64| {
        let mut lab = refers_to_settings(written_at);
        lab.see(Body::Pod(pod("web-1", "1", "node-b")));
        let held = ordered(&mut lab).avoid_node;
        (held, plan(&lab).rationale.clone())
    };
    let (held, why) = lone(-60);
    assert!(!held && why.contains("written by kubectl-edit"), "{why}");
    // The other one started two hours ago: what was written hours before is what it read, too.
    let (held, why) = lone(-5 * 3_600);
    assert!(held, "{why}");
    for written_since_or_by_a_wrong_clock in [-7_200, -3_600, 63_072_000] {
        let (held, why) = lone(written_since_or_by_a_wrong_clock);
        assert!(!held && why.contains("may only not have read it"), "{why}");
    }
    // Where ConfigMaps are not listed it is not known.
    let mut lab = refers_to_settings(-7_200);
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    lab.see(begin("ConfigMap", 1));
    assert!(!ordered(&mut lab).avoid_node);
    assert!(plan(&lab).rationale.contains("is not known"), "{}", plan(&lab).rationale);
}

#[test]
fn where_it_is_not_known_whether_what_a_pod_refers_to_was_written_no_node_is_suspect() {
    type Change = fn(&mut v1::PodFacts);
    let table: [(Change, &str); 3] = [
        (|facts| facts.secrets = vec!["keys".into()], "Secret keys"),
        (|facts| facts.references_complete = false, "not all ConfigMaps and Secrets"),
        (
            |facts| (facts.references_complete, facts.config_maps) = (false, vec!["settings".into()]),
            "not all",
        ),
    ];
    for (change, why) in table {
        let mut lab = crashing_with(|pod| change(facts(pod)));
        lab.see(Body::Pod(pod("web-1", "1", "node-b")));
        assert!(!ordered(&mut lab).avoid_node, "{why}");
        assert!(plan(&lab).rationale.contains(why), "{}", plan(&lab).rationale);
    }
}

#[test]
fn where_the_name_of_an_image_stands_for_another_one_the_node_is_not_suspect() {
    let with = |id: &str| {
        let mut lab = crash_loop();
        let mut other = pod("web-1", "1", "node-b");
        other.containers[0].image_id = id.into();
        lab.see(Body::Pod(other));
        (ordered(&mut lab).avoid_node, plan(&lab).rationale.clone())
    };
    let (held, why) = with("sha256:2");
    assert!(!held && why.contains("what the name stands for changed"), "{why}");
    let (held, why) = with("");
    assert!(!held && why.contains("is not known"), "{why}");
    let (held, why) = with("sha256:1");
    assert!(held, "{why}");
}

#[test]
fn where_the_agent_may_watch_secrets_a_rotated_one_is_told_and_an_old_one_is_no_excuse() {
    let lone = |written_at: i64| {
        let mut lab = crashing_with(|pod| facts(pod).secrets = vec!["keys".into()]);
        lab.see(Body::Secret(secret("keys", "vault", to_micros(at(written_at)))));
        lab.see(Body::Pod(pod("web-1", "1", "node-b")));
        (ordered(&mut lab).avoid_node, plan(&lab).rationale.clone())
    };
    let (held, why) = lone(-5 * 3_600);
    assert!(held, "{why}");
    let (held, why) = lone(-600);
    assert!(!held && why.contains("Secret keys, to which they refer, was written by vault"), "{why}");
    // All fail: the rotated Secret is the evidence; without the right to watch Secrets that is said to be unknown.
    for (listed, word) in
        [(true, "Secret keys, to which they refer, was written by vault"), (false, "whether Secret keys")]
    {
        let mut lab = crashing_with(|pod| facts(pod).secrets = vec!["keys".into()]);
        lab.see(Body::Secret(secret("keys", "vault", to_micros(at(-600)))));
        let mut other = crashing(pod("web-1", "1", "node-b"), 4);
        facts(&mut other).secrets = vec!["keys".into()];
        lab.see(Body::Pod(other));
        if !listed {
            lab.see(begin("Secret", 1));
        }
        is_left_alone(lab, &["all 2", word]);
    }
}

#[test]
fn one_and_the_same_pod_has_to_show_that_the_node_is_suspect() {
    let mut lab = refers_to_settings(-3_600);
    lab.see(Body::Node(node("node-c")));
    lab.see(Body::Deployment(deployment("web", 3, 1)));
    // One started after the write and runs another image, the other runs the same and started before it.
    let mut newer = pod("web-1", "1", "node-b");
    newer.containers[0].image_id = "sha256:2".into();
    facts(&mut newer).started_at_us = to_micros(at(-1_800));
    lab.see(Body::Pod(newer));
    lab.see(Body::Pod(pod("web-1", "2", "node-c")));
    assert!(!ordered(&mut lab).avoid_node, "{}", plan(&lab).rationale);

    // A container that only one of them has, as after an injection was switched on, is a difference, too.
    let mut lab = crash_loop();
    let mut other = pod("web-1", "1", "node-b");
    let proxy = v1::Container { name: "proxy".into(), ..other.containers[0].clone() };
    other.containers.push(proxy);
    lab.see(Body::Pod(other));
    assert!(!ordered(&mut lab).avoid_node, "{}", plan(&lab).rationale);

    // What an init container prepared may differ, too.
    let mut lab = crashing_with(|pod| facts(pod).init_images = vec!["prepare=sha256:1".into()]);
    let mut other = pod("web-1", "1", "node-b");
    facts(&mut other).init_images = vec!["prepare=sha256:2".into()];
    lab.see(Body::Pod(other));
    assert!(!ordered(&mut lab).avoid_node, "{}", plan(&lab).rationale);
}

#[test]
fn a_container_that_a_probe_may_have_ended_is_not_said_to_finish() {
    let lab = crashing_with(|pod| {
        let container = &mut pod.containers[0];
        (container.last_exit_code, container.last_reason) = (0, "Completed".into());
        container.probed = true;
    });
    is_left_alone(lab, &["liveness or startup probe", "Unhealthy"]);
}

#[test]
fn after_what_they_refer_to_was_written_one_pod_is_the_probe_and_then_a_person_is_asked() {
    let mut lab = refers_to_settings(-60);
    lab.see(Body::Node(node("node-c")));
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    lab.see(Body::Deployment(deployment("web", 2, 1)));
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    lab.see(gone("Pod", "pod-web-1-0"));
    lab.see(Body::Pod(pod("web-1", "2", "node-c")));
    lab.pass(60);
    lab.settle();
    let mut next = crashing(pod("web-1", "1", "node-b"), 4);
    facts(&mut next).config_maps = vec!["settings".into()];
    lab.see(Body::Pod(next));
    is_left_alone(lab, &["replaced since", "ConfigMap settings", "kubectl-edit"]);
}

#[test]
fn where_some_fail_on_several_nodes_one_eviction_is_the_probe_and_no_node_is_held() {
    let mut lab = crash_loop();
    lab.see(Body::Node(node("node-c")));
    lab.see(Body::Pod(crashing(pod("web-1", "1", "node-b"), 4)));
    lab.see(Body::Pod(pod("web-1", "2", "node-c")));
    lab.see(Body::Deployment(deployment("web", 3, 1)));
    let jobs = lab.settle();
    let Some(ActionBody::RestartPod(action)) = action_of(&jobs[0]) else { panic!() };
    assert!(jobs.len() == 1 && !action.avoid_node);
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Failed, "", "the replacement crash-loops");
    lab.pass(60);
    is_left_alone(lab, &["replacing one did not help"]);
}

#[test]
fn a_node_on_which_others_of_the_template_are_well_is_not_held() {
    let mut lab = crash_loop();
    lab.see(Body::Pod(pod("web-1", "2", "node-a")));
    lab.see(Body::Deployment(deployment("web", 3, 1)));
    assert!(!ordered(&mut lab).avoid_node);
    assert!(plan(&lab).rationale.contains("well on its node"), "{}", plan(&lab).rationale);
}

#[test]
fn what_an_eviction_destroys_is_in_the_plan() {
    let mut lab = crashing_with(|pod| facts(pod).lost_volumes = vec!["emptyDir cache".into()]);
    let mut done = lab.clone();
    let job = done.settle().remove(0);
    done.apply(&job);
    done.see(gone("Pod", "pod-web-1-0"));
    let next = fresh(&done, "web-1", "9", "node-b");
    done.see(Body::Pod(next));
    done.report(&job, Phase::Succeeded, "", "");
    let ended = &done.last(IncidentKind::PodCrashLoop).reason;
    assert!(ended.contains("what is in emptyDir cache of shop/web-1-0 is lost to the new pod"), "{ended}");
    ordered(&mut lab);
    let changes = &plan(&lab).changes;
    assert!(
        changes.iter().any(|change| change.contains("emptyDir cache") && change.contains("lost")),
        "{changes:?}"
    );
}

#[test]
fn a_refused_eviction_is_no_attempt_and_is_asked_again_soon() {
    let mut lab = crash_loop();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let job = lab.settle().remove(0);
        lab.report(&job, Phase::Accepted, "", "");
        lab.report(&job, Phase::Refused, "eviction_refused", "budget web allows 0 disruptions");
        let incident = lab.open(IncidentKind::PodCrashLoop).clone();
        assert!(incident.reason.contains("budget web allows 0 disruptions"), "{}", incident.reason);
        assert!(incident.reason.contains("no attempt is counted; asked again at"), "{}", incident.reason);
        assert_eq!(incident.attempts, 0);
        let refused_at = lab.now;
        let mut tried = lab.clone();
        while tried.settle().is_empty() {
            tried.pass(1);
        }
        waits.push(tried.now.duration_since(refused_at).as_secs());
        lab.now = tried.now;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 45, 45]);
}

#[test]
fn ended_pods_are_no_pods() {
    let mut lab = Lab::new();
    lab.deploy("web", 1, 1);
    for (n, phase) in [(1, "Failed"), (2, "Succeeded")] {
        for (suffix, make) in [
            ("crash", crashing(pod("web-1", "0", "node-a"), 9)),
            ("image", without_image(pod("web-1", "0", "node-a"))),
        ] {
            let mut ended = make;
            ended.meta = Some(meta("pod", &format!("web-1-{n}{suffix}"), Some(("ReplicaSet", "web-1"))));
            ended.phase = phase.into();
            lab.see(Body::Pod(ended));
        }
    }
    lab.settle();
    assert!(lab.incidents.is_empty(), "{:#?}", lab.incidents);
}
