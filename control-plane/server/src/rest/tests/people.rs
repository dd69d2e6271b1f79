//! Tests of access tokens, and of approvals that several people have to give.

use nimbus_control_core::model::{AccessToken, AnyDocument, ChangeSet, Versioned};
use serde_json::{Value, json};

use super::TestApi;
use super::site::{self, site};

const TOKENS: &str = "/api/v1/access/tokens";
const APPROVAL: &str = "/api/v1/approvals/apr_00000000000000000000000000000001";

/// A token that the operator makes.
async fn made(api: &TestApi, name: &str, groups: &[&str]) -> Value {
    let request = json!({"name": name, "groups": groups, "ttl_seconds": 3600});
    let answer = api.post(TOKENS, request).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"), "{}", answer.text);
    answer.json()
}

async fn token(api: &TestApi, name: &str, groups: &[&str]) -> String {
    made(api, name, groups).await["token"].as_str().unwrap().to_owned()
}

/// A site whose first approval needs one of oncall and one of payments or platform.
async fn with_quorum() -> TestApi {
    let mut changes = site();
    let groups = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    changes.approvals[0].doc.needs = vec![groups(&["oncall"]), groups(&["payments", "platform"])];
    TestApi::with(changes).await
}

async fn approve(api: &TestApi, token: &str, more: Value) -> super::Answer {
    let mut request = json!({"plan_digest": digest(api).await, "reason": "go"});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    api.with_token(token).post(&format!("{APPROVAL}/approve"), request).await
}

