//! Where the parts put what they saw and did; the hub queues it in the spool, in order.

use nimbus_protocol::v1::{self, observation};
use tokio::sync::{mpsc, oneshot};

use crate::clock;

/// Observations that may wait for the hub; a part that sees more waits, so a flood costs no memory.
const QUEUE: usize = 1_024;

/// One observation on its way to the spool.
#[derive(Debug)]
pub struct Item {
    /// What was seen; its sequence is set by the spool.
    pub observation: v1::Observation,
    /// Told true once it is on disk, false when it is in memory only.
    pub written: Option<oneshot::Sender<bool>>,
}

/// The parts' end.
#[derive(Debug, Clone)]
pub struct Outbox(mpsc::Sender<Item>);

impl Outbox {
    /// Both ends.
    pub fn new() -> (Self, mpsc::Receiver<Item>) {
        let (send, receive) = mpsc::channel(QUEUE);
        (Self(send), receive)
    }

    /// Queues state. Waits while the queue is full; does nothing once the agent stops.
    pub async fn observe(&self, cluster_uid: &str, body: observation::Body) {
        let _ = self.0.send(item(cluster_uid, body, None)).await;
    }

    /// Queues state and waits until the hub has taken it: what is queued afterwards has a later sequence.
    pub async fn observe_now(&self, cluster_uid: &str, body: observation::Body) {
        self.written(cluster_uid, body).await;
    }

    /// Queues a job report and waits. True once it is on disk; false when it is in memory only (a full disk) or the
    /// agent stops.
    pub async fn report(&self, cluster_uid: &str, report: v1::JobReport) -> bool {
        self.written(cluster_uid, observation::Body::JobReport(report)).await
    }

    /// As [`Outbox::observe_now`], from a blocking thread.
    pub fn observe_now_blocking(&self, cluster_uid: &str, body: observation::Body) {
        let (send, receive) = oneshot::channel();
        if self.0.blocking_send(item(cluster_uid, body, Some(send))).is_ok() {
            let _ = receive.blocking_recv();
        }
    }

    async fn written(&self, cluster_uid: &str, body: observation::Body) -> bool {
        let (send, receive) = oneshot::channel();
        if self.0.send(item(cluster_uid, body, Some(send))).await.is_err() {
            return false;
        }
        receive.await.unwrap_or(false)
    }
}

fn item(cluster_uid: &str, body: observation::Body, written: Option<oneshot::Sender<bool>>) -> Item {
    let observation = v1::Observation {
        sequence: 0,
        observed_at_us: clock::now_us(),
        cluster_uid: cluster_uid.to_owned(),
        body: Some(body),
    };
    Item { observation, written }
}
