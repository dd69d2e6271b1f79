//! Tests of what operators decide: approvals, drift, autonomous operation, agents. Each decision writes its audit row
//! once.

use nimbus_control_core::model::{
    ActionKind, Approval, ApprovalState, Cluster, Incident, IncidentState, Mode, Versioned,
};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::site::{self, CLUSTER, id, site};
use super::{Answer, TestApi};
use nimbus_control_core::gateway::CloseReason;

fn apr(number: u32) -> String {
    format!("/api/v1/approvals/apr_{number:032x}")
}

async fn digest(api: &TestApi, number: u32) -> String {
    api.get(&apr(number)).await.ok()["plan"]["digest"].as_str().unwrap().to_owned()
}

async fn approve(api: &TestApi, number: u32, digest: &str) -> Answer {
    api.post(&format!("{}/approve", apr(number)), json!({"plan_digest": digest, "reason": "go"})).await
}

async fn approval(api: &TestApi, number: u32) -> Approval {
    api.app.store().get(format!("apr_{number:032x}")).await.unwrap().unwrap().doc
}

#[tokio::test]
async fn a_yes_is_bound_to_the_plan_that_was_shown() {
    let api = TestApi::with(site()).await;
    let problem = approve(&api, 1, &"00".repeat(32)).await.problem(409, "plan_changed");
    assert!(problem["detail"].as_str().unwrap().contains("the plan changed since it was shown"));
    assert!(problem["expected"].is_string() && problem["found"].is_string() && problem["remedy"].is_string());
    assert_eq!(approval(&api, 1).await.state, ApprovalState::Pending);
    assert!(api.actions().await.is_empty());
    api.post(&format!("{}/approve", apr(1)), json!({"reason": "go"})).await.problem(400, "invalid");

    let shown = approve(&api, 1, &digest(&api, 1).await).await.ok();
    assert_eq!(
        (&shown["state"], &shown["decided_by"], &shown["reason"]),
        (&"approved".into(), &"operator".into(), &"go".into())
    );
    assert_eq!(shown["incident"]["id"], shown["incident_id"]);
    assert_eq!(api.actions().await, ["approval.approved"]);
}

