//! Runs one session: feeds events from its streams, the log writer, the tasks and the clock to the state machine, and
//! carries out the actions that it returns.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use nimbus_control_core::gateway::{
    Action, Admission, CheckedBatch, CloseReason, Event, Session, SessionEnd, Stored, Stream,
};
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::server_frame::Body;
use nimbus_protocol::{to_micros, v1};
use nimbus_store::NewBatch;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::admission::{Registered, enter};
use super::frames::{FrameReader, FrameWriter, ReadFrameError};
use super::ingest_writer::Stopped;
use super::wire::{Connection, FrameSink, FrameSource, Gone};
use super::{Gateway, Slot, reject, renew};
use crate::belief::Belief;
use crate::ca::{self, Peer};
use crate::documents::Paused;
use crate::log_payload::pack;

type Reading = Result<Option<v1::AgentFrame>, ReadFrameError>;
/// Both ends of the data stream.
pub type DataStream = (FrameReader, FrameWriter);
type Submission = Result<oneshot::Receiver<Stored>, Stopped>;

/// What a look into the store brought.
enum Answer<'a> {
    /// The agent came in.
    Entered(Registered<'a>, Admission),
    /// Anything else.
    Event(Event),
}

/// One session on its way between the machine and everything else.
pub struct Carrier<'a> {
    gateway: &'a Gateway,
    connection: &'a Connection,
    peer: Peer,
    machine: Session,
    began: Instant,
    /// When the certificate that it came with ends, or the newest that was made over it; and the same by this process's own clock,
    /// which nobody sets back.
    certified_until: (Timestamp, Instant),
    control: (FrameReader, FrameWriter),
    data: Option<DataStream>,
    /// Held until the agent is welcome.
    handshake: Option<Slot>,
    registered: Option<Registered<'a>>,
    /// The store's answer to a hello or a renewal.
    answer: Option<BoxFuture<'a, Answer<'a>>>,
    /// A batch on its way into the writer's queue: one at a time, so that they keep their order.
    submission: Option<BoxFuture<'static, Submission>>,
    stored: FuturesOrdered<oneshot::Receiver<Stored>>,
    reports: FuturesUnordered<BoxFuture<'static, Option<v1::JobReportAck>>>,
    /// Who is paused, and what this agent was told of it last.
    paused: watch::Receiver<Option<Arc<Paused>>>,
    told: Option<v1::Pause>,
}

impl<'a> Carrier<'a> {
    /// The session of `peer`, which opened its control stream and has `patience` for its hello.
    pub fn new(
        gateway: &'a Gateway,
        connection: &'a Connection,
        peer: Peer,
        (sink, source): (FrameSink, FrameSource),
        handshake: Slot,
        patience: Duration,
    ) -> Self {
        Self {
            gateway,
            connection,
            machine: Session::new(peer.agent, patience, Duration::ZERO),
            certified_until: (peer.ends_at, until(gateway, peer.ends_at)),
            peer,
            began: Instant::now(),
            control: (FrameReader::new(source), FrameWriter::new(sink)),
            data: None,
            handshake: Some(handshake),
            registered: None,
            answer: None,
            submission: None,
            stored: FuturesOrdered::new(),
            reports: FuturesUnordered::new(),
            paused: gateway.app.documents.paused(),
            told: None,
        }
    }

    /// Carries until the session ends; the control stream is returned so that the refusal can still be sent, and the data stream
    /// because its end would come before that, and be taken for the session's.
    pub async fn run(mut self) -> (SessionEnd, FrameWriter, Option<DataStream>) {
        loop {
            while let Some(action) = self.machine.poll_action() {
                if let Some(end) = self.act(action) {
                    return (end, self.control.1, self.data);
                }
            }
            if let Some(event) = self.next().await {
                self.machine.handle(event, self.began.elapsed());
            }
        }
    }

    /// Does what the machine wants. Returns the end, when it wants that.
    fn act(&mut self, action: Action) -> Option<SessionEnd> {
        let gateway = self.gateway;
        match action {
            Action::Admit(hello) => {
                let peer = self.peer.clone();
                let from = (self.connection.remote_address(), self.connection.transport());
                let entering = async move {
                    match enter(gateway, &peer, from, *hello).await {
                        Ok((registered, admission)) => Answer::Entered(registered, admission),
                        Err(end) => Answer::Event(Event::End(end)),
                    }
                };
                self.answer = Some(entering.boxed());
            }
            Action::Send(stream, frame) => return self.send(stream, &frame),
            Action::Heartbeat => {
                let at_us = to_micros(gateway.app.now());
                let body = Some(Body::Heartbeat(v1::Heartbeat { at_us }));
                return self.send(Stream::Control, &v1::ServerFrame { body });
            }
            Action::Store(batch) => self.store(batch),
            Action::StoreReport(report) => return self.store_report(*report),
            Action::Renew(request) => {
                let agent = self.peer.agent;
                let renewing = async move {
                    Answer::Event(match renew::renew(&gateway.app, agent, &request).await {
                        Ok(response) => Event::Renewed(response),
                        Err(end) => Event::End(end),
                    })
                };
                self.answer = Some(renewing.boxed());
            }
            Action::End(end) => return Some(end),
        }
        None
    }

