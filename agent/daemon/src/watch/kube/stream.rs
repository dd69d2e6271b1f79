//! One kind of object: lists it in pages, follows it with bookmarks, lists again when the API server forgot (410).
//!
//! The first listing of a term is bracketed by SyncMarks and sends everything; a later one of the same term sends only
//! what differs from what was sent, and what is gone.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use nimbus_agent_core::observe::kube::Slim;
use nimbus_agent_core::observe::seen::Seen;
use nimbus_protocol::v1::{self, observation, sync_mark};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cordons::Cordons;
use super::watched::Watched;
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

/// Objects asked for in one page of a list. A page is held as text while it is read: a few kilobytes an object, so this
/// is what decides how much memory a listing takes at its peak.
const PAGE: u32 = 100;
/// First and longest wait after an error.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What every kind's stream needs.
#[derive(Clone)]
pub struct Follow {
    /// The API server.
    pub client: Client,
    /// Which cluster.
    pub cluster_uid: String,
    /// The term of the lease under which this is watched.
    pub term: u64,
    /// Where observations go.
    pub outbox: ObservationQueue,
    /// Where problems are said.
    pub board: Arc<SharedStatus>,
    /// Grows whenever everything is to be listed again.
    pub resync: watch::Receiver<u64>,
    /// Told the kind once its first listing is complete.
    pub synced: Arc<watch::Sender<Vec<&'static str>>>,
    /// Own cordons that were seen.
    pub cordons: Arc<Cordons>,
    /// The end of the term.
    pub cancel: CancellationToken,
}

struct Stream<T> {
    follow: Follow,
    seen: Seen,
    bracketed: bool,
    of: std::marker::PhantomData<T>,
}

/// Follows all objects of one kind until the term ends.
pub async fn run<T: Slim>(mut follow: Follow) {
    follow.resync.mark_unchanged();
    let cancel = follow.cancel.clone();
    let mut stream =
        Stream::<T> { follow, seen: Seen::new(T::KIND), bracketed: true, of: std::marker::PhantomData };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = stream.forever() => {}
    }
}

impl<T: Slim> Stream<T> {
    async fn forever(&mut self) {
        loop {
            let api: Api<Watched<T>> = Api::all(self.follow.client.clone());
            let config = watcher::Config::default().page_size(PAGE);
            let events = watcher::watcher(api, config);
            let mut events = std::pin::pin!(events);
            let mut wait = BACKOFF.0;
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    changed = self.follow.resync.changed() => {
                        if changed.is_err() { return }
                        self.bracketed = true;
                        break;
                    }
                };
                match event {
                    Some(Ok(event)) => {
                        wait = BACKOFF.0;
                        self.follow.board.problem(&Self::key(), None);
                        self.event(event).await;
                    }
                    Some(Err(error)) => {
                        self.say(&error);
                        tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                        wait = (wait * 2).min(BACKOFF.1);
                    }
                    None => break,
                }
            }
        }
    }

    async fn event(&mut self, event: Event<Watched<T>>) {
        match event {
            Event::Init => {
                if self.bracketed {
                    self.seen.clear();
                    self.mark(sync_mark::Phase::Begin).await;
                }
                self.seen.begin_relist();
            }
            Event::InitApply(watched) | Event::Apply(watched) => {
                let body = watched.object.observe();
                if let observation::Body::Node(node) = &body {
                    self.follow.cordons.note(node);
                }
                if self.seen.changed(&watched.object.meta().uid, &body) {
                    self.send(body).await;
                }
            }
            Event::Delete(watched) => {
                self.seen.forget(&watched.object.meta().uid);
                self.send(observation::Body::Gone(watched.object.gone())).await;
            }
            Event::InitDone => {
                let vanished = self.seen.end_relist();
                if self.bracketed {
                    self.mark(sync_mark::Phase::End).await;
                    self.bracketed = false;
                } else {
                    for gone in vanished.gone {
                        self.send(observation::Body::Gone(gone)).await;
                    }
                }
                self.follow.synced.send_if_modified(|kinds| {
                    let new = !kinds.contains(&T::KIND);
                    if new {
                        kinds.push(T::KIND);
                    }
                    new
                });
            }
        }
    }

    async fn mark(&self, phase: sync_mark::Phase) {
        self.send(observation::Body::Sync(v1::SyncMark {
            kind: T::KIND.to_owned(),
            phase: phase.into(),
            lease_term: self.follow.term,
        }))
        .await;
    }

    async fn send(&self, body: observation::Body) {
        self.follow.outbox.observe(&self.follow.cluster_uid, body).await;
    }

    fn say(&self, error: &watcher::Error) {
        if let watcher::Error::WatchError(status) = error
            && status.code == 410
        {
            tracing::info!(kind = T::KIND, "the API server forgot where this watch stood; listing again");
            return;
        }
        let forbidden = matches!(
            error,
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 403
        );
        let remedy = if forbidden {
            "give this agent's account the ClusterRole to list and watch them"
        } else {
            "it is tried again; what was seen before may be out of date"
        };
        let text = format!(
            "expected to watch every {} of the cluster, found: {}; {remedy}",
            T::KIND,
            super::client::chain(error)
        );
        self.follow.board.problem(&Self::key(), Some(text));
    }

    fn key() -> String {
        format!("watch-{}", T::KIND)
    }
}
