//! Tests of what is answered before nodes are drained: by the inventory alone, and never better than it is known.

use nimbus_protocol::v1::{self, observation::Body};

use super::*;
use crate::testing::lab::Lab;
use crate::testing::objects::*;

/// Three nodes, and Deployment `web` with two pods on node-a and one on node-b.
fn lab() -> Lab {
    let mut lab = Lab::new();
    for name in ["node-a", "node-b", "node-c"] {
        lab.see(Body::Node(named_node(name)));
    }
    lab.see(Body::Deployment(deployment("web", 3, 1)));
    lab.see(Body::ReplicaSet(replica_set("web", 1, 3)));
    for (suffix, node) in [("1", "node-a"), ("2", "node-a"), ("3", "node-b")] {
        lab.see(Body::Pod(web(suffix, node)));
    }
    lab
}

/// A node with the label of one node alone.
fn named_node(name: &str) -> v1::Node {
    let label = v1::Label { key: "kubernetes.io/hostname".into(), value: name.into() };
    let facts = v1::NodeFacts { labels: vec![label], ..node(name).facts.unwrap() };
    v1::Node { facts: Some(facts), ..node(name) }
}

/// A pod of `web` with the label `app`, which asks for a whole processor.
fn web(suffix: &str, node: &str) -> v1::Pod {
    changed(pod("web-1", suffix, node), |facts, placement| {
        facts.labels = vec![v1::Label { key: "app".into(), value: "web".into() }];
        facts.labels_complete = true;
        placement.cpu_milli = 1_000;
        placement.untold = Some(v1::Untold::default());
    })
}

fn changed(mut pod: v1::Pod, change: impl FnOnce(&mut v1::PodFacts, &mut v1::Placement)) -> v1::Pod {
    let facts = pod.facts.as_mut().unwrap();
    let mut placement = facts.placement.take().unwrap();
    change(facts, &mut placement);
    facts.placement = Some(placement);
    pod
}

/// Required anti-affinity between the pods of `web`, node by node.
fn off_each_others_nodes() -> v1::KeepsAway {
    v1::KeepsAway {
        topology_key: "kubernetes.io/hostname".into(),
        other_namespaces: false,
        selector: Some(v1::LabelSelector {
            match_labels: vec![v1::Label { key: "app".into(), value: "web".into() }],
            ..Default::default()
        }),
        selector_told: true,
    }
}

fn ask(lab: &Lab, nodes: &[&str]) -> Result<Drained, Unanswered> {
    let names = nodes.iter().copied().collect();
    draining(&lab.world.clusters[CLUSTER], &names, true, &lab.settings, lab.now).map(|asked| asked.answer())
}

fn answer(lab: &Lab, nodes: &[&str]) -> Drained {
    ask(lab, nodes).unwrap()
}

/// The answer, with the one reason that is in the way.
fn why(lab: &Lab, nodes: &[&str]) -> String {
    let found = answer(lab, nodes);
    assert_eq!(found.verdict, Verdict::Blocked, "{found:#?}");
    let [one] = found.in_the_way.as_slice() else { panic!("{found:#?}") };
    one.why.join("; ")
}

#[test]
fn pods_that_find_room_elsewhere_let_a_node_be_drained() {
    let mut lab = lab();
    lab.see(Body::DaemonSet(daemon_set("logs", 3, 3)));
    let mut logs = owned_pod("DaemonSet", "logs", 0, "1");
    logs.node = "node-a".into();
    lab.see(Body::Pod(logs));
    let found = answer(&lab, &["node-a"]);
    assert_eq!((found.verdict, found.going, found.staying), (Verdict::Finishes, 2, 1), "{found:#?}");
    assert!(found.in_the_way.is_empty() && found.changes.is_empty() && found.not_known.is_empty());
    assert_eq!((found.rounds.len(), found.places.len()), (1, 2));
    // Both took an hour to become ready, which is the longest that is believed.
    assert_eq!(found.takes_ms, Some(3_600_000));
    assert!(found.places.iter().all(|(_, node)| node != "node-a"));
}

