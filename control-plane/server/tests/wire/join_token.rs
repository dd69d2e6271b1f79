//! Tests of join tokens: how often, how long and by whom one can be used.

use std::time::Duration;

use crate::common::{HERE, enrol, enrol_as, host, serves_a_good_agent, start};
use nimbus_control_core::model::{Agent, AgentKind, ChangeSet, JoinTokenRecord};
use nimbus_control_plane::ControlPlane;
use nimbus_control_plane::tokens::NewAgent;
use nimbus_protocol::ids::TokenId;
use nimbus_protocol::v1;
use rcgen::KeyPair;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_once_in_its_time_and_for_its_own_control_plane() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let app = plane.app();
    let minute = Duration::from_mins(1);
    let token = plane.create_join_token(host("edge"), minute, "operator").await.unwrap();
    let mut forged = token.clone();
    forged.secret[0] ^= 1;
    let refusal = enrol(&plane, &forged.to_string()).await.err().unwrap();
    assert_eq!(refusal.code, "token_unknown");
    let (one, two) = (token.to_string(), token.to_string());
    let (one, two) = tokio::join!(enrol(&plane, &one), enrol(&plane, &two));
    let refusal = match (one, two) {
        (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => refusal,
        (one, two) => panic!("one of two joins: {:?} {:?}", one.err(), two.err()),
    };
    assert_eq!(refusal.code, "token_used");
    assert!(refusal.remedy.contains("nimbus agents token create"), "{refusal:?}");
    // It leaked, say: every use is refused, the audit log is not filled with them.
    for _ in 0..10 {
        assert_eq!(enrol(&plane, &token.to_string()).await.err().unwrap().code, "token_used");
    }

    let token = plane.create_join_token(host("late"), minute, "operator").await.unwrap();
    let mut record = app.store().get(token.id).await.unwrap().unwrap();
    let record_doc: &mut nimbus_control_core::model::JoinTokenRecord = &mut record.doc;
    record_doc.expires_at = app.now() - Duration::from_secs(1);
    let changes = nimbus_control_core::model::ChangeSet { tokens: vec![record], ..Default::default() };
    app.commit(&changes).await.unwrap();
    let refusal = enrol(&plane, &token.to_string()).await.err().unwrap();
    assert_eq!(refusal.code, "token_expired");
    for text in ["", "nimbus1.x.y.z", "nimbus2.tok_00000000000000000000000000000001.AA.00"] {
        assert_eq!(enrol(&plane, text).await.err().unwrap().code, "token_unknown", "{text}");
    }
    let agents = app.store().all::<nimbus_control_core::model::Agent>().await.unwrap();
    assert_eq!(agents.len(), 1);
    let rows = app.store().audit_rows(1, 500).await.unwrap();
    let count = |action: &str| rows.iter().filter(|row| row.draft.action == action).count();
    assert_eq!((count("agent.enrolled"), count("agent.enrolment_refused")), (1, 2));
    serves_a_good_agent(&plane).await;
    plane.stop().await;
}