#[tokio::test]
async fn the_same_word_again_changes_nothing_and_another_word_is_refused() {
    let api = TestApi::with(site()).await;
    let digest = digest(&api, 1).await;
    let first = approve(&api, 1, &digest).await.ok();
    assert_eq!(approve(&api, 1, &digest).await.ok(), first);
    assert_eq!(api.actions().await.len(), 1);
    // What was approved and is not begun can be denied, and that is the last word.
    api.post(&format!("{}/deny", apr(1)), json!({"reason": ""})).await.ok();
    let problem = approve(&api, 1, &digest).await.problem(409, "already_decided");
    assert!(problem["found"].as_str().unwrap().contains("denied by operator"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_words_at_once_a_denial_is_the_last_and_who_comes_later_is_told() {
    let api = std::sync::Arc::new(TestApi::with(site()).await);
    let digest = digest(&api, 1).await;
    let words = (0..24).map(|n| {
        let (api, digest) = (std::sync::Arc::clone(&api), digest.clone());
        tokio::spawn(async move {
            if n % 2 == 0 {
                return approve(&api, 1, &digest).await;
            }
            api.post(&format!("{}/deny", apr(1)), json!({"reason": "no"})).await
        })
    });
    for (n, word) in words.collect::<Vec<_>>().into_iter().enumerate() {
        let answer = word.await.unwrap();
        if n % 2 == 0 && answer.status != 200 {
            answer.problem(409, "already_decided");
        } else {
            answer.ok();
        }
    }
    let actions = api.actions().await;
    let expected = ["approval.approved", "approval.denied"];
    assert!(actions == expected || actions == expected[1..], "each counts once at most: {actions:?}");
    assert_eq!(api.get(&apr(1)).await.ok()["state"], "denied");
}

#[tokio::test]
async fn a_no_is_said_in_the_incident_and_changes_nothing_else() {
    let api = TestApi::with(site()).await;
    let shown = api.post(&format!("{}/deny", apr(1)), json!({"reason": "not\n today"})).await.ok();
    assert_eq!((&shown["state"], &shown["reason"]), (&"denied".into(), &"not today".into()));
    assert_eq!(shown["incident"]["state"], "escalated");
    let why = shown["incident"]["reason"].as_str().unwrap();
    assert!(why.contains("denied by operator") && why.contains("not today"), "{why}");
    let again = api.post(&format!("{}/deny", apr(1)), json!({"reason": "not today"})).await.ok();
    assert_eq!(again, shown);
    assert_eq!(api.actions().await, ["approval.denied"]);
    api.post(&format!("{}/deny", apr(1)), json!({})).await.problem(400, "invalid");
}

#[tokio::test]
async fn a_denied_plan_is_asked_again_only_when_somebody_says_so() {
    let api = TestApi::with(site()).await;
    let path = format!("/api/v1/incidents/inc_{:032x}/ask", 1);
    api.post(&path, json!({})).await.problem(409, "not_denied");
    api.post(&format!("{}/deny", apr(1)), json!({"reason": "no"})).await.ok();
    let shown = api.post(&path, json!({"reason": "second thought"})).await.ok();
    assert_eq!(shown["state"], "open");
    assert_eq!(api.actions().await.len(), 2);
    assert!(api.get("/api/v1/audit?limit=1").await.text.contains("second thought"));
}

#[tokio::test]
async fn the_requester_may_not_approve_and_an_expired_request_stays_unanswered() {
    let mut changes = site();
    changes.approvals[0].doc.requested_by = "operator".into();
    changes.approvals[1].doc.expires_at = site::at(1);
    let api = TestApi::with(changes).await;
    approve(&api, 1, &digest(&api, 1).await).await.problem(403, "own_request");
    approve(&api, 2, &digest(&api, 2).await).await.problem(409, "expired");
    assert!(api.actions().await.is_empty());
}

#[tokio::test]
async fn fixing_a_file_is_approving_its_plan_and_a_dry_run_writes_nothing() {
    let api = TestApi::with(site()).await;
    let path = format!("/api/v1/drift/inc_{:032x}", 2);
    let digest = api.get(&path).await.ok()["plan_digest"].as_str().unwrap().to_owned();
    let fix = async |digest: &str, dry_run: bool| {
        api.post(&format!("{path}/fix"), json!({"plan_digest": digest, "dry_run": dry_run})).await
    };
    fix("11", true).await.problem(409, "plan_changed");
    fix("11", false).await.problem(409, "plan_changed");
    let would = fix(&digest, true).await.ok();
    assert_eq!((&would["dry_run"], &would["plan"]["digest"]), (&true.into(), &digest.clone().into()));
    assert_eq!(approval(&api, 2).await.state, ApprovalState::Pending);
    assert!(api.actions().await.is_empty());
    let started = fix(&digest, false).await.ok();
    assert_eq!(started["dry_run"], false);
    assert_eq!(approval(&api, 2).await.state, ApprovalState::Approved);
    assert_eq!(fix(&digest, false).await.ok(), started);
    assert_eq!(api.actions().await, ["approval.approved"]);
}

#[tokio::test]
async fn a_file_without_a_plan_cannot_be_fixed_and_says_why() {
    let mut changes = site();
    changes.incidents[1].doc.approval_id = None;
    changes.incidents[1].doc.reason = "the baseline has no content to restore".into();
    let api = TestApi::with(changes).await;
    let path = format!("/api/v1/drift/inc_{:032x}/fix", 2);
    let problem = api.post(&path, json!({"plan_digest": "11"})).await.problem(409, "nothing_to_approve");
    assert!(problem["detail"].as_str().unwrap().contains("no content to restore"), "{problem}");
}

#[tokio::test]
async fn a_baseline_is_not_accepted_for_a_file_that_nobody_sees() {
    let api = TestApi::with(site()).await;
    let path = format!("/api/v1/drift/inc_{:032x}/baseline", 2);
    api.post(&path, json!({"dry_run": true})).await.problem(409, "state_unknown");
    let shown = api.get(&format!("/api/v1/drift/inc_{:032x}", 2)).await.ok()["after"].clone();
    api.post(&path, json!({"shown": shown})).await.problem(409, "state_unknown");
    assert!(api.actions().await.is_empty());
}

/// The agent of the drifted file is connected and sees content of this hash.
fn see(api: &TestApi, byte: u8) {
    see_with(api, byte, None);
}

/// The same, with a capability of this hash where the baseline has none.
fn see_with(api: &TestApi, byte: u8, capability: Option<u8>) {
    let state = |byte: u8| {
        Some(v1::FileState {
            kind: "file".into(),
            mode: 0o644,
            size: 9,
            sha256: vec![byte; 32],
            attributes: capability.map(|capability| {
                let (name, shown) = ("security.capability".to_owned(), format!("20 bytes, {capability:02x}"));
                let has = byte != 0xaa;
                v1::FileAttributes {
                    sha256: vec![if has { capability } else { 0 }; 32],
                    all: has.then_some(v1::FileAttribute { name, shown }).into_iter().collect(),
                }
            }),
            ..Default::default()
        })
    };
    see_states(api, state(0xaa), state(byte));
}

/// The agent of the drifted file sees `current` where `baseline` should be.
fn see_states(api: &TestApi, baseline: Option<v1::FileState>, current: Option<v1::FileState>) {
    let (root, path) = ("/etc/app".to_owned(), site::PATH.to_owned());
    let file = v1::File { root, path, baseline, current, ..Default::default() };
    let observation = v1::Observation {
        observed_at_us: site::at(20).as_microsecond(),
        body: Some(v1::observation::Body::File(file)),
        ..Default::default()
    };
    api.app.view.write().apply(id("agt", 2), &observation, site::at(20));
}

#[tokio::test]
async fn the_baseline_that_is_accepted_is_the_state_that_was_shown() {
    let mut changes = site();
    let edge = changes.agents.iter_mut().find(|agent| agent.doc.id == id("agt", 2)).unwrap();
    edge.doc.allowed_actions = vec!["accept_baseline".into()];
    let api = TestApi::with(changes).await;
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    drop(api.app.sessions.register(
        id("agt", 2),
        (peer, crate::sessions::Transport::Quic),
        "0.1.0".into(),
        api.app.now(),
    ));
    let path = format!("/api/v1/drift/inc_{:032x}", 2);
    let order = async |body: Value| api.post(&format!("{path}/baseline"), body).await;
    see(&api, 0xcc);
    let shown = api.get(&path).await.ok()["after"].clone();
    order(json!({})).await.problem(400, "invalid");
    order(json!({"dry_run": true})).await.ok();
    // Somebody writes the file once more between the look and the order.
    see(&api, 0xdd);
    for dry_run in [true, false] {
        let problem = order(json!({"shown": shown, "dry_run": dry_run})).await.problem(409, "plan_changed");
        assert!(problem["expected"].as_str().unwrap().contains(&"dd".repeat(32)), "{problem}");
        assert!(problem["found"].as_str().unwrap().contains(&"cc".repeat(32)), "{problem}");
    }
    assert!(api.actions().await.is_empty());
    let shown = api.get(&path).await.ok()["after"].clone();
    let started = order(json!({"shown": shown})).await.ok();
    assert_eq!(started["plan"]["action"]["expect_current"]["sha256"], "dd".repeat(32));
    assert!(api.actions().await.contains(&"plan.made".to_owned()));
}

#[tokio::test]
async fn attributes_that_were_not_shown_are_not_accepted() {
    let mut changes = site();
    let edge = changes.agents.iter_mut().find(|agent| agent.doc.id == id("agt", 2)).unwrap();
    edge.doc.allowed_actions = vec!["accept_baseline".into()];
    let api = TestApi::with(changes).await;
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    drop(api.app.sessions.register(
        id("agt", 2),
        (peer, crate::sessions::Transport::Quic),
        "0.1.0".into(),
        api.app.now(),
    ));
    let path = format!("/api/v1/drift/inc_{:032x}", 2);
    let order = async |shown: &Value| api.post(&format!("{path}/baseline"), json!({"shown": shown})).await;
    see_with(&api, 0xcc, Some(1));
    let shown = api.get(&path).await.ok()["after"].clone();
    // A client of an earlier version sends back what it knows.
    let mut earlier = shown.clone();
    earlier.as_object_mut().unwrap().remove("attributes_sha256");
    order(&earlier).await.problem(409, "attributes_not_shown");
    // Another capability is given between the look and the order.
    see_with(&api, 0xcc, Some(2));
    let problem = order(&shown).await.problem(409, "plan_changed");
    assert!(problem["expected"].as_str().unwrap().contains(&"02".repeat(32)), "{problem}");
    assert!(api.actions().await.is_empty());
    let shown = api.get(&path).await.ok()["after"].clone();
    let started = order(&shown).await.ok();
    assert_eq!(started["plan"]["action"]["expect_current"]["attributes_sha256"], "02".repeat(32));
    // Where no attributes are known to differ, an earlier version accepts as ever.
    see(&api, 0xdd);
    let mut earlier = api.get(&path).await.ok()["after"].clone();
    earlier.as_object_mut().unwrap().remove("attributes_sha256");
    assert!(!order(&earlier).await.text.contains("attributes_not_shown"));
}

#[tokio::test]
async fn attributes_that_nobody_knows_need_not_have_been_shown() {
    let noted = || {
        let (name, shown) = ("security.capability".to_owned(), "20 bytes, 0a1b".to_owned());
        Some(v1::FileAttributes { sha256: vec![7; 32], all: vec![v1::FileAttribute { name, shown }] })
    };
    let directory = |mode, attributes, problem: &str| {
        let (kind, problem) = ("directory".to_owned(), problem.to_owned());
        Some(v1::FileState { kind, mode, attributes, problem, ..Default::default() })
    };
    let file = |kind: &str, attributes| {
        Some(v1::FileState { kind: kind.into(), sha256: vec![1; 32], attributes, ..Default::default() })
    };
    for (kind, baseline, current) in [
        ("directory", directory(0o755, noted(), ""), directory(0o300, None, "they cannot be read")),
        ("symlink", file("file", noted()), file("symlink", None)),
    ] {
        let mut changes = site();
        let edge = changes.agents.iter_mut().find(|agent| agent.doc.id == id("agt", 2)).unwrap();
        edge.doc.allowed_actions = vec!["accept_baseline".into()];
        let api = TestApi::with(changes).await;
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        drop(api.app.sessions.register(
            id("agt", 2),
            (peer, crate::sessions::Transport::Quic),
            "0.1.0".into(),
            api.app.now(),
        ));
        see_states(&api, baseline, current);
        let path = format!("/api/v1/drift/inc_{:032x}", 2);
        let shown = api.get(&path).await.ok()["after"].clone();
        let started = api.post(&format!("{path}/baseline"), json!({"shown": shown})).await.ok();
        assert_eq!(started["plan"]["action"]["expect_current"]["kind"], kind);
    }
}

#[tokio::test]
async fn a_cluster_is_enabled_by_rule_shown_dry_and_disabled_again() {
    let api = TestApi::with(site()).await;
    let order =
        async |what: &str, body: Value| api.post(&format!("/api/v1/autonomous/prod/{what}"), body).await;
    let cluster = async || -> Cluster { api.app.store().get(CLUSTER).await.unwrap().unwrap().doc };
    let would = order("enable", json!({"rules": ["restart_pod"], "mode": "act", "dry_run": true})).await.ok();
    assert_eq!((&would["state"], &would["enabled"]), (&"act".into(), &json!(["restart_pod"])));
    assert_eq!(cluster().await.mode, Mode::Observe);
    order("enable", json!({"rules": ["restart_pod"], "mode": "act"})).await.ok();
    assert_eq!((cluster().await.mode, cluster().await.enabled), (Mode::Act, vec![ActionKind::RestartPod]));
    order("enable", json!({})).await.ok();
    assert!(cluster().await.enabled.contains(&ActionKind::RollbackDeployment));
    let problem = order("enable", json!({"rules": ["reboot"]})).await.problem(400, "invalid");
    assert!(problem["expected"].as_str().unwrap().contains("restart_pod"), "{problem}");
    order("enable", json!({"rules": ["restore_file"]})).await.problem(400, "invalid");
    order("enable", json!({"rules": []})).await.problem(400, "invalid");
    let off = order("disable", json!({})).await.ok();
    assert_eq!((&off["state"], &off["enabled"]), (&"observe".into(), &json!([])));
    assert!(off["reason"].as_str().unwrap().contains("observe only"));
    api.post("/api/v1/autonomous/nowhere/enable", json!({})).await.problem(404, "not_found");
    let actions = api.actions().await;
    assert_eq!(actions.len(), 3, "{actions:?}");
}

#[tokio::test]
async fn a_cluster_asks_before_it_acts_and_can_be_switched_off() {
    let api = TestApi::with(site()).await;
    let order =
        async |what: &str, body: Value| api.post(&format!("/api/v1/autonomous/prod/{what}"), body).await;
    let asks = order("enable", json!({})).await.ok();
    assert_eq!(asks["state"], "recommend", "until somebody says act");
    assert_eq!(order("enable", json!({"mode": "act"})).await.ok()["state"], "act");
    assert_eq!(order("enable", json!({})).await.ok()["state"], "act");
    for mode in ["observe", "off", "fly"] {
        let problem = order("enable", json!({"mode": mode})).await.problem(400, "invalid");
        assert!(problem["expected"].as_str().unwrap().contains("recommend"), "{problem}");
    }
    order("disable", json!({"off": true, "rules": ["restart_pod"]})).await.problem(400, "invalid");
    let off = order("disable", json!({"off": true})).await.ok();
    assert_eq!((&off["state"], &off["enabled"]), (&json!("off"), &json!([])));
    assert!(off["reason"].as_str().unwrap().contains("nothing of it is an incident"), "{off}");
    let cluster = api.get("/api/v1/clusters/prod").await.ok();
    assert_ne!(cluster["state"], "healthy", "what nobody judges is not called healthy: {cluster}");
}

#[tokio::test]
async fn silence_ends_and_an_acknowledgement_is_part_of_the_story() {
    let api = TestApi::with(site()).await;
    let path = format!("/api/v1/incidents/inc_{:032x}", 1);
    api.post(&format!("{path}/silence"), json!({"for_seconds": 5})).await.problem(400, "invalid");
    api.post(&format!("{path}/ack"), json!({"reason": "on it"})).await.ok();
    let shown =
        api.post(&format!("{path}/silence"), json!({"for_seconds": 3600, "reason": "known"})).await.ok();
    assert_eq!(shown["state"], "silenced");
    assert!(shown["history"].to_string().contains("on it"), "{shown}");
    let incident: Incident = api.app.store().get(format!("inc_{:032x}", 1)).await.unwrap().unwrap().doc;
    assert_eq!(incident.state, IncidentState::Silenced);
    assert!(incident.silenced_until.unwrap() > api.app.now());
    assert_ne!(approval(&api, 1).await.state, ApprovalState::Pending);
}

#[tokio::test]
async fn a_join_token_is_shown_once_and_only_its_hash_is_kept() {
    let api = TestApi::new().await;
    let order = async |body: Value| api.post("/api/v1/agents/tokens", body).await;
    let answer = order(json!({"name": "edge-1", "kind": "host", "ttl_seconds": 60})).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"));
    let token: nimbus_protocol::join::JoinToken = answer.json()["token"].as_str().unwrap().parse().unwrap();
    let record: nimbus_control_core::model::JoinTokenRecord =
        api.app.store().get(token.id).await.unwrap().unwrap().doc;
    assert_eq!(record.secret_sha256, hex::encode(token.secret_sha256()));
    assert_eq!((record.created_by.as_str(), answer.json()["name"].as_str()), ("operator", Some("edge-1")));
    let rows = api.get("/api/v1/audit").await.text;
    assert!(rows.contains(&token.id.to_string()) && !rows.contains(answer.json()["token"].as_str().unwrap()));
    // As this kind was called before.
    let alias = order(json!({"name": "edge-2", "kind": "vpc"})).await;
    assert_eq!((alias.status, &alias.json()["kind"]), (201, &"host".into()));
    for bad in [
        json!({"name": "a b", "kind": "host"}),
        json!({"name": "", "kind": "host"}),
        json!({"name": "a", "kind": "pet"}),
        json!({"name": "a", "kind": "host", "ttl_seconds": 0}),
        json!({"name": "a", "kind": "cluster", "cluster": "nowhere"}),
        json!({"name": "a", "kind": "host", "cluster": "7b0c1f1e-0000-4000-8000-000000000001"}),
        json!({"name": "a", "kind": "host", "ttl_seconds": 999_999_999}),
    ] {
        order(bad).await.problem(400, "invalid");
    }
    assert_eq!(api.actions().await, ["token.created", "token.created"]);
}

#[tokio::test]
async fn a_name_that_an_agent_has_is_refused_until_that_agent_is_revoked() {
    let api = TestApi::with(site()).await;
    let order = async || api.post("/api/v1/agents/tokens", json!({"name": "edge", "kind": "host"})).await;
    let problem = order().await.problem(409, "name_taken");
    assert!(problem["found"].as_str().unwrap().contains(&id::<AgentId>("agt", 2).to_string()), "{problem}");
    assert!(problem["remedy"].as_str().unwrap().contains("nimbus agents revoke"), "{problem}");
    api.post("/api/v1/agents/edge/revoke", json!({})).await.ok();
    assert_eq!(order().await.status, 201);
}

#[tokio::test]
async fn a_join_token_for_a_cluster_takes_its_name_its_uid_and_one_not_seen_yet() {
    let api = TestApi::with(site()).await;
    let unseen = "7B0C1F1E-0000-4000-8000-0000000000FF";
    for (given, uid) in [("prod", super::site::CLUSTER), (super::site::CLUSTER, super::site::CLUSTER)] {
        let body = json!({"name": "a", "kind": "cluster", "cluster": given});
        assert_eq!(api.post("/api/v1/agents/tokens", body).await.json()["cluster"], uid);
    }
    let body = json!({"name": "a", "kind": "cluster", "cluster": unseen});
    assert_eq!(api.post("/api/v1/agents/tokens", body).await.json()["cluster"], unseen.to_lowercase());
}

#[tokio::test]
async fn a_revoked_agents_session_is_closed_and_it_is_revoked_once() {
    let api = TestApi::with(site()).await;
    let agent: AgentId = id("agt", 2);
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let session = api.app.sessions.register(
        agent,
        (peer, crate::sessions::Transport::Quic),
        "0.1.0".into(),
        api.app.now(),
    );
    assert_eq!(api.get("/api/v1/agents/edge").await.ok()["state"], "connected");
    let shown = api.post("/api/v1/agents/edge/revoke", json!({"reason": "lost"})).await.ok();
    assert_eq!(shown["state"], "revoked");
    assert_eq!(*session.close.borrow(), Some(CloseReason::Revoked));
    api.post(&format!("/api/v1/agents/{agent}/revoke"), json!({})).await.ok();
    assert_eq!(api.actions().await, ["agent.revoked"]);
    api.post("/api/v1/agents/edge/revoke", json!({})).await.problem(404, "not_found");
}

/// The agent compares states; the control plane knows which decision was the last.
#[tokio::test]
async fn only_the_last_accepted_baseline_of_a_file_can_be_taken_back() {
    let mut changes = site();
    let (first, first_job) = site::accepted(7);
    let (mut second, second_job) = site::accepted(8);
    second.created_at = first.created_at + jiff::SignedDuration::from_secs(1);
    changes.plans.extend([first, second].map(Versioned::new));
    changes.jobs.extend([first_job, second_job].map(Versioned::new));
    let api = TestApi::with(changes).await;
    let order = async |job: u32| api.delete(&format!("/api/v1/drift/baselines/job_{job:032x}")).await;
    let problem = order(7).await.problem(409, "not_in_force");
    assert!(problem["detail"].as_str().unwrap().contains(&format!("job_{:032x}", 8)), "{problem}");
    // The last one would be taken back, if its agent were there.
    order(8).await.problem(409, "state_unknown");
    order(9).await.problem(404, "not_found");
    assert!(api.actions().await.is_empty());
}
