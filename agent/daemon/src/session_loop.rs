//! The session loop: passes events and actions between the spool, the journal's reports, the session's state machine
//! and the connection.
//!
//! It owns the spool, so every observation gets its sequence in one place. Disk work is done on a thread of its own.
//! Jobs, resync requests and a new epoch go to the parts that know what to do with them.

mod road;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nimbus_agent_core::session::{Action, Event, SentReport, Session, Settings, State};
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::v1::{self, agent_frame};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::alive::Alive;
use crate::counters::Counters;
use crate::files::journal::JournalStore;
use crate::files::spool::SpoolStore;
use crate::files::spool_thread::SpoolThread;
use crate::identity::renew::Renewal;
use crate::observation_queue::QueuedObservation;
use crate::pauses::Pauses;
use crate::status::SharedStatus;
use crate::transport::DialError;
use crate::transport::link::{ConnectionId, Events, Link, LinkEvent};
use crate::transport::tls::Tls;
use crate::transport::wire::Ending;
use road::Road;

/// Observations taken from the queue in one go, before the disk is asked.
const GATHER: usize = 256;
/// Events of connections that may wait for the loop.
const LINK_EVENTS: usize = 64;

/// What the loop passes on from the control plane.
#[derive(Debug)]
pub enum ControlMessage {
    /// A job, not believed yet.
    Job(v1::Envelope),
    /// A control plane with this epoch was met.
    Epoch(u64),
}

/// What the loop needs.
#[derive(Debug)]
pub struct Inputs {
    /// `HOST:PORT`.
    pub server: String,
    /// Says who is calling; its sequence and versions are set for each connection.
    pub hello: v1::Hello,
    /// The identity and its renewal.
    pub renewal: Renewal,
    /// The spool.
    pub spool: SpoolStore,
    /// The journal, for the reports in it.
    pub journal: Arc<Mutex<JournalStore>>,
    /// Where disk work is done.
    pub spool_thread: SpoolThread,
    /// What the watchers saw.
    pub observations: mpsc::Receiver<QueuedObservation>,
    /// Refusals that no journal keeps.
    pub refusals: mpsc::Receiver<Box<v1::JobReport>>,
    /// Where jobs and epochs go.
    pub control: mpsc::Sender<ControlMessage>,
    /// Grows whenever everything is to be listed again.
    pub resync: Arc<watch::Sender<u64>>,
    /// Where pauses are kept.
    pub pauses: Arc<Pauses>,
    /// Where status and problems are said.
    pub status: Arc<SharedStatus>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Where it says that it came round.
    pub alive: Arc<Alive>,
    /// Ends the loop.
    pub cancel: CancellationToken,
    /// How long it goes on after that, until the control plane has all that was seen: where the spool ends with this process.
    pub last_words: Duration,
}

struct SessionLoop {
    /// Elsewhere while the spool's thread works on it.
    spool: Option<SpoolStore>,
    journal: Arc<Mutex<JournalStore>>,
    spool_thread: SpoolThread,
    road: Road,
    hello: v1::Hello,
    renewal: Renewal,
    control: mpsc::Sender<ControlMessage>,
    resync: Arc<watch::Sender<u64>>,
    pauses: Arc<Pauses>,
    status: Arc<SharedStatus>,
    counters: Arc<Counters>,
    session: Session,
    started: Instant,
    link: Option<Link>,
    connection: ConnectionId,
    events: Events,
}

