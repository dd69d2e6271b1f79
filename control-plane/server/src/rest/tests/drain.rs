//! Tests of what is answered before nodes are drained. What it is made of is tested in the core.

use nimbus_protocol::v1::{self, observation, sync_mark};
use serde_json::{Value, json};

use super::TestApi;
use super::fleet::{connect, observe};
use super::site::{CLUSTER, site};

/// Nodes n1 and n2, on n1 a pod of a Deployment and, if `bare`, one of nobody; every kind is listed but those in `without`.
fn listing(bare: bool, without: &[&str]) -> Vec<observation::Body> {
    let mark = |kind: &str, phase: sync_mark::Phase| {
        observation::Body::Sync(v1::SyncMark { kind: kind.into(), phase: phase.into(), lease_term: 3 })
    };
    let meta = |name: &str, owner: Option<(&str, &str)>| {
        let (kind, uid) = owner.unwrap_or_default();
        Some(v1::ObjectMeta {
            uid: name.into(),
            namespace: "shop".into(),
            name: name.into(),
            owner_api_version: if kind.is_empty() { String::new() } else { "apps/v1".into() },
            owner_kind: kind.into(),
            owner_name: uid.into(),
            owner_uid: uid.into(),
            ..Default::default()
        })
    };
    let node = |name: &str| {
        let facts = v1::NodeFacts { cpu_milli: 1_000, memory_bytes: 1 << 30, pods: 10, ..Default::default() };
        let node = v1::Node {
            meta: meta(name, None),
            ready: "True".into(),
            facts: Some(facts),
            ..Default::default()
        };
        observation::Body::Node(node)
    };
    let pod = |name: &str, owner: Option<(&str, &str)>| {
        let facts = v1::PodFacts {
            placement: Some(v1::Placement { untold: Some(v1::Untold::default()), ..Default::default() }),
            labels_complete: true,
            ..Default::default()
        };
        observation::Body::Pod(v1::Pod {
            meta: meta(name, owner),
            node: "n1".into(),
            phase: "Running".into(),
            ready: true,
            facts: Some(facts),
            ..Default::default()
        })
    };
    let kinds: Vec<&str> = nimbus_protocol::ObjectKind::ALL
        .iter()
        .map(|kind| kind.as_str())
        .filter(|kind| !without.contains(kind))
        .collect();
    let mut bodies: Vec<_> = kinds.iter().map(|kind| mark(kind, sync_mark::Phase::Begin)).collect();
    bodies.extend([node("n1"), node("n2"), pod("db-0", Some(("StatefulSet", "db")))]);
    bodies.extend(bare.then(|| pod("lone", None)));
    bodies.extend(kinds.iter().map(|kind| mark(kind, sync_mark::Phase::End)));
    bodies
}

#[tokio::test]
async fn what_a_drain_would_do_is_answered_and_nothing_is_promised_of_what_nobody_watches() {
    let api = TestApi::with(site()).await;
    let ask = async |nodes: &str| api.get(&format!("/api/v1/clusters/prod/drain?nodes={nodes}")).await;
    ask("n1").await.problem(404, "not_found");
    observe(&api, 1, CLUSTER, listing(false, &[]));
    let away = ask("n1").await.ok();
    assert_eq!((&away["verdict"], &away["rounds"]), (&"not_known".into(), &json!([])), "{away}");
    connect(&api, 1);
    let finishes = ask("n1").await.ok();
    assert_eq!((&finishes["verdict"], &finishes["going"]), (&"finishes".into(), &1.into()), "{finishes}");
    assert_eq!(finishes["places"], json!([{"pod": "shop/db-0", "node": "n2"}]));
    assert_eq!((&finishes["takes_ms"], &finishes["cluster"]), (&Value::Null, &CLUSTER.into()));

    observe(&api, 1, CLUSTER, listing(true, &[]));
    let blocked = ask("n1").await.ok();
    assert_eq!((&blocked["verdict"], &blocked["changes_are_fewest"]), (&"blocked".into(), &true.into()));
    assert_eq!(blocked["in_the_way"][0]["pod"], "shop/lone", "{blocked}");
    assert_eq!(blocked["changes"], json!(["move or remove shop/lone yourself"]));
    assert_eq!(blocked["places"], json!([]), "no places of a drain that does not finish");
    let both = ask("n1,n2").await.ok();
    assert_eq!(both["one_by_one"][0]["node"], "n2", "{both}");
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_says_why() {
    let api = TestApi::with(site()).await;
    connect(&api, 1);
    observe(&api, 1, CLUSTER, listing(false, &["PodDisruptionBudget"]));
    let problem = api.get("/api/v1/clusters/prod/drain?nodes=n1").await.problem(409, "not_known");
    assert!(problem["detail"].as_str().unwrap().contains("PodDisruptionBudget"), "{problem}");
    observe(&api, 1, CLUSTER, listing(false, &[]));
    let problem = api.get("/api/v1/clusters/prod/drain?nodes=n9").await.problem(404, "not_found");
    assert!(problem["detail"].as_str().unwrap().contains("n9"), "{problem}");
    for wrong in ["", "?nodes=", "?nodes=,", "?node=n1"] {
        let path = format!("/api/v1/clusters/prod/drain{wrong}");
        api.get(&path).await.problem(400, "invalid");
    }
    let many: Vec<String> = (0..101).map(|n| format!("n{n}")).collect();
    api.get(&format!("/api/v1/clusters/prod/drain?nodes={}", many.join(","))).await.problem(400, "invalid");
}
