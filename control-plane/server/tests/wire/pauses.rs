//! Tests of the kill switch over the wire: agents are told at once and at each welcome, and nothing that waits is sent.

use nimbus_control_core::model::{AgentKind, Cluster, Incident, Job};
use nimbus_control_core::remediation::{self, PauseOrder};
use nimbus_control_plane::ControlPlane;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::server_frame::Body as FromServer;

use crate::cluster::{UID, crashing, listing, status};
use crate::common::{join, until};
use crate::heal::{connect, enable, job, quick, report};

/// Pauses, or lets go on, the cluster of the tests or the fleet.
async fn order(plane: &ControlPlane, fleet: bool, pauses: bool) {
    let app = plane.app();
    let cluster = app.store().get::<Cluster>(UID).await.unwrap().map(|cluster| cluster.doc);
    let cluster = cluster.as_ref().filter(|_| !fleet);
    assert_eq!(cluster.is_none(), fleet);
    let order = PauseOrder { cluster, by: "operator", reason: "disks are moved", until: None };
    let docs = app.docs().await.unwrap();
    let decide = if pauses { remediation::pause } else { remediation::resume };
    app.commit(&decide(&docs.pauses, order, app.now())).await.unwrap();
}

async fn incident_says(plane: &ControlPlane, text: &str) {
    let said = async || {
        let all = plane.app().store().all::<Incident>().await.unwrap();
        all.iter().any(|incident| incident.doc.reason.contains(text)).then_some(())
    };
    until(text, said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_cluster_gets_no_job_until_it_is_resumed_and_its_agent_is_told_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    assert!(!session.pause().await.paused, "each session begins with how it is");
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    order(&plane, false, true).await;
    let told = session.pause().await;
    assert!(told.paused);
    assert_eq!((told.what.as_str(), told.by.as_str()), ("cluster kind", "operator"));
    assert_eq!(told.reason, "disks are moved");
    enable(&plane).await;
    incident_says(&plane, "paused: operator paused cluster kind").await;
    assert!(plane.app().store().all::<Job>().await.unwrap().is_empty());

    order(&plane, false, false).await;
    assert!(!session.pause().await.paused);
    job(&mut session, &identity).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_answered_is_not_sent_again_while_the_fleet_is_paused() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    enable(&plane).await;
    let (sent, envelope) = job(&mut session, &identity).await;
    let next = session.next;
    drop(session);
    order(&plane, true, true).await;
    // A restart forgets nothing of it.
    plane.stop().await;
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let mut session = connect(&plane, &identity).await;
    let told = session.pause().await;
    assert_eq!((told.paused, told.what.as_str()), (true, "the fleet"));
    session.next = next;
    session.tell(UID, vec![status()]).await;
    order(&plane, true, false).await;
    let told = loop {
        match session.next_control().await {
            FromServer::Pause(told) => break told,
            FromServer::Job(_) => panic!("a job came although the fleet was paused"),
            _ => {}
        }
    };
    assert!(!told.paused);
    let (again, same) = job(&mut session, &identity).await;
    assert_eq!((again.job_id, same), (sent.job_id.clone(), envelope));
    session.report(report(&sent, Phase::Accepted)).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_elsewhere_is_told_of_the_fleets_pause_alone() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    let known = async || plane.app().store().get::<Cluster>(UID).await.unwrap();
    until("the cluster", known).await;
    let host = join(&plane, "host", AgentKind::Host).await;
    let mut host = host.connect(&plane).await;
    assert!(!host.pause().await.paused);
    order(&plane, false, true).await;
    order(&plane, true, true).await;
    assert_eq!(host.pause().await.what, "the fleet");
    plane.stop().await;
}