/// Runs until cancelled; everything queued by then is in the spool, and, where there is time for it, with the control plane.
pub async fn run(inputs: Inputs) {
    let Inputs { mut observations, mut refusals, alive, cancel, last_words, .. } = inputs;
    let (events, mut happened) = mpsc::channel(LINK_EVENTS);
    let written = inputs.journal.lock().unwrap_or_else(PoisonError::into_inner).written();
    let started = Instant::now();
    let mut this = SessionLoop {
        spool: Some(inputs.spool),
        journal: inputs.journal,
        spool_thread: inputs.spool_thread,
        road: Road::new(inputs.server, started),
        hello: inputs.hello,
        renewal: inputs.renewal,
        control: inputs.control,
        resync: inputs.resync,
        pauses: inputs.pauses,
        status: inputs.status,
        counters: inputs.counters,
        session: Session::new(Settings::default(), Duration::ZERO),
        started,
        link: None,
        connection: ConnectionId::default(),
        events,
    };
    // The last moment, once it is told to end; and that nobody has anything more to say.
    let (mut until, mut drained) = (None, false);
    loop {
        this.act().await;
        let left = until.map(|until: Instant| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero() || (observations.is_empty() && this.has_sent_all())) {
            break;
        }
        let timeout = this.session.next_timeout().saturating_sub(this.started.elapsed());
        let timeout = this.until_probe().map_or(timeout, |probe| timeout.min(probe));
        // A minute at most: the renewal looks at the clock too.
        let timeout = left.map_or(timeout, |left| timeout.min(left));
        let timeout = timeout.clamp(Duration::from_millis(1), Duration::from_mins(1));
        let mut gathered = Vec::new();
        tokio::select! {
            biased;
            () = cancel.cancelled(), if until.is_none() => {
                observations.close();
                until = Some(Instant::now() + last_words);
            }
            // Before what may never end; and only with the spool's thread is it alive.
            () = alive.asked() => {
                if this.disk(|_| ()).await.is_some() {
                    alive.session().beat();
                }
            }
            Some((connection, event)) = happened.recv() => this.link_event(connection, event),
            () = written.notified() => this.handle(Event::ReportsPending),
            Some(report) = refusals.recv() => this.handle(Event::Refusal(report)),
            taken = observations.recv_many(&mut gathered, GATHER), if !drained => {
                if taken == 0 {
                    // Nobody is left who could say anything more: it is told to end, or will be in a moment.
                    drained = true;
                    until.get_or_insert_with(|| Instant::now() + last_words);
                }
                this.queue(gathered).await;
                this.handle(Event::Pending);
            }
            () = tokio::time::sleep(timeout) => this.handle(Event::Timeout),
        }
        this.renew();
        this.probe();
        if this.pauses.is_unkept() {
            this.keep_pause().await;
        }
    }
    observations.close();
    let mut last = Vec::new();
    while observations.recv_many(&mut last, GATHER).await > 0 {
        this.queue(std::mem::take(&mut last)).await;
    }
    if let Some(link) = this.link.take() {
        link.close(CloseCode::ShuttingDown, "agent stops").await;
    }
    this.status.update(|status| status.connected = false);
}

impl SessionLoop {
    fn handle(&mut self, event: Event) {
        self.session.handle(event, self.started.elapsed(), rand::random());
    }

    /// Has the control plane acknowledged every observation in the spool? One that this process lost hold of sends nothing more, and a
    /// control plane that refuses this agent takes nothing.
    fn has_sent_all(&self) -> bool {
        let status = self.status.status();
        status.rejected || status.unknown || self.spool.as_ref().is_none_or(|store| store.get().is_empty())
    }

    /// What happened on the connection; events of an earlier one do not count.
    fn link_event(&mut self, connection: ConnectionId, event: LinkEvent) {
        if connection != self.connection {
            if let LinkEvent::Probed(probed) = event {
                // The connection beside which it was made is over: what it found counts, itself it is not taken.
                self.road.probed_late(&probed);
            }
            return;
        }
        match event {
            LinkEvent::Connected(link) => {
                self.counters.connections.add(1);
                self.road.stands(&link);
                let transport = link.transport();
                self.status.update(|status| transport.clone_into(&mut status.transport));
                self.link = Some(*link);
                let mut hello = self.hello.clone();
                let status = self.status.status();
                hello.cluster_uid = status.cluster_uid;
                hello.cluster_name = status.cluster_name;
                hello.next_sequence = self.spool.as_ref().map_or(0, |store| store.get().next_sequence());
                self.handle(Event::Connected(Box::new(hello)));
            }
            LinkEvent::Frame(frame) => {
                if let Some(v1::server_frame::Body::Refusal(refusal)) = &frame.body
                    && refusal.code != nimbus_protocol::refusal::STANDBY
                {
                    tracing::error!(
                        code = refusal.code,
                        expected = refusal.expected,
                        found = refusal.found,
                        remedy = refusal.remedy,
                        "the control plane refused this agent"
                    );
                    // What says when to come back, and what is wrong with one message, passes.
                    if refusal.code == nimbus_protocol::refusal::CERTIFICATE_ENDED {
                        // By the control plane's clock, whatever this one says.
                        self.status.update(|status| status.unknown = true);
                    }
                    if refusal.retry_after_ms == 0 && refusal.code != "malformed" {
                        let unknown = refusal.code == nimbus_protocol::refusal::UNKNOWN_AGENT;
                        self.status.update(|status| (status.rejected, status.unknown) = (true, unknown));
                    }
                }
                // A heartbeat without a time tells none.
                if let Some(v1::server_frame::Body::Heartbeat(beat)) = &frame.body
                    && beat.at_us > 0
                {
                    self.status.heard_time(nimbus_protocol::from_micros(beat.at_us));
                }
                self.handle(Event::Frame(frame));
            }
            // The session beside which it was made ended just now.
            LinkEvent::Probed(probed) if self.link.is_none() => self.road.probed_late(&probed),
            LinkEvent::Probed(probed) => {
                if self.road.probed(probed) {
                    self.handle(Event::Switched);
                }
            }
            LinkEvent::Closed(ending) => {
                tracing::info!(reason = ending.reason, "not connected");
                self.lost(ending);
            }
        }
    }

