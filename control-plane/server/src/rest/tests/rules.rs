//! Tests of rules that people set: what is shown, set, refused, tried and taken away.

use nimbus_control_core::model::{ActionKind, ChangeSet, Mode, Versioned};
use serde_json::{Value, json};

use super::TestApi;
use super::site::{agent, cluster, site};

const RULES: &str = "/api/v1/autonomous/rules";

async fn set(api: &TestApi, rule: &Value) -> super::Answer {
    api.post(RULES, json!({"rule": rule})).await
}

fn restart() -> Value {
    json!({
        "name": "shop-only", "action": "restart_pod", "namespaces": ["shop"], "labels": {"app": "web"},
        "condition": "history.attempts == 0", "auto_approve": true,
        "windows": [{"name": "nights", "zone": "Europe/Berlin", "days": ["fri"], "from": "22:00", "to": "06:00"}],
    })
}

#[tokio::test]
async fn a_rule_is_set_shown_changed_and_taken_away() {
    let api = TestApi::with(site()).await;
    let would = api.post(RULES, json!({"rule": restart(), "dry_run": true})).await.ok();
    assert_eq!((&would["id"], &would["version"]), (&json!("shop-only"), &json!(1)));
    api.get(&format!("{RULES}/shop-only")).await.problem(404, "not_found");

    let first = set(&api, &restart()).await.ok();
    assert_eq!(
        (&first["version"], &first["set_by"], &first["problem"]),
        (&json!(1), &json!("operator"), &Value::Null)
    );
    let mut said = restart();
    said["enabled"] = json!(true);
    assert_eq!(first["rule"], said, "it is shown as it was said");
    assert_eq!(api.get(&format!("{RULES}/shop-only")).await.ok(), first);
    assert_eq!(set(&api, &restart()).await.ok(), first, "the same again changes nothing");

    let mut second = restart();
    second["enabled"] = json!(false);
    assert_eq!(set(&api, &second).await.ok()["version"], 2);
    let list = api.get(RULES).await.ok();
    let items = list["items"].as_array().unwrap();
    let own: Vec<&Value> = items.iter().filter(|item| item["id"] == "shop-only").collect();
    assert_eq!((own.len(), &own[0]["state"], &own[0]["version"]), (1, &json!("off"), &json!(2)));
    assert_eq!(own[0]["kind"], "pod_crash_loop");
    let summary = own[0]["summary"].as_str().unwrap();
    for part in
        ["in namespace shop", "app=web", "where history.attempts == 0", "by itself fri 22:00 to 06:00"]
    {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    let built_in = items.iter().find(|item| item["id"] == "restart_pod").unwrap();
    assert_eq!((&built_in["state"], &built_in["name"]), (&json!("automatic"), &json!("restart-pod")));

    let gone = api.delete(&format!("{RULES}/shop-only?dry_run=true")).await.ok();
    assert_eq!(gone["version"], 2);
    api.delete(&format!("{RULES}/shop-only")).await.ok();
    api.delete(&format!("{RULES}/shop-only")).await.problem(404, "not_found");
    assert_eq!(
        api.actions().await,
        ["autonomous.rule_set", "autonomous.rule_set", "autonomous.rule_deleted"]
    );
}

#[tokio::test]
async fn a_built_in_rule_is_shown_in_the_form_in_which_it_can_be_set_and_comes_back() {
    let api = TestApi::with(site()).await;
    let shown = api.get(&format!("{RULES}/restart_pod")).await.ok();
    assert_eq!(
        (&shown["id"], &shown["version"], &shown["set_by"]),
        (&json!("restart-pod"), &json!(0), &Value::Null)
    );
    let mut rule = shown["rule"].clone();
    rule["enabled"] = json!(false);
    assert_eq!(set(&api, &rule).await.ok()["version"], 1);
    let list = api.get(RULES).await.ok();
    let of = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        let found: Vec<Value> = items.iter().filter(|item| item["id"] == "restart_pod").cloned().collect();
        assert_eq!(found.len(), 1);
        (found[0]["state"].clone(), found[0]["version"].clone())
    };
    assert_eq!(of(&list), (json!("off"), json!(1)));
    api.delete(&format!("{RULES}/restart-pod")).await.ok();
    assert_eq!(of(&api.get(RULES).await.ok()), (json!("automatic"), json!(0)));
    api.delete(&format!("{RULES}/restart-pod")).await.problem(409, "built_in");
}

