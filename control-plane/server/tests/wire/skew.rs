//! Tests of agents of another version over the wire: a newer one that sends more fields, and an older one that sends
//! fewer.

use nimbus_control_core::model::{AgentKind, Incident, IncidentState, Job, JobState};
use nimbus_control_plane::ControlPlane;
use nimbus_protocol::frame;
use nimbus_protocol::v1;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::observation::Body;
use prost::Message as _;
use quinn::SendStream;

use crate::cluster::{UID, crashing, deployment, gone, healthy, listing, replica_set, status};
use crate::common::{Session, join, start, until};
use crate::heal::{connect, enable, job, quick, report};

/// Field 100, a varint of 1: no message of this version has it.
const MORE: [u8; 3] = [0xa0, 0x06, 0x01];

/// A frame of a newer agent: a batch as ever, or a message that only it knows.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerFrame {
    #[prost(message, optional, tag = "3")]
    batch: Option<NewerBatch>,
    #[prost(bytes = "vec", optional, tag = "100")]
    unheard: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NewerBatch {
    #[prost(uint64, tag = "1")]
    first_sequence: u64,
    #[prost(message, repeated, tag = "2")]
    observations: Vec<NewerObservation>,
    #[prost(uint64, tag = "50")]
    taken_in_ms: u64,
}

/// A pod with a field more, or an object of a kind that only the newer agent knows.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerObservation {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(string, tag = "3")]
    cluster_uid: String,
    #[prost(bytes = "vec", optional, tag = "20")]
    pod: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "99")]
    gateway: Option<Vec<u8>>,
}

async fn send(stream: &mut SendStream, newer: &NewerFrame) {
    stream.write_all(&frame::encode(newer).unwrap()).await.unwrap();
}

async fn incident(plane: &ControlPlane) -> Option<Incident> {
    let all = plane.app().store().all::<Incident>().await.unwrap();
    assert!(all.len() < 2, "{all:#?}");
    all.into_iter().next().map(|incident| incident.doc)
}

/// Everything that was stored is read.
async fn caught_up(plane: &ControlPlane) {
    let view = &plane.app().view;
    let read = async || (view.routed() == view.stored() && view.applied() == view.stored()).then_some(());
    until("everything read", read).await;
}

async fn lives(session: &mut Session) {
    session.tell("", vec![status()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_agent_says_more_costs_neither_its_session_nor_what_is_understood_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(healthy("cart-a", "n1"))).await;
    let unheard = NewerFrame { unheard: Some(vec![7; 10]), batch: None };
    send(&mut session.send, &unheard).await;
    send(&mut session.data_send, &unheard).await;

    let Body::Pod(pod) = crashing("cart-a", "n1") else { panic!("a pod") };
    let pod = [&pod.encode_to_vec()[..], &MORE].concat();
    let observation = |sequence| NewerObservation { sequence, cluster_uid: UID.into(), ..Default::default() };
    let observations = vec![
        NewerObservation { gateway: Some(pod.clone()), ..observation(session.next) },
        NewerObservation { pod: Some(pod), ..observation(session.next + 1) },
    ];
    let batch = NewerBatch { first_sequence: session.next, observations, taken_in_ms: 3 };
    session.next += 2;
    send(&mut session.data_send, &NewerFrame { batch: Some(batch), unheard: None }).await;
    assert_eq!(session.ack().await, session.next - 1, "what is not known is acknowledged too");
    let seen = until("an incident", async || incident(&plane).await).await;
    assert_eq!(seen.object.uid(), "uid-cart-a");
    assert_eq!(plane.app().view.read().clusters[UID].pods.len(), 2, "nothing else came of it");
    lives(&mut session).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_agent_leaves_out_allows_and_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    // It does not say what its policy allows.
    let Body::AgentStatus(said) = status() else { panic!("a status") };
    let silent = v1::AgentStatus { allowed_actions: Vec::new(), ..said };
    session.tell(UID, vec![Body::AgentStatus(silent)]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    until("an incident", async || incident(&plane).await).await;
    enable(&plane).await;
    let why = async || incident(&plane).await.filter(|i| i.reason.contains("does not allow restart_pod"));
    until("why nothing is done", why).await;
    assert!(plane.app().store().all::<Job>().await.unwrap().is_empty());

    session.tell("", vec![status()]).await;
    let (order, _) = job(&mut session, &identity).await;
    // A phase that only a newer agent has, of a job that runs: acknowledged, and no end of it.
    session.report(report(&order, Phase::Accepted)).await;
    session.report(v1::JobReport { phase: 99, ..report(&order, Phase::Applied) }).await;
    let state = plane.app().store().get::<Job>(&order.job_id).await.unwrap().unwrap().doc.state;
    assert_eq!(state, JobState::Running);

    // It does not say since when the new pod is ready.
    let Body::Pod(pod) = healthy("cart-c", "n2") else { panic!("a pod") };
    let undated = Body::Pod(v1::Pod { ready_since_us: 0, ..pod });
    session.tell(UID, vec![gone("cart-a"), undated, replica_set(2), deployment(2)]).await;
    session.report(report(&order, Phase::Succeeded)).await;
    caught_up(&plane).await;
    assert_ne!(incident(&plane).await.unwrap().state, IncidentState::Resolved);
    session.tell(UID, vec![healthy("cart-c", "n2")]).await;
    let resolved = async || incident(&plane).await.filter(|i| i.state == IncidentState::Resolved);
    until("the resolved incident, once it is said", resolved).await;
    plane.stop().await;
}