    async fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect => self.connect(),
                Action::Send(frame) => self.send(&frame),
                Action::Heartbeat => self.heartbeat(),
                Action::Welcomed(welcome) => self.welcomed(welcome).await,
                Action::Pull { max_observations, max_bytes } => self.pull(max_observations, max_bytes).await,
                Action::Acknowledged(sequence) => {
                    self.disk(move |store| store.acknowledge(sequence)).await;
                }
                Action::PullReports { most, sent } => self.pull_reports(most, sent).await,
                Action::ReportAcknowledged(ack) => self.report_acknowledged(ack).await,
                Action::Job(envelope) => {
                    if self.control.try_send(ControlMessage::Job(envelope)).is_err() {
                        // The control plane sends it again when this agent reconnects, or lets it expire.
                        tracing::error!("too many jobs wait for this agent; one more was not taken");
                    }
                }
                Action::Pause(pause) => self.paused(pause).await,
                Action::Resync(reason) => {
                    tracing::info!(reason, "the control plane asks for everything again");
                    self.resync.send_modify(|count| *count += 1);
                }
                Action::Renewed(response) => self.renewal.take(&response, &self.status),
                Action::Close { code, reason } => {
                    // Events of this connection count no more.
                    self.connection = self.connection.next();
                    self.road.lost(code == CloseCode::Silent);
                    if let Some(link) = self.link.take() {
                        tokio::spawn(async move { link.close(code, &reason).await });
                    }
                }
            }
        }
        let live = *self.session.state() == State::Live;
        let problem = self.session.problem().map(|p| format!("not connected to {}: {p}", self.road.server()));
        self.status.problem("control-plane", problem);
        if self.status.status().connected != live {
            if live {
                tracing::info!(server = self.road.server(), "connected to the control plane");
            }
            self.status.update(|status| status.connected = live);
        }
    }

    /// It holds from here on, whatever the disk says.
    async fn paused(&self, frame: v1::Pause) {
        if self.pauses.hear(&frame) {
            self.keep_pause().await;
        }
    }

    /// Tried again with each round until it is on disk.
    async fn keep_pause(&self) {
        let pauses = self.pauses.clone();
        let kept = tokio::task::spawn_blocking(move || pauses.keep()).await;
        let kept = kept.unwrap_or_else(|error| Err(format!("a pause could not be kept: {error}")));
        self.status.problem("pause", kept.err());
    }

    fn connect(&mut self) {
        self.connection = self.connection.next();
        match self.tls() {
            Ok(tls) => self.road.dial(self.connection, tls, self.events.clone()),
            Err(error) => self.handle(Event::Closed(error.to_string())),
        }
    }

    /// How long until QUIC is to be probed: only beside a session that is live.
    fn until_probe(&self) -> Option<Duration> {
        if *self.session.state() == State::Live { self.road.until_probe() } else { None }
    }

    /// Probes QUIC, when that is due.
    fn probe(&mut self) {
        if self.until_probe().is_some_and(|left| left.is_zero())
            && let Ok(tls) = self.tls()
        {
            self.road.probe(self.connection, tls, self.events.clone());
        }
    }

    fn tls(&self) -> Result<Tls, DialError> {
        let identity = self.renewal.identity();
        Tls::session(identity.ca.clone(), identity.chain.clone(), identity.key.to_der())
    }

    fn lost(&mut self, ending: Ending) {
        self.link = None;
        self.road.lost(ending.silent);
        if ending.expired {
            // By the control plane's clock, whatever this one says.
            self.status.update(|status| status.unknown = true);
        }
        self.handle(Event::Closed(ending.reason));
    }

    fn heartbeat(&mut self) {
        let at_us = nimbus_protocol::to_micros(nimbus_platform::now());
        let body = agent_frame::Body::Heartbeat(v1::Heartbeat { at_us });
        self.send(&v1::AgentFrame { body: Some(body) });
    }

    fn send(&mut self, frame: &v1::AgentFrame) {
        let sent = self.link.as_ref().is_some_and(|link| link.send(frame));
        if !sent && self.link.is_some() {
            self.lost(Ending::by("the control stream does not take more"));
        }
    }

    async fn welcomed(&mut self, welcome: v1::Welcome) {
        self.status.update(|status| (status.rejected, status.unknown) = (false, false));
        // The answer tells the control plane's time, by which jobs are judged.
        self.heartbeat();
        let acknowledged = welcome.acknowledged;
        self.disk(move |store| store.welcome(acknowledged)).await;
        if self.control.try_send(ControlMessage::Epoch(welcome.epoch)).is_err() {
            tracing::warn!("the new epoch is noted with the next job");
        }
        let opened = match &mut self.link {
            Some(link) => link.open_data().await,
            None => Ok(()),
        };
        if let Err(ending) = opened {
            self.lost(ending);
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
        } else if self.link.is_some() {
            self.lost(Ending::by("the data stream does not take more"));
        } else {
            self.handle(Event::NothingPending);
        }
    }

    async fn pull_reports(&mut self, most: usize, sent: Vec<SentReport>) {
        let reports = self.with_journal(move |store| {
            store.get().unacknowledged(most, |report| sent.iter().any(|sent| sent.is(report)))
        });
        let reports = reports.await.unwrap_or_default();
        self.handle(Event::Reports(reports));
    }

    async fn report_acknowledged(&mut self, ack: v1::JobReportAck) {
        let Ok(job_id) = ack.job_id.parse() else { return };
        let dropped = self
            .with_journal(move |store| store.change(|journal| journal.acknowledge(job_id, ack.phase())))
            .await;
        if let Some(Err(problem)) = dropped {
            // It is sent once more after a restart, and counts once.
            tracing::warn!(problem, "that a report was acknowledged is not on disk yet");
        }
    }

    /// Works on the journal on the spool's thread: every blocking thread may be waiting for this loop.
    async fn with_journal<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut JournalStore) -> T + Send + 'static,
    ) -> Option<T> {
        let journal = self.journal.clone();
        let work = move || work(&mut journal.lock().unwrap_or_else(PoisonError::into_inner));
        self.spool_thread.run(work).await
    }

    async fn queue(&mut self, observations: Vec<QueuedObservation>) {
        self.disk(move |store| {
            for QueuedObservation { observation, queued } in observations {
                store.push(observation);
                if let Some(asked) = queued {
                    let _ = asked.send(());
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
        let mut store = self.spool.take()?;
        let done = self.spool_thread.run(move || {
            let result = work(&mut store);
            (store, result)
        });
        let Some((store, result)) = done.await else {
            let text = "expected the spool's thread to answer, found it ended; restart the agent, nothing stored is lost";
            self.status.problem("spool-stopped", Some(text.to_owned()));
            return None;
        };
        self.figures(&store);
        self.spool = Some(store);
        Some(result)
    }

    fn figures(&mut self, store: &SpoolStore) {
        let spool = store.get();
        self.counters.spool_observations.set(spool.len() as u64);
        self.counters.spool_bytes.set(spool.bytes());
        self.counters.spool_dropped.set(spool.dropped());
        self.status.problem("spool", store.problem().map(str::to_owned));
        let dropped = spool.dropped();
        if self.status.status().dropped != dropped {
            self.status.update(|status| status.dropped = dropped);
        }
    }

    /// What is due from time to time while a session is live.
    fn renew(&mut self) {
        if *self.session.state() != State::Live {
            return;
        }
        // State that the spool had to drop is listed again; without a session it would only fill the spool again.
        if self.spool.as_mut().is_some_and(|store| store.get_mut().take_needs_resync()) {
            self.resync.send_modify(|count| *count += 1);
        }
        if let Some(request) = self.renewal.due(self.status.job_time(), nimbus_platform::monotonic()) {
            let body = agent_frame::Body::Renew(request);
            self.send(&v1::AgentFrame { body: Some(body) });
        }
    }
}
