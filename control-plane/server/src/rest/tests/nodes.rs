//! Tests of the nodes that are listed and shown: whose they are, in which order, and what is not known of them.

use nimbus_protocol::v1::{self, observation, sync_mark};
use serde_json::{Value, json};

use super::TestApi;
use super::fleet::{connect, observe};
use super::site::{CLUSTER, site};

/// Nodes n1 to n3, of which n2 is not ready and n3 is cordoned, and on n1 two pods; every kind is listed but those in `without`.
fn listing(without: &[&str]) -> Vec<observation::Body> {
    let mark = |kind: &str, phase: sync_mark::Phase| {
        observation::Body::Sync(v1::SyncMark { kind: kind.into(), phase: phase.into(), lease_term: 3 })
    };
    let meta =
        |name: &str| Some(v1::ObjectMeta { uid: name.into(), name: name.into(), ..Default::default() });
    let node = |name: &str, ready: &str, reason: &str, unschedulable: bool| {
        let taint = v1::Taint { key: "gpu".into(), value: String::new(), effect: "NoSchedule".into() };
        observation::Body::Node(v1::Node {
            meta: meta(name),
            ready: ready.into(),
            ready_reason: reason.into(),
            unschedulable,
            facts: (name != "n2").then(|| v1::NodeFacts {
                taints: vec![taint],
                cpu_milli: 2_000,
                memory_bytes: 1 << 30,
                pods: 110,
                ..Default::default()
            }),
            ..Default::default()
        })
    };
    let pod = |name: &str, phase: &str, ready: bool| {
        let container = v1::Container {
            name: "c".into(),
            state: if ready { "running" } else { "waiting" }.into(),
            reason: if ready { "" } else { "CrashLoopBackOff" }.into(),
            restart_count: 4,
            ..Default::default()
        };
        observation::Body::Pod(v1::Pod {
            meta: meta(name),
            node: "n1".into(),
            phase: phase.into(),
            ready,
            containers: vec![container],
            ..Default::default()
        })
    };
    let kinds: Vec<&str> = nimbus_protocol::ObjectKind::ALL
        .iter()
        .map(|kind| kind.as_str())
        .filter(|kind| !without.contains(kind))
        .collect();
    let mut bodies: Vec<_> = kinds.iter().map(|kind| mark(kind, sync_mark::Phase::Begin)).collect();
    bodies.extend([node("n1", "True", "", false), node("n2", "Unknown", "NodeStatusUnknown", false)]);
    bodies.push(node("n3", "True", "", true));
    bodies.extend([pod("a", "Running", true), pod("b", "Running", false), pod("done", "Succeeded", false)]);
    bodies.extend(kinds.iter().map(|kind| mark(kind, sync_mark::Phase::End)));
    bodies
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nodes_are_listed_page_by_page_and_unknown_while_nobody_watches() {
    let api = TestApi::with(site()).await;
    let none = api.get("/api/v1/nodes").await.ok();
    assert_eq!(none, json!({"items": [], "next": null}), "nobody has listed any");
    observe(&api, 1, CLUSTER, listing(&[]));
    let away = api.get("/api/v1/nodes").await.ok();
    assert_eq!(names(&away), ["n1", "n2", "n3"]);
    assert!(away["items"].as_array().unwrap().iter().all(|node| node["state"] == "unknown"), "{away}");
    assert_ne!(away["items"][0]["reason"], "", "why it is not known is said");
    connect(&api, 1);
    let all = api.get("/api/v1/nodes?cluster=prod").await.ok();
    let states: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| (&n["state"], &n["reason"], &n["cordoned"]))
        .collect();
    let said = |text: &str| json!(text);
    assert_eq!(states[0], (&said("ready"), &said(""), &json!(false)));
    assert_eq!(states[1], (&said("not_ready"), &said("Unknown: NodeStatusUnknown"), &json!(false)));
    assert_eq!(states[2], (&said("ready"), &said(""), &json!(true)));
    assert_eq!((&all["items"][0]["pods"], &all["items"][0]["pods_ready"]), (&2.into(), &1.into()));
    assert_eq!(names(&api.get("/api/v1/nodes?state=not_ready").await.ok()), ["n2"]);

    let first = api.get("/api/v1/nodes?limit=2").await.ok();
    assert_eq!(names(&first), ["n1", "n2"]);
    let next = first["next"].as_str().unwrap();
    let last = api.get(&format!("/api/v1/nodes?limit=2&after={next}")).await.ok();
    assert_eq!((names(&last), &last["next"]), (vec!["n3"], &Value::Null));
    let whole = api.get("/api/v1/nodes?limit=3").await.ok();
    assert_eq!(whole["next"], Value::Null, "a full last page has none after it");

    for wrong in ["state=well", "after=n1", "limit=0", "limit=501", "node=n1"] {
        api.get(&format!("/api/v1/nodes?{wrong}")).await.problem(400, "invalid");
    }
    api.get("/api/v1/nodes?cluster=nope").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_node_is_shown_with_its_pods_and_what_is_not_known_is_null() {
    let api = TestApi::with(site()).await;
    connect(&api, 1);
    api.get("/api/v1/clusters/prod/nodes/n1").await.problem(404, "not_found");
    observe(&api, 1, CLUSTER, listing(&[]));
    let node = api.get("/api/v1/clusters/prod/nodes/n1").await.ok();
    assert_eq!((&node["name"], &node["taints"]), (&"n1".into(), &json!(["gpu:NoSchedule"])), "{node}");
    assert_eq!((&node["cpu_milli"], &node["most_pods"]), (&2_000.into(), &110.into()));
    let pods: Vec<_> = node["pods_on_it"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (&p["name"], &p["reason"], &p["owner"]))
        .collect();
    assert_eq!(
        pods,
        [(&json!("b"), &json!("CrashLoopBackOff"), &Value::Null), (&json!("a"), &json!(""), &Value::Null)]
    );
    assert_eq!((&node["pods_on_it"][0]["restarts"], &node["pods_left_out"]), (&4.into(), &0.into()));
    let silent = api.get(&format!("/api/v1/clusters/{CLUSTER}/nodes/n2")).await.ok();
    for field in ["taints", "cpu_milli", "memory_bytes", "most_pods", "since"] {
        assert_eq!(silent[field], Value::Null, "{field}");
    }
    let problem = api.get("/api/v1/clusters/prod/nodes/n9").await.problem(404, "not_found");
    assert!(problem["remedy"].as_str().unwrap().contains("nimbus nodes list --cluster prod"), "{problem}");
    api.get("/api/v1/clusters/nope/nodes/n1").await.problem(404, "not_found");

    observe(&api, 1, CLUSTER, listing(&["Pod"]));
    let unlisted = api.get("/api/v1/clusters/prod/nodes/n1").await.ok();
    assert!(unlisted["state"] == "ready" || unlisted["state"] == "unknown", "{unlisted}");
}
