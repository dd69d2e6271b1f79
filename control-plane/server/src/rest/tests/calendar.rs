//! Tests of windows and blackouts: what is shown of them, and who breaks the glass.

use nimbus_control_core::Settings;
use serde_json::{Value, json};

use super::TestApi;
use super::site::site;

/// A site with a blackout that is now, one that is over, and a window for something else.
async fn api() -> TestApi {
    let settings: Settings = serde_json::from_value(json!({
        "blackout": [
            {"name": "always", "zone": "UTC", "from": "00:00", "clusters": ["prod", "nowhere"]},
            {"name": "was", "zone": "Europe/Berlin", "starts": "2020-12-24T12:00", "ends": "2021-01-02T08:00"},
        ],
        "window": [
            {"name": "far", "zone": "UTC", "starts": "2999-01-01T00:00", "ends": "2999-01-02T00:00", "actions": ["restart_unit"]},
        ],
    }))
    .unwrap();
    settings.validate().unwrap();
    let api = TestApi::of_settings(tempfile::tempdir().unwrap(), settings).await;
    api.app.commit(&site()).await.unwrap();
    api
}

#[tokio::test]
async fn every_period_is_shown_with_where_it_stands() {
    let api = api().await;
    let shown = api.get("/api/v1/autonomous/calendar").await.ok();
    assert_eq!(
        shown["items"],
        json!([
            {"name": "always", "kind": "blackout", "state": "now", "changes_at": null, "when": "every day 00:00 to 00:00 (UTC)",
             "actions": [], "clusters": ["prod", "nowhere"]},
            {"name": "was", "kind": "blackout", "state": "over", "changes_at": null,
             "when": "2020-12-24 12:00 to 2021-01-02 08:00 (Europe/Berlin)", "actions": [], "clusters": []},
            {"name": "far", "kind": "window", "state": "later", "changes_at": "2999-01-01T00:00:00Z",
             "when": "2999-01-01 00:00 to 2999-01-02 00:00 (UTC)", "actions": ["restart_unit"], "clusters": []},
        ])
    );
    let status = api.get("/api/v1/status").await.ok();
    let notices: Vec<&str> = status["notices"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(notices.contains(&"blackout always: nothing is begun in prod, nowhere"), "{notices:?}");
    assert!(notices.iter().any(|it| it.contains("is for \"nowhere\"")), "{notices:?}");
    api.get("/api/v1/autonomous/calendar?limit=1").await.problem(400, "invalid");
}

#[tokio::test]
async fn who_approves_in_a_blackout_may_break_the_glass_with_a_reason_before_and_after() {
    let api = api().await;
    let approval = "/api/v1/approvals/apr_00000000000000000000000000000001";
    let digest = api.get(approval).await.ok()["plan_digest"].clone();
    let approve = async |more: Value| {
        let mut request = json!({"plan_digest": digest});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        api.post(&format!("{approval}/approve"), request).await
    };
    approve(json!({"break_glass": true})).await.problem(400, "invalid");
    let plain = approve(json!({"reason": "go"})).await.ok();
    assert_eq!((&plain["state"], &plain["broken_glass"]), (&json!("approved"), &Value::Null));
    let broken = approve(json!({"reason": "nobody can pay", "break_glass": true})).await.ok();
    assert_eq!(broken["broken_glass"]["by"], "operator", "{broken}");
    let again = approve(json!({"reason": "nobody can pay", "break_glass": true})).await.ok();
    assert_eq!(again["broken_glass"], broken["broken_glass"], "the same answer changes nothing");
    assert_eq!(broken["broken_glass"]["past"], json!(["blackout always"]));
    let denied = api.post(&format!("{approval}/deny"), json!({"reason": "no"})).await.ok();
    assert_eq!(denied["state"], "denied", "what was not begun can be denied");
    let owed = api.get("/api/v1/approvals?review=owed").await.ok();
    assert_eq!(owed["items"].as_array().unwrap().len(), 1, "{owed}");
}

/// A person's token, and the answers of several people to one approval.
#[tokio::test]
async fn who_breaks_the_glass_of_anothers_approval_gets_the_same_answer_twice() {
    let api = api().await;
    let approval = "/api/v1/approvals/apr_00000000000000000000000000000001";
    let digest = api.get(approval).await.ok()["plan_digest"].clone();
    let mut tokens = Vec::new();
    for name in ["ann", "eve"] {
        let request = json!({"name": name, "groups": ["oncall"], "ttl_seconds": 3600});
        let made = api.post("/api/v1/access/tokens", request).await.ok();
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    let approve = async |token: &str, break_glass: bool| {
        let request = json!({"plan_digest": digest, "reason": "nobody can pay", "break_glass": break_glass});
        api.with_token(token).post(&format!("{approval}/approve"), request).await
    };
    approve(&tokens[0], false).await.ok();
    for _ in 0..2 {
        let broken = approve(&tokens[1], true).await.ok();
        assert_eq!((&broken["broken_glass"]["by"], &broken["decided_by"]), (&json!("eve"), &json!("ann")));
    }
    approve(&tokens[0], false).await.ok();
    assert_eq!(
        api.actions().await.iter().filter(|it| it.starts_with("approval.")).collect::<Vec<_>>(),
        ["approval.approved", "approval.glass_broken"]
    );
}