#[test]
fn what_is_in_the_way_is_named_with_what_would_clear_it() {
    type Change = fn(&mut Lab);
    let cases: [(&str, &str, Change); 6] = [
        ("no controller makes another one", "move or remove shop/lone yourself", |lab| {
            let mut lone = web("x", "node-a");
            lone.meta = Some(meta("pod", "lone", None));
            lab.see(Body::Pod(lone));
        }),
        ("it would lose volume data (emptyDir)", "move or remove shop/web-1-1 yourself", |lab| {
            lab.see(Body::Pod(changed(web("1", "node-a"), |facts, _| {
                facts.lost_volumes = vec!["volume data (emptyDir)".into()];
            })));
        }),
        ("it asks not to be disturbed: its annotation", "take the mark of shop/web-1-1 away", |lab| {
            lab.see(Body::Pod(changed(web("1", "node-a"), |facts, _| {
                facts.do_not_disturb = vec!["its annotation".into()];
            })));
        }),
        ("has not enough room", "make room for shop/web-1-1 on another node", |lab| {
            lab.see(Body::Pod(changed(web("1", "node-a"), |_, placement| placement.cpu_milli = 4_001)));
        }),
        ("it lacks the label disk=ssd", "make room for shop/web-1-1 on another node", |lab| {
            lab.see(Body::Pod(changed(web("1", "node-a"), |_, placement| {
                placement.node_selector = vec![v1::Label { key: "disk".into(), value: "ssd".into() }];
            })));
        }),
        (
            "the eviction API refuses a pod that several PodDisruptionBudgets guard",
            "change PodDisruption",
            |lab| {
                // The second pod of the node has other labels.
                lab.see(Body::Pod(changed(web("2", "node-a"), |facts, _| facts.labels.clear())));
                for name in ["one", "two"] {
                    lab.see(Body::PodDisruptionBudget(v1::PodDisruptionBudget {
                        current_healthy: 3,
                        desired_healthy: 1,
                        disruptions_allowed: 2,
                        ..budget(name, "web", 2)
                    }));
                }
            },
        ),
    ];
    for (reason, change, make) in cases {
        let mut lab = lab();
        make(&mut lab);
        let found = why(&lab, &["node-a"]);
        assert!(found.contains(reason), "{reason}: {found}");
        let found = answer(&lab, &["node-a"]);
        assert!(found.changes.len() == 1 && found.changes_are_fewest, "{found:#?}");
        assert!(found.changes[0].contains(change), "{change}: {found:#?}");
        // Nothing of it is in the way of another node.
        assert_eq!(answer(&lab, &["node-c"]).verdict, Verdict::Finishes, "{reason}");
    }
}

#[test]
fn a_budget_that_never_lets_a_pod_go_is_told_from_one_that_waits_and_one_that_takes_rounds() {
    let with = |healthy, needed| {
        let mut lab = lab();
        lab.see(Body::PodDisruptionBudget(v1::PodDisruptionBudget {
            current_healthy: healthy,
            desired_healthy: needed,
            disruptions_allowed: (healthy - needed).max(0),
            ..budget("web", "web", 0)
        }));
        lab
    };
    let never = answer(&with(3, 3), &["node-a"]);
    assert_eq!((never.verdict, never.in_the_way.len()), (Verdict::Blocked, 2), "{never:#?}");
    assert!(never.in_the_way[0].why[0].contains("never lets a pod go"), "{never:#?}");
    // One budget is in the way of both.
    assert_eq!(never.changes.len(), 1, "{never:#?}");
    assert!(never.changes[0].contains("change PodDisruptionBudget shop/web"), "{never:#?}");
    let waits = answer(&with(2, 2), &["node-a"]);
    assert!(waits.changes[0].starts_with("wait until more pods"), "{waits:#?}");
    let rounds = answer(&with(3, 2), &["node-a"]);
    assert_eq!((rounds.verdict, rounds.rounds.len()), (Verdict::Finishes, 2), "{rounds:#?}");
    let together = answer(&with(3, 1), &["node-a"]);
    assert_eq!((together.verdict, together.rounds.len()), (Verdict::Finishes, 1), "{together:#?}");
}

#[test]
fn what_keeps_pods_off_one_node_is_seen_between_those_that_go_together() {
    let term = off_each_others_nodes();
    let apart = |suffix: &str, node: &str| {
        changed(web(suffix, node), |_, placement| placement.keeps_away = vec![term.clone()])
    };
    let mut lab = lab();
    lab.see(gone("Pod", "pod-web-1-2"));
    lab.see(Body::Pod(apart("1", "node-a")));
    lab.see(Body::Pod(apart("3", "node-b")));
    // node-c is free for one of them, and not for both.
    assert_eq!(answer(&lab, &["node-a"]).verdict, Verdict::Finishes);
    assert_eq!(answer(&lab, &["node-b"]).verdict, Verdict::Finishes);
    let both = answer(&lab, &["node-a", "node-b"]);
    assert_eq!((both.verdict, both.without_room), (Verdict::Blocked, 1), "{both:#?}");
    assert_eq!(both.changes.len(), 1);
    let steps: Vec<(&str, Verdict)> =
        both.one_by_one.iter().map(|step| (step.node.as_str(), step.verdict)).collect();
    assert_eq!(steps, [("node-a", Verdict::Finishes), ("node-b", Verdict::Finishes)]);
}

