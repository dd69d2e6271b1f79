//! The control plane: the gateway's real session for each connection, over a model of the store with commit times.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use nimbus_control_core::gateway::{
    Action, Admission, CheckedBatch, CloseReason, Event, Session, Stored, Stream, WINDOW, newer_than,
};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::{self, server_frame};

use super::link::{AtPlane, Link};
use super::random::Random;

/// How long a peer may take for its hello.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn agent_id() -> AgentId {
    "agt_00000000000000000000000000000001".parse().expect("an agent's id")
}

/// The job in an envelope of this test.
pub(crate) fn job_name(envelope: &v1::Envelope) -> String {
    String::from_utf8(envelope.payload.clone()).expect("this test's envelopes hold a job's name")
}

/// Something that the store has begun.
#[derive(Debug)]
enum Write {
    Batch(u64, CheckedBatch),
    Report(u64, v1::JobReport),
    Admit(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Plane {
    sessions: BTreeMap<u64, Session>,
    /// The session that counts: that of the newest admitted connection.
    current: Option<u64>,
    /// The log, and with its last sequence the mark.
    log: Vec<u64>,
    reported: BTreeSet<(String, i32)>,
    /// What the store is writing, in order, and when each is done.
    writing: VecDeque<(Duration, Write)>,
    /// Jobs that were ordered and not reported as ended.
    orders: Vec<String>,
    epoch: u64,
    ordered: u64,
}

impl Plane {
    pub(crate) fn new() -> Self {
        Self { epoch: 1, ..Self::default() }
    }

    /// The process is killed: what was not committed is lost, and nobody is told.
    pub(crate) fn restart(&mut self) {
        self.sessions.clear();
        self.writing.clear();
        self.current = None;
        self.epoch += 1;
    }

    pub(crate) fn order_job(&mut self, random: &mut Random) {
        self.ordered += 1;
        self.orders.push(format!("job-{}-{}", self.ordered, random.below(1_000)));
        self.send_orders();
    }

    /// Sends what is not answered yet to the session that counts; an agent knows what it has seen.
    fn send_orders(&mut self) {
        let Some(session) = self.current.and_then(|number| self.sessions.get_mut(&number)) else { return };
        for job in &self.orders {
            let envelope = v1::Envelope { payload: job.clone().into_bytes(), ..Default::default() };
            session.handle(Event::Job(envelope), Duration::ZERO);
        }
    }

    pub(crate) fn receive(&mut self, news: AtPlane, now: Duration) {
        match news {
            AtPlane::Opened(number) => {
                self.sessions.insert(number, Session::new(agent_id(), PATIENCE, now));
            }
            AtPlane::Frame(number, stream, frame) => {
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.handle(Event::Frame(stream, frame), now);
                }
            }
            AtPlane::Closed(number) => {
                self.sessions.remove(&number);
                self.current = self.current.filter(|current| *current != number);
            }
        }
    }

    pub(crate) fn step(&mut self, now: Duration, link: &mut Link, random: &mut Random) {
        while self.writing.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, write)) = self.writing.pop_front() {
                self.commit(write, now);
            }
        }
        let numbers: Vec<u64> = self.sessions.keys().copied().collect();
        for number in numbers {
            self.serve(number, now, link, random);
        }
    }

    fn serve(&mut self, number: u64, now: Duration, link: &mut Link, random: &mut Random) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if session.next_timeout().is_some_and(|at| at <= now) {
            session.handle(Event::Timeout, now);
        }
        let mut actions = Vec::new();
        while let Some(action) = session.poll_action() {
            actions.push(action);
        }
        for action in actions {
            match action {
                Action::Admit(_) => self.write(Write::Admit(number), now, random),
                Action::Send(stream, frame) => link.to_agent(number, stream, *frame, now),
                Action::Heartbeat => {
                    let body = server_frame::Body::Heartbeat(v1::Heartbeat::default());
                    link.to_agent(number, Stream::Control, v1::ServerFrame { body: Some(body) }, now);
                }
                Action::Store(batch) => self.write(Write::Batch(number, batch), now, random),
                Action::StoreReport(report) => self.write(Write::Report(number, *report), now, random),
                Action::Renew(_) => {}
                Action::End(_) => {
                    link.close(number, now);
                    self.sessions.remove(&number);
                    self.current = self.current.filter(|current| *current != number);
                    return;
                }
            }
        }
    }

    fn write(&mut self, write: Write, now: Duration, random: &mut Random) {
        let last = self.writing.back().map_or(now, |(at, _)| *at);
        let at = last.max(now) + Duration::from_millis(random.below(400));
        self.writing.push_back((at, write));
    }

    fn mark(&self) -> u64 {
        self.log.last().copied().unwrap_or(0)
    }

    fn commit(&mut self, write: Write, now: Duration) {
        match write {
            Write::Admit(number) => self.admit(number, now),
            Write::Batch(number, batch) => {
                let mark = self.mark();
                let gap = batch.first > mark + 1;
                if let Some(new) = newer_than(mark, batch.batch) {
                    self.log.extend(new.observations.iter().map(|observation| observation.sequence));
                }
                let stored = Stored { mark: self.mark(), gap };
                self.tell(number, Event::Stored(stored), now);
            }
            Write::Report(number, report) => {
                self.reported.insert((report.job_id.clone(), report.phase));
                if report.phase() == v1::job_report::Phase::Succeeded {
                    self.orders.retain(|job| *job != report.job_id);
                }
                let ack =
                    v1::JobReportAck { phase: report.phase, job_id: report.job_id, ..Default::default() };
                self.tell(number, Event::ReportStored(ack), now);
            }
        }
    }

    fn admit(&mut self, number: u64, now: Duration) {
        if !self.sessions.contains_key(&number) {
            return;
        }
        if let Some(older) = self.current.replace(number) {
            self.tell(older, Event::Close(CloseReason::Replaced), now);
        }
        let admission = Admission { acknowledged: self.mark(), epoch: self.epoch, needs_listing: false };
        self.tell(number, Event::Admitted(admission), now);
        self.send_orders();
    }

    fn tell(&mut self, number: u64, event: Event, now: Duration) {
        if let Some(session) = self.sessions.get_mut(&number) {
            session.handle(event, now);
        }
    }

    pub(crate) fn stored(&self) -> u64 {
        self.mark()
    }

    pub(crate) fn reports(&self) -> u64 {
        self.reported.len() as u64
    }

    pub(crate) fn is_idle(&self) -> bool {
        assert!(self.writing.len() <= self.sessions.len().max(1) * (2 * WINDOW + 64), "more waits than may");
        self.writing.is_empty() && self.orders.is_empty()
    }

    /// Everything that the agent observed and reported is here, each once and in order.
    pub(crate) fn holds_everything(&self, agent: &super::Agent) {
        let all: Vec<u64> = (1..=agent.observed()).collect();
        assert_eq!(self.log, all, "stored once each, in order, without a gap");
        for job in agent.jobs() {
            for phase in [v1::job_report::Phase::Accepted, v1::job_report::Phase::Succeeded] {
                assert!(
                    self.reported.contains(&(job.clone(), phase.into())),
                    "{job} {phase:?} was not stored"
                );
            }
        }
    }
}
