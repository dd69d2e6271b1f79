//! The agent of the simulated pair: its real session, with as much of a spool and a journal as the session needs.

use std::time::Duration;

use nimbus_agent_core::session::{Action, Event, Session, Settings, State};
use nimbus_control_core::gateway::Stream;
use nimbus_protocol::v1::{self, job_report::Phase};

use crate::control_plane::ControlPlane;
use crate::link::{Connection, Link, ToAgent};
use crate::random::Random;

/// The agent's id.
pub const ID: &str = "agt_00000000000000000000000000000001";

/// The agent.
#[derive(Debug)]
pub struct Agent {
    session: Session,
    connection: Option<Connection>,
    /// The last sequence that was observed.
    pub observed: u64,
    /// The last one that was sent over this connection, or acknowledged.
    sent: u64,
    /// The last one that was acknowledged.
    acknowledged: u64,
    /// The jobs that arrived, each once.
    pub jobs: Vec<String>,
    /// Reports, and whether each was acknowledged.
    journal: Vec<(v1::JobReport, bool)>,
    timer: Option<Duration>,
}

impl Agent {
    /// One that connects at once.
    pub fn new() -> Self {
        Self {
            session: Session::new(Settings::default(), Duration::ZERO),
            connection: None,
            observed: 0,
            sent: 0,
            acknowledged: 0,
            jobs: Vec::new(),
            journal: Vec::new(),
            timer: None,
        }
    }

    /// Takes what happened.
    pub fn handle(&mut self, event: ToAgent, link: &mut Link, random: &mut Random) -> Result<(), String> {
        let event = match event {
            ToAgent::Connected(connection) => {
                self.connection = Some(connection);
                let hello = v1::Hello {
                    agent_id: ID.to_owned(),
                    next_sequence: self.observed + 1,
                    ..v1::Hello::default()
                };
                Event::Connected(Box::new(hello))
            }
            ToAgent::Closed(connection) => {
                if self.connection.is_some_and(|own| own != connection) {
                    return Ok(());
                }
                self.connection = None;
                Event::Closed("the link".to_owned())
            }
            ToAgent::Frame(connection, frame) if self.connection == Some(connection) => Event::Frame(frame),
            ToAgent::Frame(..) => return Ok(()),
            ToAgent::Timer => {
                self.timer = None;
                Event::Timeout
            }
            ToAgent::Observe => {
                self.observed += 1 + random.below(3);
                Event::Pending
            }
        };
        self.session.handle(event, link.now(), random.any());
        self.act(link, random)
    }

    /// Does what the session wants.
    pub fn act(&mut self, link: &mut Link, random: &mut Random) -> Result<(), String> {
        while let Some(action) = self.session.poll_action() {
            if let Some(answer) = self.one(action, link, random)? {
                self.session.handle(answer, link.now(), random.any());
            }
        }
        let at = self.session.next_timeout();
        if self.timer.is_none_or(|timer| at < timer) {
            self.timer = Some(at);
            link.agent_at(at, ToAgent::Timer);
        }
        Ok(())
    }

    fn one(&mut self, action: Action, link: &mut Link, random: &mut Random) -> Result<Option<Event>, String> {
        match action {
            Action::Connect => link.connect(random),
            Action::Send(frame) => self.send(Stream::Control, *frame, link, random),
            Action::Heartbeat => {
                let body = v1::agent_frame::Body::Heartbeat(v1::Heartbeat::default());
                self.send(Stream::Control, v1::AgentFrame { body: Some(body) }, link, random);
            }
            Action::Welcomed(welcome) => {
                self.acknowledge(welcome.acknowledged)?;
                self.sent = self.acknowledged;
            }
            Action::Pull { .. } => return Ok(Some(self.pull(link, random))),
            Action::Acknowledged(sequence) => self.acknowledge(sequence)?,
            Action::PullReports { most, sent } => {
                let waiting =
                    self.journal.iter().filter(|(_, acknowledged)| !acknowledged).map(|(report, _)| report);
                let new = waiting.filter(|report| !sent.iter().any(|sent| sent.is(report)));
                return Ok(Some(Event::Reports(new.take(most).cloned().collect())));
            }
            Action::ReportAcknowledged(ack) => {
                for (report, acknowledged) in &mut self.journal {
                    *acknowledged |= report.job_id == ack.job_id && report.phase == ack.phase;
                }
            }
            Action::Job(envelope) => return Ok(self.take_job(&envelope)),
            Action::Close { .. } => {
                if let Some(connection) = self.connection.take() {
                    link.close(connection, random);
                }
            }
            Action::Resync(_) => {
                return Err("asked to list everything again, although nothing was lost".to_owned());
            }
            Action::Pause(_) => return Err("a pause, although nobody paused anything".to_owned()),
            Action::Renewed(_) => return Err("a certificate that nobody asked for".to_owned()),
        }
        Ok(None)
    }

    fn send(&self, stream: Stream, frame: v1::AgentFrame, link: &mut Link, random: &mut Random) {
        if let Some(connection) = self.connection {
            link.send_up(connection, stream, frame, random);
        }
    }

    fn pull(&mut self, link: &mut Link, random: &mut Random) -> Event {
        if self.sent >= self.observed {
            return Event::NothingPending;
        }
        let last = (self.sent + 1 + random.below(5)).min(self.observed);
        let first_sequence = self.sent + 1;
        let observation = |sequence| v1::Observation { sequence, ..v1::Observation::default() };
        let observations = (first_sequence..=last).map(observation).collect();
        let body = v1::agent_frame::Body::Batch(v1::ObservationBatch { first_sequence, observations });
        self.send(Stream::Data, v1::AgentFrame { body: Some(body) }, link, random);
        self.sent = last;
        Event::BatchSent(last)
    }

    fn acknowledge(&mut self, sequence: u64) -> Result<(), String> {
        if sequence < self.acknowledged || sequence > self.observed {
            let (before, observed) = (self.acknowledged, self.observed);
            return Err(format!("acknowledged {sequence} after {before}, of {observed}"));
        }
        self.acknowledged = sequence;
        Ok(())
    }

    /// A job is taken once, as the journal sees to it; it ends at once, and well.
    fn take_job(&mut self, envelope: &v1::Envelope) -> Option<Event> {
        let job_id = String::from_utf8_lossy(&envelope.payload).into_owned();
        if self.jobs.contains(&job_id) {
            return None;
        }
        for phase in [Phase::Accepted, Phase::Applied, Phase::Succeeded] {
            let report = v1::JobReport { job_id: job_id.clone(), phase: phase.into(), ..Default::default() };
            self.journal.push((report, false));
        }
        self.jobs.push(job_id);
        Some(Event::ReportsPending)
    }

    /// Nothing is acknowledged that is not stored.
    pub fn check(&self, plane: &ControlPlane) -> Result<(), String> {
        if self.acknowledged > plane.mark {
            return Err(format!("{} is acknowledged, and only {} is stored", self.acknowledged, plane.mark));
        }
        let is_lost =
            |(report, acknowledged): &&(v1::JobReport, bool)| *acknowledged && !plane.has_taken(report);
        match self.journal.iter().find(is_lost) {
            Some((report, _)) => Err(format!("a report is acknowledged and not taken: {report:?}")),
            None => Ok(()),
        }
    }

    /// Is it connected, and is everything acknowledged?
    pub fn is_settled(&self) -> bool {
        *self.session.state() == State::Live
            && self.acknowledged == self.observed
            && self.journal.iter().all(|(_, acknowledged)| *acknowledged)
    }
}