/// Its answer was lost on the way, or did not fit its disk.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_did_not_keep_the_answer_gets_it_again_with_its_key_and_for_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let app = plane.app();
    let token = plane.create_join_token(host("edge"), Duration::from_mins(1), "operator").await.unwrap();
    let key = KeyPair::generate().unwrap();
    let asks = async |key: &KeyPair, token: &nimbus_protocol::join::JoinToken| {
        let key = KeyPair::try_from(key.serialize_der()).unwrap();
        let request = v1::EnrolRequest { token: token.to_string(), ..Default::default() };
        enrol_as(HERE, &plane, key, request).await
    };
    let first = asks(&key, &token).await.unwrap();
    let again = asks(&key, &token).await.unwrap();
    assert_eq!((&again.id, &again.name, &again.kind), (&first.id, &first.name, &first.kind));
    for _ in 0..10 {
        let refusal = asks(&key, &token).await.err().unwrap();
        assert_eq!(refusal.code, "overloaded", "once a minute, as each answer is a row of the audit log");
        assert!(refusal.retry_after_ms > 0);
    }

    // The token alone, the key alone, or both with another secret: nothing.
    let stranger = KeyPair::generate().unwrap();
    assert_eq!(asks(&stranger, &token).await.err().unwrap().code, "token_used");
    let mut forged = token.clone();
    forged.secret[0] ^= 1;
    assert_eq!(asks(&key, &forged).await.err().unwrap().code, "token_unknown");
    let other = plane.create_join_token(host("other"), Duration::from_mins(1), "operator").await.unwrap();
    enrol(&plane, &other.to_string()).await.unwrap();
    assert_eq!(asks(&key, &other).await.err().unwrap().code, "token_used");

    // Nor once its time is over, nor for an agent that was revoked.
    let mut record = app.store().get::<JoinTokenRecord>(token.id).await.unwrap().unwrap();
    let until = std::mem::replace(&mut record.doc.expires_at, app.now());
    app.commit(&ChangeSet { tokens: vec![record], ..Default::default() }).await.unwrap();
    assert_eq!(asks(&key, &token).await.err().unwrap().code, "token_used");
    let mut record = app.store().get::<JoinTokenRecord>(token.id).await.unwrap().unwrap();
    record.doc.expires_at = until;
    app.commit(&ChangeSet { tokens: vec![record], ..Default::default() }).await.unwrap();
    let mut agent = app.store().get::<Agent>(&first.id).await.unwrap().unwrap();
    agent.doc.revoked_at = Some(app.now());
    app.commit(&ChangeSet { agents: vec![agent], ..Default::default() }).await.unwrap();
    assert_eq!(asks(&key, &token).await.err().unwrap().code, "token_used");
    let mut agent = app.store().get::<Agent>(&first.id).await.unwrap().unwrap();
    agent.doc.revoked_at = None;
    app.commit(&ChangeSet { agents: vec![agent], ..Default::default() }).await.unwrap();
    // Nor for one that had a session, and so kept its answer.
    drop(again.connect(&plane).await);
    assert_eq!(asks(&key, &token).await.err().unwrap().code, "token_used");

    assert_eq!(app.store().all::<Agent>().await.unwrap().len(), 2);
    let rows = app.store().audit_rows(1, 500).await.unwrap();
    let count = |action: &str| rows.iter().filter(|row| row.draft.action == action).count();
    assert_eq!((count("agent.enrolled"), count("agent.enrolled_again")), (2, 1));
    plane.stop().await;
}

/// Those of one token start at the same time, and so lose their answers at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_token_of_several_uses_every_agent_may_ask_again_and_none_costs_another_use() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let new = NewAgent { uses: 3, ..host("edge") };
    let new = NewAgent { kind: AgentKind::Cluster, ..new };
    let token = plane.create_join_token(new, Duration::from_mins(1), "operator").await.unwrap();
    let keys: Vec<_> = (0..3).map(|_| KeyPair::generate().unwrap()).collect();
    let asks = async |key: &KeyPair| {
        let request = v1::EnrolRequest {
            token: token.to_string(),
            cluster_uid: "0f0f0f0f-0000-4000-8000-000000000001".to_owned(),
            ..Default::default()
        };
        let key = KeyPair::try_from(key.serialize_der()).unwrap();
        enrol_as(HERE, &plane, key, request).await.unwrap().id
    };
    let mut ids = Vec::new();
    for key in &keys[..2] {
        ids.push(asks(key).await);
    }
    assert_eq!(asks(&keys[0]).await, ids[0]);
    ids.push(asks(&keys[2]).await);
    assert_eq!([asks(&keys[1]).await, asks(&keys[2]).await], ids[1..]);
    assert_eq!(plane.app().store().all::<Agent>().await.unwrap().len(), 3);
    let rows = plane.app().store().audit_rows(1, 500).await.unwrap();
    let again = rows.iter().filter(|row| row.draft.action == "agent.enrolled_again");
    assert_eq!(
        again.map(|row| row.draft.actor.clone()).collect::<Vec<_>>(),
        [&ids[0], &ids[1], &ids[2]].map(Clone::clone)
    );
    plane.stop().await;
}

/// Takes a token back as the operator's order does, however many enrolments are faster.
async fn revoke(plane: &ControlPlane, token: TokenId) {
    let app = plane.app();
    loop {
        let mut record = app.store().get::<JoinTokenRecord>(token).await.unwrap().unwrap();
        record.doc.revoke(app.now());
        match app.commit(&ChangeSet { tokens: vec![record], ..Default::default() }).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_conflict(), "{error}"),
        }
    }
}

