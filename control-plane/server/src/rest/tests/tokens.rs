//! Tests of join tokens: what their list says and what it never does, and taking them back.

use std::sync::Arc;

use jiff::SignedDuration;
use nimbus_control_core::model::{ChangeSet, JoinTokenRecord, Versioned};
use nimbus_protocol::ids::{AgentId, TokenId};
use serde_json::{Value, json};

use super::TestApi;
use super::site::{self, CLUSTER, id, site};

const LIST: &str = "/api/v1/agents/tokens";

fn revoke(number: u32) -> String {
    format!("{LIST}/tok_{number:032x}/revoke")
}

/// The names in a page, in its order.
fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// A site with a token in each state: 1 is usable, 2 used up, 3 expired, 4 revoked.
fn with_tokens() -> ChangeSet {
    let mut used = site::token(2, "used-up");
    used.spend(id("agt", 1), site::at(20));
    let mut expired = site::token(3, "too-old");
    expired.expires_at = site::at(30);
    let mut revoked = site::token(4, "taken-back");
    revoked.revoke(site::at(40));
    let mut changes = site();
    changes.tokens.extend([used, expired, revoked].map(Versioned::new));
    changes
}

#[tokio::test]
async fn the_list_says_what_became_of_each_token_and_never_its_secret() {
    let api = TestApi::with(with_tokens()).await;
    let made = api.post(LIST, json!({"name": "new", "kind": "host", "ttl_seconds": 60})).await.json();
    let answer = api.get(LIST).await;
    let token: nimbus_protocol::join::JoinToken = made["token"].as_str().unwrap().parse().unwrap();
    let (secret, hash) = (made["token"].as_str().unwrap().split('.').nth(2).unwrap(), token.secret_sha256());
    assert!(!answer.text.contains(secret) && !answer.text.contains(&hex::encode(hash)), "{}", answer.text);
    let page = answer.ok();
    assert_eq!(names(&page), ["new", "taken-back", "too-old", "used-up", "standby"]);
    let items = page["items"].as_array().unwrap();
    let words: Vec<_> = items.iter().map(|item| item["state"].as_str().unwrap()).collect();
    assert_eq!(words, ["usable", "revoked", "expired", "used", "usable"]);
    let reasons: Vec<_> = items.iter().map(|item| item["reason"].as_str().unwrap()).collect();
    let [new, revoked, expired, used, standby] = reasons[..] else { panic!("{reasons:?}") };
    assert_eq!((new, standby), ("", ""));
    assert_eq!(revoked, format!("revoked at {}", site::at(40)));
    assert_eq!(expired, format!("expired at {}", site::at(30)));
    assert_eq!(used, format!("used up at {}", site::at(20)));
    let standby = &items[4];
    assert_eq!((&standby["cluster"], &standby["cluster_uid"]), (&"prod".into(), &CLUSTER.into()));
    assert_eq!((&standby["uses"], &standby["used"]), (&json!(2), &json!(1)));
    assert_eq!((&standby["created_by"], &standby["revoked_at"]), (&"operator".into(), &Value::Null));
    assert_eq!((&items[0]["cluster"], &items[0]["used"]), (&Value::Null, &json!(0)));
}

#[tokio::test]
async fn the_list_narrows_by_state_and_its_pages_follow_each_other() {
    let mut changes = with_tokens();
    let old = (10..20).map(|number| {
        let mut old = site::token(number, &format!("old-{number}"));
        old.expires_at = site::at(30);
        Versioned::new(old)
    });
    changes.tokens.extend(old);
    changes.tokens.push(Versioned::new(site::token(30, "newest")));
    let api = TestApi::with(changes).await;
    for (state, expected) in
        [("usable", vec!["newest", "standby"]), ("used", vec!["used-up"]), ("revoked", vec!["taken-back"])]
    {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = api.get(&format!("{LIST}?state={state}&limit=1{after}")).await.ok();
            seen.extend(names(&page).into_iter().map(str::to_owned));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{state}");
    }
    let expired = api.get(&format!("{LIST}?state=expired")).await.ok();
    assert_eq!(names(&expired).len(), 11, "{expired}");
}

