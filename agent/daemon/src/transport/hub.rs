//! The loop between the spool, the session's decisions and the wire.
//!
//! It owns the spool, so every observation gets its sequence in one place. Disk work is done on a thread of its own.
//! Orders, resync requests and a new epoch go to the parts that know what to do with them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_agent_core::session::{Action, Event, Session, Settings, State};
use nimbus_protocol::v1::{self, agent_frame};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::link::{self, Link, Numbered, Word};
use super::quic;
use crate::board::Board;
use crate::clock;
use crate::counters::Counters;
use crate::files::spool::SpoolStore;
use crate::identity::renew::Renewal;
use crate::outbox::Item;

/// Observations taken from the queue in one go, before the disk is asked.
const GATHER: usize = 256;
/// Words of connections that may wait for the hub.
const WORDS: usize = 64;

/// What the hub passes on.
#[derive(Debug)]
pub enum Order {
    /// A job, not believed yet.
    Job(v1::Envelope),
    /// A control plane with this epoch was met.
    Epoch(u64),
}

/// What the hub needs.
#[derive(Debug)]
pub struct Parts {
    /// `HOST:PORT`.
    pub server: String,
    /// Says who is calling; its sequence and versions are set for each connection.
    pub hello: v1::Hello,
    /// The identity and its renewal.
    pub renewal: Renewal,
    /// The spool.
    pub store: SpoolStore,
    /// Where the spool's disk work is done.
    pub desk: Desk,
    /// What the parts saw.
    pub items: mpsc::Receiver<Item>,
    /// Where orders go.
    pub orders: mpsc::Sender<Order>,
    /// Grows whenever everything is to be listed again.
    pub resync: Arc<watch::Sender<u64>>,
    /// Where status and problems are said.
    pub board: Arc<Board>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Ends the loop.
    pub cancel: CancellationToken,
}

struct Hub {
    parts: Option<SpoolStore>,
    desk: Desk,
    server: String,
    hello: v1::Hello,
    renewal: Renewal,
    orders: mpsc::Sender<Order>,
    resync: Arc<watch::Sender<u64>>,
    board: Arc<Board>,
    counters: Arc<Counters>,
    session: Session,
    started: Instant,
    link: Option<Link>,
    number: u64,
    words: mpsc::Sender<Numbered>,
}

/// Runs until cancelled; everything queued by then is in the spool.
pub async fn run(parts: Parts) {
    let Parts { server, hello, renewal, store, desk, mut items, orders, resync, board, counters, cancel } =
        parts;
    let (words, mut heard) = mpsc::channel(WORDS);
    let mut hub = Hub {
        parts: Some(store),
        desk,
        server,
        hello,
        renewal,
        orders,
        resync,
        board,
        counters,
        session: Session::new(Settings::default(), Duration::ZERO),
        started: Instant::now(),
        link: None,
        number: 0,
        words,
    };
    loop {
        hub.act().await;
        let timeout = hub.session.next_timeout().saturating_sub(hub.started.elapsed());
        // A minute at most: the renewal looks at the clock too.
        let timeout = timeout.clamp(Duration::from_millis(1), Duration::from_mins(1));
        let mut gathered = Vec::new();
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            Some((number, word)) = heard.recv() => hub.word(number, word),
            taken = items.recv_many(&mut gathered, GATHER) => {
                if taken == 0 { break }
                hub.queue(gathered).await;
                hub.handle(Event::Pending);
            }
            () = tokio::time::sleep(timeout) => hub.handle(Event::Timeout),
        }
        hub.renew();
    }
    items.close();
    let mut last = Vec::new();
    while items.recv_many(&mut last, GATHER).await > 0 {
        hub.queue(std::mem::take(&mut last)).await;
    }
    if let Some(link) = hub.link.take() {
        link.close(quic::CLOSE_SHUTTING_DOWN.into_inner().try_into().unwrap_or(0), "agent stops").await;
    }
    hub.board.update(|status| status.connected = false);
}

impl Hub {
    fn handle(&mut self, event: Event) {
        self.session.handle(event, self.started.elapsed(), rand::random());
    }