#[tokio::test]
async fn what_is_no_rule_is_refused_with_its_field_and_place() {
    let api = TestApi::with(site()).await;
    for (field, change) in [
        ("name", json!({"name": "Shop Only"})),
        ("action", json!({"action": "accept_baseline"})),
        ("condition", json!({"condition": "finding.kindd == 'x'"})),
        ("windows", json!({"windows": [{"name": "w", "zone": "Mars/Olympus", "from": "22:00"}]})),
        ("windows", json!({"auto_approve": false})),
    ] {
        let mut rule = restart();
        rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let problem = set(&api, &rule).await.problem(400, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains(field), "{field}: {problem}");
        api.post("/api/v1/autonomous/rule-trials", json!({"rule": rule})).await.problem(400, "invalid");
    }
    let mut unknown = restart();
    unknown["auto_aprove"] = json!(true);
    set(&api, &unknown).await.problem(400, "invalid");
    assert!(api.actions().await.is_empty());
}

#[tokio::test]
async fn a_rule_that_no_agent_lets_do_what_it_says_is_refused() {
    let mut edge = agent(1, "edge", true);
    edge.allowed_actions = vec!["restart_pod".into(), "rollback_deployment".into()];
    let mut prod = cluster();
    (prod.mode, prod.enabled) = (Mode::Act, vec![ActionKind::RollbackDeployment]);
    let mut changes = ChangeSet::default();
    changes.agents.push(Versioned::new(edge));
    changes.clusters.push(Versioned::new(prod));
    let api = TestApi::with(changes).await;
    let rule = json!({"name": "back", "action": "rollback_deployment", "auto_approve": true});
    // Its agent is not connected: it is asked when it acts.
    assert_eq!(set(&api, &rule).await.ok()["narrower"], json!([]));
    super::fleet::connect(&api, 1);
    let mut named = rule.clone();
    named["clusters"] = json!(["prod"]);
    let problem = set(&api, &named).await.problem(400, "invalid");
    assert!(problem.to_string().contains("auto"), "{problem}");
    let shown = api.get(&format!("{RULES}/back")).await.ok();
    assert!(shown["narrower"][0].as_str().unwrap().contains("agent edge"), "{shown}");
}

#[tokio::test]
async fn what_people_answered_three_times_is_proposed_with_the_evidence() {
    let mut changes = site();
    let mut found = None;
    // The site's first approval, for three plans of the same, each denied.
    for number in 41..44 {
        let mut plan = changes.plans[0].clone();
        let mut approval = changes.approvals[0].clone();
        plan.doc.id = super::site::id("pln", number);
        approval.doc.id = super::site::id("apr", number);
        approval.doc.plan_id = plan.doc.id;
        approval.doc.state = nimbus_control_core::model::ApprovalState::Denied;
        approval.doc.decided_by = Some("ann".into());
        approval.doc.decided_at = Some(nimbus_platform::now());
        found = plan.doc.action.kind();
        changes.plans.push(plan);
        changes.approvals.push(approval);
    }
    let api = TestApi::with(changes).await;
    let proposals = api.get("/api/v1/autonomous/rule-proposals").await.ok();
    let items = proposals["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{proposals}");
    assert_eq!(
        (&items[0]["kind"], items[0]["evidence"].as_array().map(Vec::len)),
        (&json!("leave"), Some(3))
    );
    assert_eq!(items[0]["rule"]["action"], found.unwrap().as_str());
    let accepted = set(&api, &items[0]["rule"]).await.ok();
    assert_eq!(accepted["version"], 1);
    assert_eq!(api.get("/api/v1/autonomous/rule-proposals").await.ok()["items"], json!([]));
    assert_eq!(api.actions().await, ["autonomous.rule_set"]);
}