    fn send(&mut self, stream: Stream, frame: &v1::ServerFrame) -> Option<SessionEnd> {
        let writer = match stream {
            Stream::Control => Some(&mut self.control.1),
            // A batch that is acknowledged came on this stream.
            Stream::Data => self.data.as_mut().map(|(_, writer)| writer),
        };
        let pushed = writer.map_or(Ok(()), |writer| writer.push(frame));
        pushed.err().map(|error| SessionEnd::Disconnected(error.to_string()))
    }

    fn store(&mut self, checked: CheckedBatch) {
        let CheckedBatch { batch, first, last, count, .. } = checked;
        if let Some(registered) = &self.registered {
            let stats = &registered.registration.stats;
            stats.observations.fetch_add(u64::from(count), Ordering::Relaxed);
        }
        let (agent, received_at, payload) = (self.peer.agent, self.gateway.app.now(), pack(&batch));
        let row = NewBatch { agent, first, last, count, received_at, payload };
        let writer = self.gateway.writer.clone();
        self.submission = Some(async move { writer.submit(row).await }.boxed());
    }

    fn store_report(&mut self, report: v1::JobReport) -> Option<SessionEnd> {
        let (job_id, phase) = (report.job_id.clone(), report.phase);
        let ack = v1::JobReportAck { job_id, phase, envelope_sha256: report.envelope_sha256.clone() };
        match self.gateway.app.reports.submit(self.peer.agent, report) {
            Ok(committed) => {
                self.reports.push(async move { committed.await.ok().map(|()| ack) }.boxed());
                self.gateway.app.wake.engine();
                None
            }
            Err(full) => Some(SessionEnd::overloaded("fewer reports of all agents", full.to_string())),
        }
    }

    /// Waits for what happens next; `None` when it is no news for the machine.
    async fn next(&mut self) -> Option<Event> {
        // First: what a peer sends without a pause must not keep it in.
        let (ends_at, certified_until) = self.certified_until;
        if Instant::now() >= certified_until || self.gateway.app.now() >= ends_at {
            return Some(Event::End(SessionEnd::certificate_ended(ends_at)));
        }
        let Self { gateway, machine, control: (control_in, control_out), data, registered, .. } = self;
        let timeout = machine.next_timeout().map(|at| self.began + at);
        let may_read_control = machine.may_read_control() && control_out.has_room();
        let may_read_data = machine.may_read_data() && self.submission.is_none();
        let is_admitted = registered.is_some();
        let registration = registered.as_mut().map(|registered| &mut registered.registration);
        let (close, jobs) = registration.map(|r| (&mut r.close, &mut r.jobs)).unzip();
        let happened = tokio::select! {
            biased;
            why = when_present(close.map(|close| close.wait_for(Option::is_some))) => {
                // The sender lives in the registry until the session is removed.
                let why = why.ok().and_then(|why| *why);
                return Some(Event::Close(why.unwrap_or(CloseReason::ShuttingDown)));
            }
            answer = when_present(self.answer.as_mut()) => CarrierEvent::Answer(answer),
            // Before any job that waits: what was paused is paused for it too.
            pause = next_pause(&mut self.paused, self.peer.agent, &mut self.told), if is_admitted && machine.may_read_control() => {
                return Some(Event::Pause(pause));
            }
            // What was put there before may be a job.
            error = while_leading(&gateway.app.belief, control_out.drain()) => {
                return Some(error.map_or(Event::Close(CloseReason::ShuttingDown), |error| disconnected(&error)));
            }
            job = when_present(jobs.map(mpsc::Receiver::recv)), if may_read_control => {
                // One that stood still may have lost the lead since it committed this job.
                if !gateway.app.belief.holds(nimbus_platform::since_boot()) {
                    return Some(Event::Close(CloseReason::ShuttingDown));
                }
                return Some(job.map_or(Event::Close(CloseReason::Replaced), Event::Job));
            }
            ack = self.reports.next(), if !self.reports.is_empty() => {
                return Some(ack.flatten().map_or_else(stopped, Event::ReportStored));
            }
            frame = control_in.next::<v1::AgentFrame>(), if may_read_control => CarrierEvent::Read(Stream::Control, frame),
            stored = self.stored.next(), if !self.stored.is_empty() => CarrierEvent::Stored(stored.and_then(Result::ok)),
            submission = when_present(self.submission.as_mut()) => CarrierEvent::Submitted(submission),
            streams = self.connection.accept(), if is_admitted && data.is_none() => CarrierEvent::Opened(streams),
            read = serve_data(data.as_mut(), may_read_data) => match read {
                Ok(frame) => CarrierEvent::Read(Stream::Data, frame),
                Err(event) => return Some(event),
            },
            () = when_present(timeout.map(tokio::time::sleep_until)) => return Some(Event::Timeout),
            // Looked at above.
            () = tokio::time::sleep_until(certified_until) => return None,
        };
        self.handle(happened)
    }