    /// A word of a connection; those of an earlier one are not heard.
    fn word(&mut self, number: u64, word: Word) {
        if number != self.number {
            return;
        }
        match word {
            Word::Up(link) => {
                self.counters.connections.add(1);
                self.link = Some(*link);
                let mut hello = self.hello.clone();
                let status = self.board.status();
                hello.cluster_uid = status.cluster_uid;
                hello.cluster_name = status.cluster_name;
                hello.next_sequence = self.parts.as_ref().map_or(0, |store| store.get().next_sequence());
                self.handle(Event::Connected(Box::new(hello)));
            }
            Word::Frame(frame) => {
                if let Some(v1::server_frame::Body::Refusal(refusal)) = &frame.body {
                    tracing::error!(
                        code = refusal.code,
                        expected = refusal.expected,
                        found = refusal.found,
                        remedy = refusal.remedy,
                        "the control plane refused this agent"
                    );
                    // What says when to come back, and what is wrong with one message, passes.
                    if refusal.retry_after_ms == 0 && refusal.code != "malformed" {
                        self.board.update(|status| status.turned_away = true);
                    }
                }
                self.handle(Event::Frame(frame));
            }
            Word::Down(reason) => {
                tracing::info!(reason, "not connected");
                self.link = None;
                self.handle(Event::Closed(reason));
            }
        }
    }

    async fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect => self.connect(),
                Action::Send(frame) => self.send(&frame),
                Action::Heartbeat => {
                    let body = agent_frame::Body::Heartbeat(v1::Heartbeat { at_us: clock::now_us() });
                    self.send(&v1::AgentFrame { body: Some(body) });
                }
                Action::Welcomed(welcome) => self.welcomed(welcome).await,
                Action::Pull { max_observations, max_bytes } => self.pull(max_observations, max_bytes).await,
                Action::Acknowledged(sequence) => {
                    self.disk(move |store| store.acknowledge(sequence)).await;
                }
                Action::Job(envelope) => {
                    if self.orders.try_send(Order::Job(envelope)).is_err() {
                        // The control plane sends it again when this agent reconnects, or lets it expire.
                        tracing::error!("too many jobs wait for this agent; one more was not taken");
                    }
                }
                Action::Resync(reason) => {
                    tracing::info!(reason, "the control plane asks for everything again");
                    self.resync.send_modify(|count| *count += 1);
                }
                Action::Renewed(response) => self.renewal.take(&response, &self.board),
                Action::Close { code, reason } => {
                    // Words of this connection count no more.
                    self.number += 1;
                    if let Some(link) = self.link.take() {
                        tokio::spawn(async move { link.close(code, &reason).await });
                    }
                }
            }
        }
        let live = *self.session.state() == State::Live;
        let problem = self.session.problem().map(|p| format!("not connected to {}: {p}", self.server));
        self.board.problem("control-plane", problem);
        if self.board.status().connected != live {
            if live {
                tracing::info!(server = self.server, "connected to the control plane");
            }
            self.board.update(|status| status.connected = live);
        }
    }

    fn connect(&mut self) {
        self.number += 1;
        match quic::session_config(self.renewal.identity()) {
            Ok(config) => {
                tokio::spawn(link::dial(self.number, self.server.clone(), config, self.words.clone()));
            }
            Err(error) => self.handle(Event::Closed(error.to_string())),
        }
    }

    fn send(&mut self, frame: &v1::AgentFrame) {
        let sent = self.link.as_ref().is_some_and(|link| link.send(frame));
        if !sent && self.link.take().is_some() {
            self.handle(Event::Closed("the control stream does not take more".to_owned()));
        }
    }

    async fn welcomed(&mut self, welcome: v1::Welcome) {
        self.board.update(|status| status.turned_away = false);
        let acknowledged = welcome.acknowledged;
        self.disk(move |store| store.welcome(acknowledged)).await;
        if self.orders.try_send(Order::Epoch(welcome.epoch)).is_err() {
            tracing::warn!("the new epoch is noted with the next job");
        }
        let opened = match &mut self.link {
            Some(link) => link.open_data().await,
            None => Ok(()),
        };
        if let Err(reason) = opened {
            self.link = None;
            self.handle(Event::Closed(reason));
        }
    }

    async fn pull(&mut self, max_observations: usize, max_bytes: usize) {
        let batch = self.disk(move |store| store.next_frame(max_observations, max_bytes)).await;
        let Some(batch) = batch.flatten() else {
            self.handle(Event::NothingPending);
            return;
        };
        if self.link.as_ref().is_some_and(|link| link.send_data(batch.frame)) {
            self.counters.observations_sent.add(batch.count);
            self.handle(Event::BatchSent(batch.last));
        } else if self.link.take().is_some() {
            self.handle(Event::Closed("the data stream does not take more".to_owned()));
        } else {
            self.handle(Event::NothingPending);
        }
    }

    async fn queue(&mut self, items: Vec<Item>) {
        self.disk(move |store| {
            for item in items {
                let written = store.push(item.observation);
                if let Some(asked) = item.written {
                    let _ = asked.send(written);
                }
            }
        })
        .await;
    }

    /// Works on the spool on its own thread. `None` only where that thread could not finish, which is said.
    async fn disk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut SpoolStore) -> T + Send + 'static,
    ) -> Option<T> {
        let mut store = self.parts.take()?;
        let done = self.desk.run(move || {
            let result = work(&mut store);
            (store, result)
        });
        let Some((store, result)) = done.await else {
            let text = "expected the spool's thread to answer, found it ended; restart the agent, nothing stored is lost";
            self.board.problem("spool-stopped", Some(text.to_owned()));
            return None;
        };
        self.figures(&store);
        self.parts = Some(store);
        Some(result)
    }

    fn figures(&mut self, store: &SpoolStore) {
        let spool = store.get();
        self.counters.spool_observations.set(spool.len() as u64);
        self.counters.spool_bytes.set(spool.bytes());
        self.counters.spool_dropped.set(spool.dropped());
        self.board.problem("spool", store.problem().map(str::to_owned));
        let dropped = spool.dropped();
        if self.board.status().dropped != dropped {
            self.board.update(|status| status.dropped = dropped);
        }
    }

    /// What is due from time to time while a session is live.
    fn renew(&mut self) {
        if *self.session.state() != State::Live {
            return;
        }
        // State that the spool had to drop is listed again; without a session it would only fill the spool again.
        if self.parts.as_mut().is_some_and(|store| store.get_mut().take_needs_resync()) {
            self.resync.send_modify(|count| *count += 1);
        }
        if let Some(request) = self.renewal.due(clock::now()) {
            let body = agent_frame::Body::Renew(request);
            self.send(&v1::AgentFrame { body: Some(body) });
        }
    }
}

