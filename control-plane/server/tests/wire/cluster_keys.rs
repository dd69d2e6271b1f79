//! New keys of a cluster's API server: its leading agent brings them, and nobody else.

use nimbus_control_plane::ControlPlane;
use nimbus_protocol::v1;
use nimbus_protocol::v1::ClusterKeys::{self, Known, NotYet, Unreadable, Unspecified};
use nimbus_protocol::v1::agent_frame::Body as ToServer;
use nimbus_protocol::v1::observation::Body;
use nimbus_protocol::v1::server_frame::Body as FromServer;
use rcgen::KeyPair;

use crate::common::{Identity, Session, csr, start, until, write};
use crate::pods::{Cluster, UID, ask, claims, token, word};

/// What becomes of `keys` that this agent brings over a session of its own.
async fn brings(plane: &ControlPlane, agent: &Identity, keys: &str) -> ClusterKeys {
    let mut session = agent.connect(plane).await;
    let answer = renew(&mut session, agent, keys).await;
    session.connection.close(0u32.into(), b"");
    answer
}

async fn renew(session: &mut Session, agent: &Identity, keys: &str) -> ClusterKeys {
    let request = v1::RenewRequest { csr_der: csr(&agent.key), cluster_keys_json: keys.to_owned() };
    write(&mut session.send, ToServer::Renew(request)).await;
    let FromServer::Renewed(renewed) = session.control().await else { panic!("no certificate") };
    assert_eq!(
        renewed.certificate_chain_der.len(),
        2,
        "whatever becomes of the keys, the certificate is renewed"
    );
    renewed.cluster_keys()
}

/// From now on this agent leads its cluster, as its own listing says.
async fn leads(plane: &ControlPlane, agent: &Identity) {
    let mut session = agent.connect(plane).await;
    let phase = v1::sync_mark::Phase::Begin.into();
    session.tell(UID, vec![Body::Sync(v1::SyncMark { kind: "Pod".into(), phase, lease_term: 1 })]).await;
    session.connection.close(0u32.into(), b"");
    until("its lead", async || {
        let world = plane.app().view.read().clusters.get(UID)?.leader?;
        (world.to_string() == agent.id).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leading_agent_brings_new_keys_and_nobody_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let (old, new, evil) = (Cluster::new(), Cluster::new(), Cluster::new());
    let join = token(&plane, 1).await;
    let enrol = async |cluster: &Cluster, pod: &str| {
        let key = KeyPair::generate().unwrap();
        ask(&plane, &key, "", cluster.sign(&claims(pod)), cluster.keys()).await
    };
    let key = KeyPair::generate().unwrap();
    let leader = ask(&plane, &key, &join, old.sign(&claims("a")), old.keys()).await.unwrap();
    let other = enrol(&old, "b").await.unwrap();
    let host = crate::common::join(&plane, "host", nimbus_control_core::model::AgentKind::Host).await;
    // The keys were made known just now; the minute in which they do not change again is over by then.
    let mut earlier = plane.app().docs().await.unwrap().clusters[0].clone();
    earlier.doc.identity.as_mut().unwrap().since -= jiff::SignedDuration::from_mins(2);
    let changes = nimbus_control_core::model::ChangeSet { clusters: vec![earlier], ..Default::default() };
    plane.app().commit(&changes).await.unwrap();

    assert_eq!(brings(&plane, &leader, &new.keys()).await, NotYet, "nobody is seen to lead");
    leads(&plane, &leader).await;
    assert_eq!(brings(&plane, &other, &evil.keys()).await, NotYet, "another one leads");
    assert_eq!(brings(&plane, &host, &evil.keys()).await, Unspecified, "a host's agent has no cluster");
    assert_eq!(word(enrol(&new, "c").await), "proof_unknown");
    for junk in ["no keys", "{}", r#"{"keys": []}"#] {
        assert_eq!(brings(&plane, &leader, junk).await, Unreadable, "{junk}");
    }
    assert_eq!(brings(&plane, &leader, "").await, Unspecified);
    assert_eq!(brings(&plane, &leader, &old.keys()).await, Known, "nothing changes");
    assert_eq!(changed(&plane).await.len(), 0);

    assert_eq!(brings(&plane, &leader, &new.keys()).await, Known);
    assert_eq!(word(enrol(&new, "c").await), "node-c");
    assert_eq!(
        word(enrol(&old, "d").await),
        "node-d",
        "tokens of the old key hold for as long as they were made"
    );
    assert_eq!(word(enrol(&evil, "e").await), "proof_unknown");
    assert_eq!(brings(&plane, &leader, &new.keys()).await, Known, "again, after a session that broke");
    assert_eq!(brings(&plane, &leader, &evil.keys()).await, NotYet, "two changes have a minute between them");
    let rows = changed(&plane).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].contains("node-a, which leads"), "{rows:?}");
    plane.stop().await;
}

/// The changes of keys that were audited.
async fn changed(plane: &ControlPlane) -> Vec<String> {
    let rows = plane.app().store().audit(&nimbus_store::AuditFilter::default()).await.unwrap().rows;
    let changed = rows.into_iter().filter(|row| row.draft.action == "cluster.keys_changed");
    changed.map(|row| row.draft.detail).collect()
}