    fn handle(&mut self, event: CarrierEvent<'a>) -> Option<Event> {
        match event {
            CarrierEvent::Answer(answer) => {
                self.answer = None;
                match answer {
                    Answer::Entered(registered, admission) => {
                        self.registered = Some(registered);
                        self.handshake = None;
                        self.gateway.app.wake.engine();
                        Some(Event::Admitted(admission))
                    }
                    Answer::Event(event) => {
                        if let Event::Renewed(response) = &event {
                            let made = response.certificate_chain_der.first();
                            if let Some(Ok(peer)) = made.map(|leaf| ca::peer(leaf)) {
                                self.certified_until = (peer.ends_at, until(self.gateway, peer.ends_at));
                            }
                        }
                        Some(event)
                    }
                }
            }
            CarrierEvent::Read(stream, frame) => Some(self.read(stream, frame)),
            CarrierEvent::Opened(Ok((sink, source))) => {
                self.data = Some((FrameReader::new(source), FrameWriter::new(sink)));
                None
            }
            CarrierEvent::Opened(Err(error)) => Some(disconnected(&error)),
            CarrierEvent::Submitted(submission) => {
                self.submission = None;
                match submission {
                    Ok(stored) => {
                        self.stored.push_back(stored);
                        None
                    }
                    Err(Stopped) => Some(stopped()),
                }
            }
            CarrierEvent::Stored(Some(stored)) => {
                self.gateway.app.metrics.gaps.increment(u64::from(stored.gap));
                Some(Event::Stored(stored))
            }
            CarrierEvent::Stored(None) => Some(stopped()),
        }
    }

    fn read(&mut self, stream: Stream, frame: Reading) -> Event {
        if let Some(registered) = &self.registered {
            let stats = &registered.registration.stats;
            stats.seen(self.gateway.app.now());
            if let Some((reader, _)) = &self.data {
                stats.bytes.store(reader.bytes, Ordering::Relaxed);
            }
        }
        match frame {
            Ok(Some(frame)) => Event::Frame(stream, Box::new(frame)),
            Ok(None) => Event::End(SessionEnd::Closed(CloseCode::Done)),
            Err(error) => Event::End(reject::unreadable(error)),
        }
    }
}

/// What happened that the carrier itself has to take note of.
enum CarrierEvent<'a> {
    Answer(Answer<'a>),
    Read(Stream, Reading),
    Opened(Result<(FrameSink, FrameSource), Gone>),
    Submitted(Submission),
    /// `None` when the writer stopped before.
    Stored(Option<Stored>),
}

/// Serves the data stream until something was read off it (only if `may_read_data`), or it cannot be written.
async fn serve_data(
    data: Option<&mut (FrameReader, FrameWriter)>,
    may_read_data: bool,
) -> Result<Reading, Event> {
    let Some((reader, writer)) = data else { return std::future::pending().await };
    let may_read_data = may_read_data && writer.has_room();
    tokio::select! {
        biased;
        error = writer.drain() => Err(disconnected(&error)),
        frame = reader.next::<v1::AgentFrame>(), if may_read_data => Ok(frame),
    }
}

/// What the agent is to know of pauses and was not told yet.
async fn next_pause(
    paused: &mut watch::Receiver<Option<Arc<Paused>>>,
    agent: AgentId,
    told: &mut Option<v1::Pause>,
) -> v1::Pause {
    loop {
        let now = paused.borrow_and_update().as_ref().map(|paused| paused.frame_for(agent));
        if let Some(now) = now.filter(|now| told.as_ref() != Some(now)) {
            *told = Some(now.clone());
            return now;
        }
        if paused.changed().await.is_err() {
            // Whoever publishes them lives as long as the control plane.
            return std::future::pending().await;
        }
    }
}

/// The outcome of a future; never, when there is none.
async fn when_present<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// The moment of this process's own clock at which a certificate ends; one that ended already ends now.
fn until(gateway: &Gateway, ends_at: Timestamp) -> Instant {
    let left = ends_at.duration_since(gateway.app.now());
    Instant::now() + Duration::try_from(left).unwrap_or_default()
}

fn stopped() -> Event {
    disconnected(&Stopped)
}

fn disconnected(error: &dyn std::fmt::Display) -> Event {
    Event::End(SessionEnd::Disconnected(error.to_string()))
}
/// Goes on with it as long as this control plane believes that it leads, and looks each time before; `None` when it does not.
async fn while_leading<T>(belief: &Belief, writing: impl Future<Output = T>) -> Option<T> {
    let mut writing = std::pin::pin!(writing);
    std::future::poll_fn(|context| {
        if belief.holds(nimbus_platform::since_boot()) {
            writing.as_mut().poll(context).map(Some)
        } else {
            Poll::Ready(None)
        }
    })
    .await
}
