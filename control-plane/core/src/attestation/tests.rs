//! What a pod's token proves, and what it does not: as many refusals as there are ways to get one from elsewhere.

use nimbus_protocol::kind::Body;
use nimbus_protocol::v1;

use super::*;
use crate::model::AgentKind;
use crate::world::World;

const NOW: i64 = 1_800_000_000;
const UID: &str = "0f0f0f0f-0000-4000-8000-000000000001";

fn agents<const N: usize>(agents: [Versioned<Agent>; N]) -> Agents {
    agents.into_iter().collect()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn claims() -> serde_json::Value {
    serde_json::json!({
        "aud": ["nimbus-control-plane"],
        "exp": NOW + 3_600,
        "iat": NOW,
        "nbf": NOW,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": "a",
        "kubernetes.io": {
            "namespace": "nimbus-system",
            "node": {"name": "node-1", "uid": "n"},
            "pod": {"name": "nimbus-agent-x", "uid": "pod-1"},
            "serviceaccount": {"name": "nimbus-agent", "uid": "s"}
        },
        "sub": "system:serviceaccount:nimbus-system:nimbus-agent"
    })
}

fn known() -> ClusterIdentity {
    ClusterIdentity {
        issuer: "https://kubernetes.default.svc.cluster.local".into(),
        keys: String::new(),
        namespace: "nimbus-system".into(),
        service_account: "nimbus-agent".into(),
        since: at(-9_000),
        token: "tok_00000000000000000000000000000001".parse().unwrap(),
    }
}

fn read(value: serde_json::Value) -> Claims {
    serde_json::from_value(value).unwrap()
}

fn pod() -> PodOrigin {
    judge(&read(claims()), Some(&known()), at(0)).unwrap()
}

#[test]
fn a_token_of_the_agents_own_service_account_proves_its_pod_and_node() {
    let pod = pod();
    assert_eq!((pod.namespace.as_str(), pod.name.as_str()), ("nimbus-system", "nimbus-agent-x"));
    assert_eq!((pod.uid.as_str(), pod.node.as_deref()), ("pod-1", Some("node-1")));
    // An API server before 1.30 names no node.
    let mut old = claims();
    old["kubernetes.io"].as_object_mut().unwrap().remove("node");
    assert_eq!(judge(&read(old), None, at(0)).unwrap().node, None);
}

#[test]
fn a_token_from_elsewhere_is_refused_by_its_reason() {
    let cases: [(&str, serde_json::Value, &str); 10] = [
        ("/exp", serde_json::json!(NOW + 86_401), "proof_too_long"),
        ("/aud", serde_json::json!(["https://kubernetes.default.svc"]), "proof_audience"),
        ("/aud", serde_json::json!("vault"), "proof_audience"),
        ("/exp", serde_json::json!(NOW), "proof_expired"),
        ("/nbf", serde_json::json!(NOW + 61), "proof_not_yet"),
        ("/iss", serde_json::json!("https://other"), "proof_issuer"),
        ("/sub", serde_json::json!("system:serviceaccount:nimbus-system:default"), "proof_service_account"),
        ("/kubernetes.io/namespace", serde_json::json!("default"), "proof_service_account"),
        ("/kubernetes.io/serviceaccount/name", serde_json::json!("default"), "proof_service_account"),
        ("/kubernetes.io/pod", serde_json::Value::Null, "proof_without_pod"),
    ];
    for (path, value, word) in cases {
        let mut changed = claims();
        *changed.pointer_mut(path).unwrap() = value;
        let why = judge(&read(changed), Some(&known()), at(0)).unwrap_err();
        assert_eq!(why.word(), word, "{path}");
        let (expected, found) = why.expected_and_found();
        assert!(!expected.is_empty() && !found.is_empty() && !why.remedy().is_empty());
    }
    // Another service account of the cluster, consistent in itself.
    let mut other = claims();
    other["kubernetes.io"]["serviceaccount"]["name"] = "builder".into();
    other["sub"] = "system:serviceaccount:nimbus-system:builder".into();
    assert_eq!(judge(&read(other), Some(&known()), at(0)).unwrap_err().word(), "proof_service_account");
    // A namespace that anybody may have made, with a service account of the right name, consistent in itself.
    let mut elsewhere = claims();
    let account = elsewhere["kubernetes.io"]["serviceaccount"]["name"].as_str().unwrap().to_owned();
    elsewhere["kubernetes.io"]["namespace"] = "evil".into();
    elsewhere["sub"] = format!("system:serviceaccount:evil:{account}").into();
    assert_eq!(judge(&read(elsewhere), Some(&known()), at(0)).unwrap_err().word(), "proof_service_account");
}

fn tell(world: &mut World, body: Body) {
    let agent = "agt_00000000000000000000000000000007".parse().unwrap();
    let observation = v1::Observation { cluster_uid: UID.into(), body: Some(body), ..Default::default() };
    world.apply(agent, &observation, at(0));
}

/// A cluster whose pods are listed: those with these UIDs on these nodes.
fn listed(pods: &[(&str, &str)]) -> World {
    let mut world = World::default();
    let mark = |phase| v1::SyncMark { kind: "Pod".into(), phase, lease_term: 1 };
    tell(&mut world, Body::Sync(mark(1)));
    for (uid, node) in pods {
        let meta = v1::ObjectMeta {
            uid: (*uid).into(),
            namespace: "nimbus-system".into(),
            name: "a".into(),
            ..Default::default()
        };
        let pod = v1::Pod { meta: Some(meta), node: (*node).into(), ..Default::default() };
        tell(&mut world, Body::Pod(pod));
    }
    tell(&mut world, Body::Sync(mark(2)));
    world
}

#[test]
fn a_pod_has_to_be_there_where_somebody_sees_all_pods() {
    let here = listed(&[("pod-1", "node-1")]);
    assert_eq!(is_there(&pod(), here.clusters.get(UID)), Ok(()));
    let gone = listed(&[("pod-2", "node-1")]);
    assert_eq!(is_there(&pod(), gone.clusters.get(UID)).unwrap_err().word(), "proof_pod_not_seen");
    let elsewhere = listed(&[("pod-1", "node-2")]);
    assert_eq!(is_there(&pod(), elsewhere.clusters.get(UID)).unwrap_err().word(), "proof_node");
    assert_eq!(is_there(&pod(), None), Ok(()), "the first agent sees for the others");
    assert_eq!(is_there(&pod(), World::default().clusters.get(UID)), Ok(()));
}

fn agent(n: u8, pod: Option<PodOrigin>, key: &str) -> Versioned<Agent> {
    Versioned::new(Agent {
        name: format!("node-{n}"),
        key_sha256: key.into(),
        bound_cluster: Some(UID.into()),
        pod,
        ..Agent::new(format!("agt_{n:032x}").parse().unwrap(), AgentKind::Cluster, at(-600))
    })
}

#[test]
fn a_pod_keeps_its_key_and_another_one_is_a_replay() {
    let mut its = agent(1, Some(pod()), "k1");
    let ask = |agent: &Versioned<Agent>, cluster, key, is_seen| {
        already(&agents([agent.clone()]), cluster, &pod(), key, is_seen)
            .map(|found| found.map(|agent| agent.doc.id))
            .map_err(|why| why.word())
    };
    let id = Some(its.doc.id);
    assert_eq!(already(&agents([]), UID, &pod(), "k1", true), Ok(None));
    assert_eq!(ask(&its, "another", "k2", true), Ok(None));
    assert_eq!(ask(&its, UID, "k1", false), Ok(id));
    assert_eq!(ask(&its, UID, "k2", true), Err("proof_replayed"));
    // Its pod was thought to be gone: it comes back with its key where the pod is seen.
    (its.doc.revoked_at, its.doc.pod_gone) = (Some(at(0)), true);
    assert_eq!(ask(&its, UID, "k1", false), Err("proof_pod_gone"));
    assert_eq!(ask(&its, UID, "k1", true), Ok(id));
    assert_eq!(ask(&its, UID, "k2", true), Err("proof_replayed"));
    its.doc.pod_gone = false;
    assert_eq!(ask(&its, UID, "k1", true), Err("proof_revoked"), "a person's word holds");
}

#[test]
fn one_pod_has_one_id() {
    let other = PodOrigin { uid: "pod-2".into(), ..pod() };
    assert_eq!(agent_id(UID, &pod()), agent_id(UID, &PodOrigin { name: "x".into(), ..pod() }));
    assert_ne!(agent_id(UID, &pod()), agent_id(UID, &other));
    assert_ne!(agent_id(UID, &pod()), agent_id("another", &pod()));
}

#[test]
fn an_agent_is_called_as_its_node_and_by_its_id_where_that_is_taken_or_too_long() {
    let id: AgentId = "agt_000000000000000000000000abcdef12".parse().unwrap();
    let away = |_: &Agent| true;
    assert_eq!(agent_name((&agents([]), away), UID, &pod(), id, 63), "node-1");
    assert_eq!(agent_name((&agents([agent(1, None, "")]), away), UID, &pod(), id, 63), "node-1-abcdef12");
    // The agent of the pod before it, although nobody has seen yet that it is gone; one of another cluster is another node's.
    let mut before = agent(1, Some(pod()), "");
    before.doc.bound_cluster = Some(UID.to_owned());
    assert_eq!(agent_name((&agents([before.clone()]), away), UID, &pod(), id, 63), "node-1");
    assert_eq!(agent_name((&agents([before.clone()]), away), "another", &pod(), id, 63), "node-1-abcdef12");
    let name = agent_name((&agents([before.clone()]), |_: &Agent| false), UID, &pod(), id, 63);
    assert_eq!(name, "node-1-abcdef12", "two that are connected have two names");
    // Where the token does not say the node, nothing shows that it is the same.
    let nameless = PodOrigin { node: None, name: "node-1".into(), ..pod() };
    assert_eq!(agent_name((&agents([before]), away), UID, &nameless, id, 63), "node-1-abcdef12");
    let mut long = pod();
    long.node = Some("n".repeat(100));
    let name = agent_name((&agents([]), away), UID, &long, id, 63);
    assert!(name.len() == 63 && name.ends_with("-abcdef12"), "{name}");
}

#[test]
fn an_agent_ends_with_its_pod_and_not_before_that_is_known() {
    let mut lab = crate::testing::lab::Lab::new();
    let mut its = agent(9, Some(pod()), "k1").doc;
    its.bound_cluster = Some(crate::testing::objects::CLUSTER.into());
    its.created_at = lab.now - KEPT_PODLESS + jiff::SignedDuration::from_secs(1);
    let id = its.id;
    lab.agents.insert(id.to_string(), Versioned::new(its));
    assert!(lab.look(|snapshot| gone(snapshot, snapshot.now)).is_empty(), "it is too new");
    lab.pass(1);
    let ended = lab.look(|snapshot| gone(snapshot, snapshot.now));
    assert_eq!(ended.agents.iter().map(|agent| agent.doc.id).collect::<Vec<_>>(), vec![id]);
    assert!(ended.agents[0].doc.revoked_at.is_some());
    assert_eq!(ended.audit[0].action, "agent.pod_gone");
    // Without a leader that is connected nothing is known.
    lab.connected.clear();
    assert!(lab.look(|snapshot| gone(snapshot, snapshot.now)).is_empty());
}