const CLUSTER: &str = "0f0f0f0f-0000-4000-8000-000000000001";

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_lets_nobody_in_and_who_came_with_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let app = plane.app();
    let new = NewAgent { kind: AgentKind::Cluster, uses: 10, ..host("edge") };
    let token = plane.create_join_token(new, Duration::from_mins(1), "operator").await.unwrap();
    let asks = async |key: &KeyPair, token: &nimbus_protocol::join::JoinToken| {
        let key = KeyPair::try_from(key.serialize_der()).unwrap();
        let (token, cluster_uid) = (token.to_string(), CLUSTER.to_owned());
        enrol_as(HERE, &plane, key, v1::EnrolRequest { token, cluster_uid, ..Default::default() }).await
    };
    let key = KeyPair::generate().unwrap();
    let joined = asks(&key, &token).await.unwrap();
    revoke(&plane, token.id).await;

    // Whoever has the secret is told so, ten times; the audit log is told once.
    for _ in 0..10 {
        let refusal = asks(&KeyPair::generate().unwrap(), &token).await.err().unwrap();
        assert_eq!((refusal.code.as_str(), refusal.retry_after_ms), ("token_revoked", 0));
        assert!(refusal.found.contains("revoked at 20"), "{refusal:?}");
        assert!(refusal.remedy.contains("nimbus agents token create"), "{refusal:?}");
    }
    // Also who asks for its answer again; and whoever has another secret learns nothing.
    assert_eq!(asks(&key, &token).await.err().unwrap().code, "token_revoked");
    let mut forged = token.clone();
    forged.secret[0] ^= 1;
    assert_eq!(asks(&key, &forged).await.err().unwrap().code, "token_unknown");
    drop(joined.connect(&plane).await);

    assert_eq!(app.store().all::<Agent>().await.unwrap().len(), 1);
    let rows = app.store().audit_rows(1, 500).await.unwrap();
    let refused: Vec<_> = rows.iter().filter(|row| row.draft.action == "agent.enrolment_refused").collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].draft.subject, token.id.to_string());
    assert!(refused[0].draft.detail.starts_with("token_revoked:"), "{}", refused[0].draft.detail);
    plane.stop().await;
}

/// An enrolment that read the token before does not bring it back, and does not go past its revocation.
#[tokio::test(flavor = "multi_thread")]
async fn no_enrolment_that_had_begun_ends_after_the_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let app = plane.app();
    let new = NewAgent { kind: AgentKind::Cluster, uses: 100, ..host("edge") };
    let token = plane.create_join_token(new, Duration::from_mins(1), "operator").await.unwrap();
    let asked = (0..8).map(|_| async {
        let (token, cluster_uid) = (token.to_string(), CLUSTER.to_owned());
        let request = v1::EnrolRequest { token, cluster_uid, ..Default::default() };
        enrol_as(HERE, &plane, KeyPair::generate().unwrap(), request).await
    });
    let (answers, ()) = tokio::join!(futures::future::join_all(asked), revoke(&plane, token.id));
    let record = app.store().get::<JoinTokenRecord>(token.id).await.unwrap().unwrap();
    assert!(record.doc.revoked_at.is_some(), "{:?}", record.doc);
    let joined = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((record.doc.used as usize, app.store().all::<Agent>().await.unwrap().len()), (joined, joined));
    for refusal in answers.into_iter().filter_map(Result::err) {
        // Overloaded: other writers were faster each time.
        assert!(["token_revoked", "overloaded"].contains(&refusal.code.as_str()), "{refusal:?}");
    }

    // Read before, written after.
    let other = plane.create_join_token(host("other"), Duration::from_mins(1), "operator").await.unwrap();
    let mut before = app.store().get::<JoinTokenRecord>(other.id).await.unwrap().unwrap();
    revoke(&plane, other.id).await;
    before.doc.spend("agt_00000000000000000000000000000001".parse().unwrap(), app.now());
    let error = app.commit(&ChangeSet { tokens: vec![before], ..Default::default() }).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(enrol(&plane, &other.to_string()).await.err().unwrap().code, "token_revoked");
    plane.stop().await;
}