async fn digest(api: &TestApi) -> String {
    api.get(APPROVAL).await.ok()["plan"]["digest"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_is_known_by_the_token_and_audited_by_name_until_it_is_revoked() {
    let api = TestApi::with(site()).await;
    let ann = token(&api, "ann", &["platform", "oncall", "oncall"]).await;
    let who = api.with_token(&ann).get("/api/v1/whoami").await.ok();
    assert_eq!((&who["name"], &who["kind"]), (&"ann".into(), &"person".into()));
    assert_eq!(who["groups"], json!(["oncall", "platform"]));
    let operator = api.get("/api/v1/whoami").await.ok();
    assert_eq!((&operator["kind"], &operator["expires_at"]), (&"operator".into(), &Value::Null));

    approve(&api, &ann, json!({})).await.ok();
    let rows = api.get("/api/v1/audit?limit=1").await.ok();
    assert_eq!(
        (&rows["items"][0]["actor"], &rows["items"][0]["action"]),
        (&"ann".into(), &"approval.approved".into())
    );

    let list = api.get(TOKENS).await;
    let secret = &ann[ann.len() - 43..];
    assert!(!list.text.contains(secret) && list.text.contains("\"usable\""), "{}", list.text);
    api.post(&format!("{TOKENS}/ann/revoke"), json!({"reason": "left"})).await.ok();
    api.with_token(&ann).get("/api/v1/whoami").await.problem(401, "unauthorized");
    api.post(&format!("{TOKENS}/ann/revoke"), json!({"reason": ""})).await.problem(404, "not_found");
    let actions = api.actions().await;
    assert_eq!(actions, ["access.token_created", "approval.approved", "access.token_revoked"]);
}

#[tokio::test]
async fn a_person_makes_no_tokens_and_takes_back_no_other_ones() {
    let api = TestApi::new().await;
    let (ann, bob) = (token(&api, "ann", &["admins"]).await, token(&api, "bob", &[]).await);
    let request = json!({"name": "eve", "groups": ["admins"], "ttl_seconds": 3600});
    api.with_token(&ann).post(TOKENS, request).await.problem(403, "operator_only");
    api.with_token(&ann).post(&format!("{TOKENS}/bob/revoke"), json!({})).await.problem(403, "operator_only");
    api.with_token(&bob).post(&format!("{TOKENS}/bob/revoke"), json!({})).await.ok();
    api.with_token(&bob).get(TOKENS).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn what_is_no_token_of_a_person_is_refused() {
    let api = TestApi::new().await;
    let ann = made(&api, "ann", &[]).await;
    let text = ann["token"].as_str().unwrap();
    let other = token(&api, "bob", &[]).await;
    let mixed = format!("{}{}", &text[..text.len() - 43], &other[other.len() - 43..]);
    let renamed = text.replace("nba_", "nbo_");
    for wrong in [mixed.as_str(), &text[..text.len() - 1], &renamed, ann["id"].as_str().unwrap()] {
        api.with_token(wrong).get("/api/v1/status").await.problem(401, "unauthorized");
    }
    // Its time is over: nothing was written for that, and the name is free.
    let kept: Versioned<AccessToken> =
        api.app.store().get(ann["id"].as_str().unwrap()).await.unwrap().unwrap();
    let over = AccessToken { expires_at: site::at(1), ..kept.doc };
    let documents = vec![Versioned { version: kept.version, doc: AnyDocument::of(&over) }];
    api.app.commit(&ChangeSet { documents, ..ChangeSet::default() }).await.unwrap();
    api.app.people.read_anew(api.app.store()).await;
    api.with_token(text).get("/api/v1/status").await.problem(401, "unauthorized");
    let again = token(&api, "ann", &[]).await;
    api.with_token(&again).get("/api/v1/whoami").await.ok();
    let list = api.get(TOKENS).await.ok();
    let states: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["usable", "usable", "expired"]);
}

#[tokio::test]
async fn names_groups_and_times_that_cannot_be_are_refused_by_name() {
    let api = TestApi::new().await;
    token(&api, "ann", &[]).await;
    let ask = async |name: &str, groups: Value, ttl: u64| {
        api.post(TOKENS, json!({"name": name, "groups": groups, "ttl_seconds": ttl})).await
    };
    ask("ann", json!([]), 60).await.problem(409, "name_taken");
    for name in ["", "a b", "operator", "Ann", "nimbus", "policy:x", "acc_1", &"a".repeat(64)] {
        ask(name, json!([]), 60).await.problem(400, "invalid");
    }
    ask("bob", json!(["on call"]), 60).await.problem(400, "invalid");
    let many: Vec<String> = (0..17).map(|n| format!("g{n}")).collect();
    ask("bob", json!(many), 60).await.problem(400, "invalid");
    for ttl in [59, 31_536_001] {
        ask("bob", json!([]), ttl).await.problem(400, "invalid");
    }
    assert_eq!(api.actions().await, ["access.token_created"]);
}

#[tokio::test]
async fn several_people_approve_together_and_each_once() {
    let api = with_quorum().await;
    let (ann, bob) =
        (token(&api, "ann", &["oncall", "platform"]).await, token(&api, "bob", &["oncall"]).await);
    let refused = approve(&api, &api.token, json!({})).await.problem(403, "not_asked");
    assert_eq!(refused["expected"], "one of oncall, and one of payments or platform");
    let half = approve(&api, &ann, json!({})).await.ok();
    assert_eq!((&half["state"], &half["given"][0]["by"]), (&"pending".into(), &"ann".into()));
    assert_eq!(approve(&api, &ann, json!({})).await.ok(), half, "the same word again");
    let both = approve(&api, &bob, json!({})).await.ok();
    assert_eq!((&both["state"], &both["decided_by"]), (&"approved".into(), &"ann, bob".into()));
    assert_eq!(both["still_needed"], "");
    assert_eq!(approve(&api, &ann, json!({})).await.ok(), both);
    let actions = api.actions().await;
    assert_eq!(actions[2..], ["approval.word_given", "approval.approved"]);
}

#[tokio::test]
async fn who_gave_a_word_may_break_the_glass_when_the_others_do_not_come() {
    let api = with_quorum().await;
    let ann = token(&api, "ann", &["oncall"]).await;
    assert_eq!(approve(&api, &ann, json!({})).await.ok()["state"], "pending");
    let broken = approve(&api, &ann, json!({"break_glass": true})).await.ok();
    assert_eq!((&broken["state"], &broken["broken_glass"]["by"]), (&"approved".into(), &"ann".into()));
    assert_eq!(api.actions().await[1..], ["approval.word_given", "approval.glass_broken"]);
}

#[tokio::test]
async fn a_broken_glass_is_owed_a_review_by_somebody_else() {
    let api = with_quorum().await;
    let eve = token(&api, "eve", &[]).await;
    let silent = json!({"break_glass": true, "reason": ""});
    approve(&api, &eve, silent).await.problem(400, "invalid");
    let broken = approve(&api, &eve, json!({"break_glass": true, "reason": "the shop is down"})).await.ok();
    assert_eq!((&broken["state"], &broken["broken_glass"]["by"]), (&"approved".into(), &"eve".into()));
    let owed =
        async || api.get("/api/v1/approvals?review=owed").await.ok()["items"].as_array().unwrap().len();
    let counted = async || api.get("/api/v1/status").await.ok()["reviews_owed"].clone();
    assert_eq!((owed().await, counted().await), (1, json!(1)));

    approve(&api, &eve, json!({"break_glass": true, "reason": "the shop is down"})).await.ok();
    let review = format!("{APPROVAL}/review");
    api.with_token(&eve).post(&review, json!({"note": "fine"})).await.problem(403, "own_glass");
    api.post(&review, json!({"note": " "})).await.problem(400, "invalid");
    let closed = api.post(&review, json!({"note": "it was right"})).await.ok();
    assert_eq!(closed["broken_glass"]["review"]["note"], "it was right");
    assert_eq!((owed().await, counted().await), (0, json!(0)));
    api.post(&review, json!({"note": "again"})).await.problem(409, "reviewed");
    assert_eq!(api.actions().await[1..], ["approval.glass_broken", "approval.reviewed"]);
}
