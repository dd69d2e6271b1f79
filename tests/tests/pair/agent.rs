//! The agent: its real session over a model of the spool and of the journal, both of which survive a restart.

use std::collections::BTreeSet;
use std::time::Duration;

use nimbus_agent_core::session::{Action, Event, Session, Settings, State};
use nimbus_control_core::gateway::Stream;
use nimbus_protocol::v1::{self, agent_frame, job_report::Phase};

use super::link::{AtAgent, Link};
use super::plane::{Plane, job_name};
use super::random::Random;

#[derive(Debug)]
pub(crate) struct Agent {
    session: Session,
    /// The last sequence that was given out; the spool holds those after `acknowledged`.
    observed: u64,
    acknowledged: u64,
    /// The last sequence that was sent over this connection.
    cursor: u64,
    /// Reports that are not acknowledged, oldest first.
    journal: Vec<v1::JobReport>,
    /// Jobs that were seen, and those that are under way.
    seen: BTreeSet<String>,
    running: Vec<String>,
    connection: u64,
    connected: Option<u64>,
    /// To be told to the session at the next step.
    news: Vec<Event>,
}

impl Agent {
    pub(crate) fn new() -> Self {
        Self {
            session: Session::new(Settings::default(), Duration::ZERO),
            observed: 0,
            acknowledged: 0,
            cursor: 0,
            journal: Vec::new(),
            seen: BTreeSet::new(),
            running: Vec::new(),
            connection: 0,
            connected: None,
            news: Vec::new(),
        }
    }

    /// The process ends and begins again; what is on disk stays.
    pub(crate) fn restart(&mut self, now: Duration) {
        self.session = Session::new(Settings::default(), now);
        (self.connected, self.cursor) = (None, self.acknowledged);
        self.news.clear();
    }

    pub(crate) fn observe(&mut self, count: u64) {
        self.observed += count;
        if count > 0 {
            self.news.push(Event::Pending);
        }
    }

    pub(crate) fn finish_jobs(&mut self) {
        for job in std::mem::take(&mut self.running) {
            self.report(&job, Phase::Succeeded);
        }
    }

    fn report(&mut self, job: &str, phase: Phase) {
        self.journal.push(v1::JobReport {
            job_id: job.to_owned(),
            phase: phase.into(),
            ..Default::default()
        });
        self.news.push(Event::ReportsPending);
    }

    pub(crate) fn receive(&mut self, news: AtAgent, now: Duration, random: &mut Random) {
        match news {
            AtAgent::Opened(connection) if connection == self.connection => {
                self.connected = Some(connection);
                self.cursor = self.acknowledged;
                let hello = v1::Hello {
                    agent_id: super::plane::agent_id().to_string(),
                    next_sequence: self.observed + 1,
                    ..Default::default()
                };
                self.session.handle(Event::Connected(Box::new(hello)), now, random.next());
            }
            AtAgent::Frame(connection, frame) if Some(connection) == self.connected => {
                self.session.handle(Event::Frame(frame), now, random.next());
            }
            AtAgent::Closed(connection) if connection == self.connection => {
                self.connected = None;
                self.session.handle(Event::Closed("it broke".to_owned()), now, random.next());
            }
            // A late word of an earlier connection.
            AtAgent::Opened(_) | AtAgent::Frame(..) | AtAgent::Closed(_) => {}
        }
    }

    pub(crate) fn step(&mut self, now: Duration, link: &mut Link, random: &mut Random) {
        for event in std::mem::take(&mut self.news) {
            self.session.handle(event, now, random.next());
        }
        if self.session.next_timeout() <= now {
            self.session.handle(Event::Timeout, now, random.next());
        }
        while let Some(action) = self.session.poll_action() {
            self.act(action, now, link, random);
        }
    }

    fn act(&mut self, action: Action, now: Duration, link: &mut Link, random: &mut Random) {
        match action {
            Action::Connect => {
                self.connection += 1;
                self.connected = None;
                link.open(self.connection, now);
            }
            Action::Send(frame) => self.send(Stream::Control, *frame, now, link),
            Action::Heartbeat => {
                let body = agent_frame::Body::Heartbeat(v1::Heartbeat::default());
                self.send(Stream::Control, v1::AgentFrame { body: Some(body) }, now, link);
            }
            Action::Welcomed(welcome) => {
                assert!(welcome.acknowledged <= self.observed, "more is stored than was ever observed");
                self.acknowledged = self.acknowledged.max(welcome.acknowledged);
                self.cursor = self.acknowledged;
            }
            Action::Pull { max_observations, .. } => self.pull(max_observations, now, link, random),
            Action::Acknowledged(sequence) => self.acknowledged = self.acknowledged.max(sequence),
            Action::PullReports { most, sent } => {
                let new = |report: &&v1::JobReport| !sent.iter().any(|sent| sent.is(report));
                let reports = self.journal.iter().filter(new).take(most).cloned().collect();
                self.session.handle(Event::Reports(reports), now, random.next());
            }
            Action::ReportAcknowledged(ack) => {
                self.journal
                    .retain(|kept| (kept.job_id.as_str(), kept.phase) != (ack.job_id.as_str(), ack.phase));
            }
            Action::Job(envelope) => {
                let job = job_name(&envelope);
                // The journal knows a job that it has seen: a second copy does nothing.
                if self.seen.insert(job.clone()) {
                    self.report(&job, Phase::Accepted);
                    self.running.push(job);
                }
            }
            Action::Resync(_) | Action::Renewed(_) => {}
            Action::Close { .. } => {
                link.close(self.connection, now);
                self.connected = None;
            }
        }
    }

    fn send(&mut self, stream: Stream, frame: v1::AgentFrame, now: Duration, link: &mut Link) {
        if let Some(connection) = self.connected {
            link.to_plane(connection, stream, frame, now);
        }
    }

    fn pull(&mut self, most: usize, now: Duration, link: &mut Link, random: &mut Random) {
        let most = most.min(1 + usize::try_from(random.below(20)).unwrap_or(0)) as u64;
        let (first, last) = (self.cursor + 1, self.observed.min(self.cursor + most));
        if last < first {
            return self.session.handle(Event::NothingPending, now, random.next());
        }
        let observation = |sequence| v1::Observation { sequence, ..Default::default() };
        let batch = v1::ObservationBatch {
            first_sequence: first,
            observations: (first..=last).map(observation).collect(),
        };
        self.cursor = last;
        self.send(Stream::Data, v1::AgentFrame { body: Some(agent_frame::Body::Batch(batch)) }, now, link);
        self.session.handle(Event::BatchSent(last), now, random.next());
    }

    /// What it believes to be stored is stored.
    pub(crate) fn holds_against(&self, plane: &Plane) {
        assert!(
            self.acknowledged <= plane.stored(),
            "{} acknowledged, {} stored",
            self.acknowledged,
            plane.stored()
        );
    }

    pub(crate) fn is_done(&self) -> bool {
        self.acknowledged == self.observed && self.journal.is_empty() && self.running.is_empty()
    }

    pub(crate) fn is_live(&self) -> bool {
        *self.session.state() == State::Live
    }

    pub(crate) fn problem(&self) -> Option<&str> {
        self.session.problem()
    }

    pub(crate) fn observed(&self) -> u64 {
        self.observed
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connection
    }

    pub(crate) fn jobs(&self) -> &BTreeSet<String> {
        &self.seen
    }
}