#[tokio::test]
async fn a_token_is_revoked_once_with_its_reason_in_the_audit_log() {
    let api = TestApi::with(with_tokens()).await;
    let long = json!({"reason": "a".repeat(1_001)});
    api.post(&revoke(1), long).await.problem(400, "invalid");
    assert!(api.actions().await.is_empty());
    let shown = api.post(&revoke(1), json!({"reason": "found in\n a chat"})).await.ok();
    assert_eq!(
        (&shown["state"], &shown["id"]),
        (&"revoked".into(), &id::<TokenId>("tok", 1).to_string().into())
    );
    assert!(shown["revoked_at"].is_string() && shown["reason"].as_str().unwrap().starts_with("revoked at"));
    let again = api.post(&revoke(1), json!({"reason": "again"})).await.ok();
    assert_eq!(again, shown);
    let row = api.app.store().audit_rows(1, 500).await.unwrap().remove(0).draft;
    assert_eq!((row.action.as_str(), row.actor.as_str()), ("token.revoked", "operator"));
    assert_eq!((row.subject, row.cluster.as_str()), (id::<TokenId>("tok", 1).to_string(), CLUSTER));
    assert!(
        row.detail.contains("standby") && row.detail.ends_with("1 of 2 uses: found in a chat"),
        "{}",
        row.detail
    );
    assert_eq!(api.actions().await, ["token.revoked"]);

    // What is over may be taken back as well: nobody has to look first.
    for number in [2, 3, 4] {
        assert_eq!(api.post(&revoke(number), json!({})).await.ok()["state"], "revoked", "{number}");
    }
    assert_eq!(api.actions().await.len(), 3, "the last one was revoked before");
    let problem = api.post(&revoke(99), json!({})).await.problem(404, "not_found");
    assert!(problem["remedy"].as_str().unwrap().contains("nimbus agents token list"), "{problem}");
}

#[tokio::test]
async fn a_token_goes_by_its_name_unless_two_that_are_left_share_it() {
    let mut changes = site();
    let mut before = site::token(2, "standby");
    before.revoke(site::at(5));
    changes.tokens.push(Versioned::new(before));
    changes.tokens.extend([site::token(3, "twice"), site::token(4, "twice")].map(Versioned::new));
    let api = TestApi::with(changes).await;
    let shown = api.post(&format!("{LIST}/standby/revoke"), json!({})).await.ok();
    assert_eq!(shown["id"], id::<TokenId>("tok", 1).to_string());
    api.post(&format!("{LIST}/twice/revoke"), json!({})).await.problem(409, "ambiguous");
    assert_eq!(api.actions().await, ["token.revoked"]);
}

/// A token that leaked may be in use by many at the moment in which it is taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_in_use_is_revoked_all_the_same_and_stays_so() {
    let mut busy = site::token(7, "busy");
    (busy.uses, busy.used) = (10_000, 0);
    let changes = ChangeSet { tokens: vec![Versioned::new(busy)], ..ChangeSet::default() };
    let api = Arc::new(TestApi::with(changes).await);
    let token: TokenId = id("tok", 7);
    let agents = (0..4).map(|_| {
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            let mut joined = 0_u32;
            loop {
                let mut record = api.app.store().get::<JoinTokenRecord>(token).await.unwrap().unwrap();
                if record.doc.ended(api.app.now()).is_some() {
                    return joined;
                }
                let agent: AgentId = id("agt", 1);
                record.doc.spend(agent, api.app.now());
                match api.app.commit(&ChangeSet { tokens: vec![record], ..ChangeSet::default() }).await {
                    Ok(_) => joined += 1,
                    Err(error) => assert!(error.is_conflict(), "{error}"),
                }
                // As an agent that enrols: the next one needs a connection, and a certificate to be signed.
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        })
    });
    let agents: Vec<_> = agents.collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    api.post(&revoke(7), json!({})).await.ok();
    let mut joined = 0_u32;
    for agent in agents {
        joined += agent.await.unwrap();
    }
    let record = api.app.store().get::<JoinTokenRecord>(token).await.unwrap().unwrap().doc;
    assert!(record.revoked_at.is_some() && record.used == joined, "{joined} joined: {record:?}");
    assert!(record.expires_at > api.app.now() + SignedDuration::from_mins(1), "it would still hold");
}

#[tokio::test]
async fn a_token_without_a_name_is_called_as_no_other_that_can_be_used() {
    let api = TestApi::new().await;
    let order = async || {
        let answer = api
            .post("/api/v1/agents/tokens", json!({"kind": "cluster", "name": "", "ttl_seconds": 60}))
            .await;
        (answer.json()["id"].as_str().unwrap().to_owned(), answer.json()["name"].as_str().unwrap().to_owned())
    };
    let (first, name) = order().await;
    assert_eq!(name, "cluster");
    assert_eq!(order().await.1, "cluster-2");
    api.post(&format!("/api/v1/agents/tokens/{first}/revoke"), json!({"reason": ""})).await.ok();
    assert_eq!(order().await.1, "cluster", "nobody joins with that one any more");
}
