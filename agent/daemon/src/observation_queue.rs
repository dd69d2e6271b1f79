//! The queue between the watchers, which push observations, and the session loop, which writes them to the spool in
//! order.

use nimbus_protocol::v1::{self, observation};
use tokio::sync::{mpsc, oneshot};

/// Observations that may wait for the loop; a watcher that sees more waits, so a flood costs no memory.
const QUEUE: usize = 1_024;

/// One observation on its way to the spool.
#[derive(Debug)]
pub struct QueuedObservation {
    /// What was seen; its sequence is set by the spool.
    pub observation: v1::Observation,
    /// Told once the spool has it.
    pub queued: Option<oneshot::Sender<()>>,
}

/// The watchers' end.
#[derive(Debug, Clone)]
pub struct ObservationQueue(mpsc::Sender<QueuedObservation>);

impl ObservationQueue {
    /// Both ends.
    pub fn new() -> (Self, mpsc::Receiver<QueuedObservation>) {
        let (send, receive) = mpsc::channel(QUEUE);
        (Self(send), receive)
    }

    /// Queues an observation. Waits while the queue is full; does nothing once the agent stops.
    pub async fn observe(&self, cluster_uid: &str, body: observation::Body) {
        let _ = self.0.send(queued(cluster_uid, body, None)).await;
    }

    /// Queues an observation and waits until the spool has it: what is queued afterwards has a later sequence.
    pub async fn observe_now(&self, cluster_uid: &str, body: observation::Body) {
        let (send, receive) = oneshot::channel();
        if self.0.send(queued(cluster_uid, body, Some(send))).await.is_ok() {
            let _ = receive.await;
        }
    }

    /// As [`ObservationQueue::observe_now`], from a blocking thread.
    pub fn observe_now_blocking(&self, cluster_uid: &str, body: observation::Body) {
        let (send, receive) = oneshot::channel();
        if self.0.blocking_send(queued(cluster_uid, body, Some(send))).is_ok() {
            let _ = receive.blocking_recv();
        }
    }
}

fn queued(
    cluster_uid: &str,
    body: observation::Body,
    queued: Option<oneshot::Sender<()>>,
) -> QueuedObservation {
    let observation = v1::Observation {
        sequence: 0,
        observed_at_us: nimbus_protocol::to_micros(nimbus_platform::now()),
        cluster_uid: cluster_uid.to_owned(),
        body: Some(body),
    };
    QueuedObservation { observation, queued }
}