#[cfg(test)]
mod tests {
    use nimbus_agent_core::spool::Limits;
    use nimbus_protocol::v1::observation;

    use super::*;
    use crate::identity::Identity;
    use crate::identity::key::AgentKey;
    use crate::outbox::Outbox;

    fn parts(dir: &std::path::Path, items: mpsc::Receiver<Item>, cancel: CancellationToken) -> Parts {
        // Nobody is to be reached: what is seen goes to the spool all the same.
        let identity = Identity {
            agent_id: "agt_00000000000000000000000000000001".parse().unwrap(),
            name: String::new(),
            kind: String::new(),
            key: AgentKey::generate().unwrap(),
            chain: Vec::new(),
            ca: Vec::new().into(),
            job_keys: Vec::new(),
        };
        Parts {
            server: "127.0.0.1:1".to_owned(),
            hello: v1::Hello::default(),
            renewal: Renewal::new(identity, dir.to_owned()),
            store: SpoolStore::open(dir, Limits::default()).unwrap(),
            desk: Desk::start().unwrap(),
            items,
            orders: mpsc::channel(1).0,
            resync: Arc::new(watch::Sender::new(0)),
            board: Arc::default(),
            counters: Arc::default(),
            cancel,
        }
    }

    #[test]
    fn the_spool_is_written_while_every_blocking_thread_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = crate::runtime().unwrap();
        let (outbox, items) = Outbox::new();
        let cancel = CancellationToken::new();
        let hub = runtime.spawn(run(parts(dir.path(), items, cancel.clone())));
        let together = Arc::new(std::sync::Barrier::new(crate::BLOCKING));
        let written = runtime.block_on(async {
            let waiting: Vec<_> = (0..crate::BLOCKING)
                .map(|_| {
                    let (outbox, together) = (outbox.clone(), together.clone());
                    tokio::task::spawn_blocking(move || {
                        together.wait();
                        outbox.observe_now_blocking("", observation::Body::Host(v1::Host::default()));
                    })
                })
                .collect();
            tokio::time::timeout(Duration::from_secs(20), futures::future::join_all(waiting)).await.is_ok()
        });
        if written {
            cancel.cancel();
            runtime.block_on(hub).unwrap();
        }
        // Dropping it would wait for threads that wait for each other.
        runtime.shutdown_background();
        assert!(written, "the threads wait for the spool, and the spool for a thread");
    }
}
