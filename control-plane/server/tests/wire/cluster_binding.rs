//! Tests that naming a cluster's UID, which is no secret, does not bind an agent to that cluster.

use nimbus_control_core::model::{Agent, AgentKind};
use nimbus_control_plane::ControlPlane;
use nimbus_control_plane::tokens::NewAgent;
use nimbus_protocol::v1;
use nimbus_protocol::v1::observation::Body;

use crate::cluster::{UID, crashing, listing, status};
use crate::common::{HERE, Identity, Session, enrol_as, join, join_as, start, until};

async fn connect(plane: &ControlPlane, identity: &Identity, uid: &str) -> Result<Session, v1::Refusal> {
    let hello = v1::Hello { cluster_uid: uid.into(), cluster_name: "kind".into(), ..identity.hello() };
    identity.connect_with(plane, hello).await
}

async fn agent(plane: &ControlPlane, identity: &Identity) -> Agent {
    plane.app().store().get::<Agent>(&identity.id).await.unwrap().unwrap().doc
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_of_a_cluster_needs_a_token_made_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let first = join(&plane, "first", AgentKind::Cluster).await;
    let held = connect(&plane, &first, UID).await.unwrap();
    let unbound = join(&plane, "unbound", AgentKind::Cluster).await;
    let refusal = connect(&plane, &unbound, UID).await.err().unwrap();
    assert_eq!(refusal.code, "wrong_cluster");
    assert!(refusal.found.contains("first") && refusal.remedy.contains("--cluster"), "{refusal:?}");
    let problems = agent(&plane, &unbound).await.problems;
    assert!(problems[0].contains(UID), "{problems:?}");

    let second = NewAgent { name: "second", kind: AgentKind::Cluster, cluster: Some(UID), uses: 1 };
    let second = join_as(&plane, second).await;
    connect(&plane, &second, UID).await.unwrap();
    let refusal = connect(&plane, &second, "7b0c1f1e-0000-4000-8000-000000000002").await.err().unwrap();
    assert_eq!(refusal.code, "wrong_cluster");
    // The first one keeps what it has, also over a restart of its own.
    drop(held);
    connect(&plane, &first, UID).await.unwrap();
}

/// What each of them sees a moment before must not let both in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_tokens_of_several_uses_that_are_used_for_one_new_cluster_at_once_one_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let mut requests = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let new = NewAgent { name, kind: AgentKind::Cluster, cluster: None, uses: 2 };
        let token =
            plane.create_join_token(new, std::time::Duration::from_mins(1), "operator").await.unwrap();
        let request =
            v1::EnrolRequest { token: token.to_string(), cluster_uid: UID.into(), ..Default::default() };
        requests.push(enrol_as(HERE, &plane, rcgen::KeyPair::generate().unwrap(), request));
    }
    let answers = futures::future::join_all(requests).await;
    let codes: Vec<String> = answers.into_iter().filter_map(Result::err).map(|no| no.code).collect();
    assert_eq!(codes, vec!["wrong_cluster"; 5]);
    plane.stop().await;
}

/// The agents of one token say hello in any order: that another one was faster does not shut the first one out.
#[tokio::test(flavor = "multi_thread")]
async fn every_agent_of_a_token_of_several_uses_may_report_whoever_says_hello_first() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let token = NewAgent { name: "some", kind: AgentKind::Cluster, cluster: None, uses: 3 };
    let token = plane.create_join_token(token, std::time::Duration::from_mins(1), "operator").await.unwrap();
    let mut agents = Vec::new();
    for _ in 0..3 {
        let request =
            v1::EnrolRequest { token: token.to_string(), cluster_uid: UID.into(), ..Default::default() };
        agents.push(enrol_as(HERE, &plane, rcgen::KeyPair::generate().unwrap(), request).await.unwrap());
    }
    let mut held = Vec::new();
    for agent in agents.iter().rev() {
        held.push(connect(&plane, agent, UID).await.unwrap());
    }
}

/// That its token was made before the cluster's agent came does not give its first agent a place beside that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_several_uses_that_is_older_than_a_clusters_agent_takes_no_place_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let token = NewAgent { name: "some", kind: AgentKind::Cluster, cluster: None, uses: 3 };
    let token = plane.create_join_token(token, std::time::Duration::from_mins(1), "operator").await.unwrap();
    let first = join(&plane, "first", AgentKind::Cluster).await;
    let _held = connect(&plane, &first, UID).await.unwrap();
    let request =
        v1::EnrolRequest { token: token.to_string(), cluster_uid: UID.into(), ..Default::default() };
    let refused = enrol_as(HERE, &plane, rcgen::KeyPair::generate().unwrap(), request).await;
    assert_eq!(refused.err().unwrap().code, "wrong_cluster");
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_and_a_lease_of_an_agent_that_is_not_bound_are_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let first = join(&plane, "first", AgentKind::Cluster).await;
    let _held = connect(&plane, &first, UID).await.unwrap();
    let unbound = join(&plane, "unbound", AgentKind::Cluster).await;
    // It says nothing of a cluster at first.
    let mut session = connect(&plane, &unbound, "").await.unwrap();
    let Body::AgentStatus(said) = status() else { panic!("a status") };
    let leading = Body::AgentStatus(v1::AgentStatus { lease_term: 1 << 40, ..said });
    // In one batch, which may not even be acknowledged: what the first of them says ends the session.
    let facts = listing(crashing("cart-a", "n1")).into_iter().map(|body| (UID, body)).chain([("", leading)]);
    session.send(facts).await;
    let (_, why) = session.closed().await;
    assert!(why.starts_with("wrong_cluster"), "{why}");
    let seen = until("its problem", async || {
        Some(agent(&plane, &unbound).await).filter(|agent| !agent.problems.is_empty())
    });
    let seen = seen.await;
    assert_eq!((seen.cluster_uid, seen.leading, seen.lease_term), (None, false, 0));
    assert!(!plane.app().view.read().clusters.contains_key(UID), "nothing of it is in the inventory");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_point_an_agent_at_another_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let only = NewAgent { name: "only", kind: AgentKind::Cluster, cluster: Some("elsewhere"), uses: 1 };
    let only = join_as(&plane, only).await;
    assert_eq!(connect(&plane, &only, UID).await.err().unwrap().code, "wrong_cluster");
    let id = only.id.parse().unwrap();
    plane.grant_cluster(id, UID, "operator").await.unwrap();
    connect(&plane, &only, UID).await.unwrap();
    let before = plane.app().store().audit_head().await.unwrap();
    plane.grant_cluster(id, UID, "operator").await.unwrap();
    assert_eq!(plane.app().store().audit_head().await.unwrap(), before, "granted once");
}