#[test]
fn what_is_not_known_is_never_promised() {
    type Change = fn(&mut Lab);
    let cases: [(&str, Change); 9] = [
        ("it is being deleted, and a drain waits", |lab| {
            let mut leaving = web("1", "node-a");
            leaving.meta = leaving.meta.map(|meta| v1::ObjectMeta { deleting_since_us: 1, ..meta });
            lab.see(Body::Pod(leaving));
        }),
        ("an eviction counts", |lab| {
            lab.see(Body::BatchJob(batch_job("import", None)));
            let mut run = owned_pod("Job", "import", 0, "");
            run.node = "node-a".into();
            run.meta = run.meta.map(|meta| v1::ObjectMeta { owner_api_version: "batch/v1".into(), ..meta });
            lab.see(Body::Pod(run));
        }),
        ("node-a is not ready", |lab| {
            lab.see(Body::Node(v1::Node { ready: "Unknown".into(), ..named_node("node-a") }));
        }),
        ("lets 0 go, while its figures would let 1", |lab| {
            lab.see(Body::PodDisruptionBudget(v1::PodDisruptionBudget {
                current_healthy: 3,
                desired_healthy: 2,
                ..budget("web", "web", 0)
            }));
        }),
        ("makes another one is not known", |lab| {
            let mut other = web("x", "node-a");
            other.meta = Some(meta("pod", "of-an-operator", Some(("Rollout", "web"))));
            lab.see(Body::Pod(other));
        }),
        ("its agent does not say", |lab| {
            lab.see(Body::Pod(v1::Pod { facts: None, ..web("1", "node-a") }));
        }),
        ("which budgets guard shop/web-1-1 is not known", |lab| {
            lab.see(Body::PodDisruptionBudget(v1::PodDisruptionBudget {
                desired_healthy: 1,
                ..budget("web", "web", 1)
            }));
            lab.see(Body::Pod(changed(web("1", "node-a"), |facts, _| facts.labels_complete = false)));
        }),
        ("its controller has not looked since", |lab| {
            lab.see(Body::PodDisruptionBudget(v1::PodDisruptionBudget {
                generation: 2,
                ..budget("web", "web", 1)
            }));
        }),
        ("which goes too", |lab| {
            lab.see(Body::Pod(changed(web("1", "node-a"), |_, placement| {
                placement.spread = vec![v1::Spread {
                    topology_key: "topology.kubernetes.io/zone".into(),
                    max_skew: 1,
                    ..Default::default()
                }];
            })));
        }),
    ];
    for (reason, make) in cases {
        let mut lab = lab();
        make(&mut lab);
        let found = answer(&lab, &["node-a"]);
        assert_eq!(found.verdict, Verdict::NotKnown, "{reason}: {found:#?}");
        assert!(found.not_known.iter().any(|why| why.contains(reason)), "{reason}: {found:#?}");
        assert!(found.places.is_empty() && found.rounds.is_empty() && !found.changes_are_fewest);
    }
}

/// Of each two pods of one workload it is known at once what they are to each other.
#[test]
fn many_pods_that_keep_apart_are_one_group_and_too_many_are_refused() {
    let mut lab = lab();
    let term = off_each_others_nodes();
    let more = |lab: &mut Lab, range: std::ops::Range<usize>| {
        for n in range {
            let pod =
                changed(web(&format!("x{n}"), "node-a"), |_, asks| asks.keeps_away = vec![term.clone()]);
            lab.see(Body::Pod(pod));
        }
    };
    more(&mut lab, 0..200);
    let names = ["node-a"].into_iter().collect();
    let asked = draining(&lab.world.clusters[CLUSTER], &names, true, &lab.settings, lab.now).unwrap();
    let one = asked.cluster.pods.iter().find(|pod| pod.name == "shop/web-1-x7").unwrap();
    assert_eq!(one.apart.len(), 3, "that of their own, and one with each of the two others");
    assert_eq!(asked.answer().verdict, Verdict::Blocked);
    more(&mut lab, 200..MOST_PODS + 1);
    assert_eq!(ask(&lab, &["node-a"]), Err(Unanswered::Pods(MOST_PODS + 3)));
}

#[test]
fn of_a_cluster_that_nobody_watches_now_nothing_is_promised() {
    let lab = lab();
    let names = ["node-a", "node-b"].into_iter().collect();
    let asked = draining(&lab.world.clusters[CLUSTER], &names, false, &lab.settings, lab.now).unwrap();
    let found = asked.answer();
    assert_eq!(found.verdict, Verdict::NotKnown, "{found:#?}");
    assert!(found.not_known[0].contains("no agent watches") && found.rounds.is_empty());
    assert!(found.one_by_one.iter().all(|step| step.verdict == Verdict::NotKnown && !step.why.is_empty()));
}

#[test]
fn a_question_without_an_answer_says_why() {
    let mut lab = lab();
    assert_eq!(ask(&lab, &["node-z"]), Err(Unanswered::NoNode("node-z".to_owned())));
    assert_eq!(ask(&lab, &[]), Err(Unanswered::Count(0)));
    lab.see(begin("PodDisruptionBudget", 1));
    assert_eq!(ask(&lab, &["node-a"]), Err(Unanswered::NotListed(ObjectKind::PodDisruptionBudget)));
}
