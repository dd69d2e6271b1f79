//! Tests of the kill switch: what is paused, by whom, and how it ends.

use nimbus_control_core::model::{ChangeSet, Cluster, Pause, Removed};
use serde_json::{Value, json};

use super::TestApi;
use super::site::{CLUSTER, site};

async fn order(api: &TestApi, what: &str, body: Value) -> super::Answer {
    api.post(&format!("/api/v1/autonomous/{what}"), body).await
}

#[tokio::test]
async fn a_cluster_and_the_fleet_are_paused_and_let_go_on_each_by_itself() {
    let api = TestApi::with(site()).await;
    let would = order(&api, "pause", json!({"fleet": true, "dry_run": true})).await.ok();
    assert_eq!(would["items"][0]["id"], "fleet");
    assert!(api.app.store().all::<Pause>().await.unwrap().is_empty(), "a dry run writes nothing");

    let held = order(&api, "pause", json!({"cluster": "prod", "reason": "disks are moved"})).await.ok();
    let item = &held["items"][0];
    assert_eq!(
        (&item["id"], &item["cluster"], &item["by"], &item["reason"]),
        (&json!(format!("cluster/{CLUSTER}")), &json!("prod"), &json!("operator"), &json!("disks are moved"))
    );
    order(&api, "pause", json!({"fleet": true})).await.ok();
    let both = api.get("/api/v1/autonomous/pauses").await.ok();
    assert_eq!((both["items"].as_array().map(Vec::len), &both["next"]), (Some(2), &Value::Null));
    let shown = api.get("/api/v1/autonomous").await.ok();
    assert_eq!(shown["items"][0]["paused"], true);
    let reason = shown["items"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("operator paused"), "{reason}");
    assert_eq!(api.get("/api/v1/status").await.ok()["paused"], both["items"]);

    let left = order(&api, "resume", json!({"fleet": true})).await.ok();
    assert_eq!(
        (left["items"].as_array().map(Vec::len), &left["items"][0]["cluster"]),
        (Some(1), &json!("prod"))
    );
    order(&api, "resume", json!({"cluster": CLUSTER})).await.ok();
    assert_eq!(api.get("/api/v1/autonomous/pauses").await.ok()["items"], json!([]));
    assert_eq!(
        api.actions().await,
        ["autonomous.paused", "autonomous.paused", "autonomous.resumed", "autonomous.resumed"]
    );
}

#[tokio::test]
async fn what_is_so_already_is_no_error_and_changes_nothing() {
    let api = TestApi::with(site()).await;
    order(&api, "resume", json!({"fleet": true})).await.ok();
    let first = order(&api, "pause", json!({"fleet": true, "reason": "first"})).await.ok();
    let second = order(&api, "pause", json!({"fleet": true, "reason": "second"})).await.ok();
    assert_eq!(first, second, "who paused it first is who is asked");
    assert_eq!(api.actions().await, ["autonomous.paused"]);
}

#[tokio::test]
async fn a_maintenance_has_an_end_and_a_longer_pause_takes_its_place() {
    let api = TestApi::with(site()).await;
    for seconds in [0, 59, 2_592_001] {
        order(&api, "pause", json!({"fleet": true, "for_seconds": seconds})).await.problem(400, "invalid");
    }
    order(&api, "resume", json!({"fleet": true, "for_seconds": 60})).await.problem(400, "invalid");
    let hour =
        order(&api, "pause", json!({"fleet": true, "for_seconds": 3600, "reason": "disks"})).await.ok();
    let ends =
        |held: &Value| held["items"][0]["until"].as_str().map(|at| at.parse::<jiff::Timestamp>().unwrap());
    let left = ends(&hour).unwrap().duration_since(api.app.now()).as_secs();
    assert!((3_500..=3_600).contains(&left), "{hour}");
    let shorter = order(&api, "pause", json!({"fleet": true, "for_seconds": 60})).await.ok();
    assert_eq!(shorter, hour);
    let for_good = order(&api, "pause", json!({"fleet": true, "reason": "stop"})).await.ok();
    assert_eq!((for_good["items"].as_array().map(Vec::len), ends(&for_good)), (Some(1), None));
    assert_eq!(api.get("/api/v1/autonomous/pauses").await.ok(), for_good);
    assert_eq!(api.actions().await, ["autonomous.paused", "autonomous.paused"]);
}

#[tokio::test]
async fn an_order_says_where_and_of_a_cluster_that_is_there() {
    let api = TestApi::with(site()).await;
    for body in [json!({}), json!({"cluster": "prod", "fleet": true}), json!({"fleet": false})] {
        let problem = order(&api, "pause", body).await.problem(400, "invalid");
        assert!(problem["expected"].as_str().unwrap().contains("`fleet: true`"), "{problem}");
    }
    order(&api, "pause", json!({"cluster": "nowhere"})).await.problem(404, "not_found");
    order(&api, "pause", json!({"flet": true})).await.problem(400, "invalid");
    order(&api, "pause", json!({"fleet": true, "reason": "x".repeat(1_001)})).await.problem(400, "invalid");
    assert!(api.app.store().all::<Pause>().await.unwrap().is_empty());
}

#[tokio::test]
async fn agents_are_told_as_soon_as_it_is_stored() {
    let api = TestApi::with(site()).await;
    api.app.docs().await.unwrap();
    let mut told = api.app.documents.paused();
    let agent = api.app.docs().await.unwrap().agents.iter().next().unwrap().doc.clone();
    assert!(!told.borrow_and_update().as_ref().unwrap().frame_for(agent.id).paused);
    order(&api, "pause", json!({"fleet": true, "reason": "disks"})).await.ok();
    assert!(told.has_changed().unwrap());
    let frame = told.borrow_and_update().as_ref().unwrap().frame_for(agent.id);
    assert_eq!((frame.paused, frame.what.as_str(), frame.reason.as_str()), (true, "the fleet", "disks"));
    assert!(api.app.documents.is_paused(agent.id), "what was signed a moment before is not sent any more");
    order(&api, "resume", json!({"fleet": true})).await.ok();
    assert!(!told.borrow_and_update().as_ref().unwrap().frame_for(agent.id).paused);
}

#[tokio::test]
async fn what_is_left_of_a_cluster_that_is_gone_can_be_resumed() {
    let api = TestApi::with(site()).await;
    order(&api, "pause", json!({"cluster": "prod"})).await.ok();
    let cluster = api.app.store().get::<Cluster>(CLUSTER).await.unwrap().unwrap();
    let removed = vec![Removed::of(&cluster)];
    api.app.commit(&ChangeSet { removed, ..ChangeSet::default() }).await.unwrap();
    order(&api, "pause", json!({"cluster": "other"})).await.problem(404, "not_found");
    let left = order(&api, "resume", json!({"cluster": "prod"})).await.ok();
    assert_eq!(left["items"], json!([]));
}

#[tokio::test]
async fn a_cluster_that_is_switched_off_keeps_nobody_waiting() {
    let api = TestApi::with(site()).await;
    api.app.health.works(crate::health::Part::Start);
    let says = async || api.get("/api/v1/status").await.ok()["waiting_for"].to_string();
    assert!(says().await.contains("cluster prod"), "its agent is not here");
    api.post("/api/v1/autonomous/prod/disable", json!({"off": true})).await.ok();
    assert!(!says().await.contains("cluster prod"));
}
