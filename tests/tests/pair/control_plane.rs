//! The control plane of the simulated pair: its real sessions, with as much of a log, documents and a dispatcher as
//! they need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use nimbus_control_core::gateway::{
    Action, Admission, CheckedBatch, CloseReason, Event, Session, SessionEnd, Stored, Stream, newer_than,
};
use nimbus_protocol::v1::{self, job_report::Phase, server_frame::Body};

use crate::agent::{self, Agent};
use crate::link::{Connection, Link, ToPlane};
use crate::random::Random;

/// How long a commit takes at most.
const COMMIT: Duration = Duration::from_millis(1_500);
/// How long an agent has for its hello.
const PATIENCE: Duration = Duration::from_secs(10);
/// From then on a job is not sent any more.
const JOB_TTL: Duration = Duration::from_mins(1);

/// A session and the frames that it does not take yet.
#[derive(Debug)]
struct Served {
    session: Session,
    control: VecDeque<Box<v1::AgentFrame>>,
    data: VecDeque<Box<v1::AgentFrame>>,
    timer: Option<Duration>,
}

#[derive(Debug)]
struct Job {
    id: String,
    expires_at: Duration,
    /// Over which connection it was sent last.
    sent_over: Option<Connection>,
    is_taken: bool,
}

/// The control plane.
#[derive(Debug)]
pub struct ControlPlane {
    epoch: u64,
    sessions: BTreeMap<Connection, Served>,
    current: Option<Connection>,
    /// Batches on their way into the log, in order.
    log: VecDeque<(Connection, CheckedBatch)>,
    /// The last sequence that is stored; survives a crash, as do the jobs and the reports.
    pub mark: u64,
    stored: u64,
    reports: BTreeSet<(String, i32)>,
    jobs: Vec<Job>,
    /// How often it was killed.
    pub crashes: u32,
    /// Batches of which some was stored already.
    pub sent_again: u64,
    /// Reports that were taken already.
    pub reports_again: u64,
}

impl ControlPlane {
    /// One that knows the agent and nothing else.
    pub fn new() -> Self {
        Self {
            epoch: 1,
            sessions: BTreeMap::new(),
            current: None,
            log: VecDeque::new(),
            mark: 0,
            stored: 0,
            reports: BTreeSet::new(),
            jobs: Vec::new(),
            crashes: 0,
            sent_again: 0,
            reports_again: 0,
        }
    }

    /// The process is killed: what is not committed is gone.
    pub fn crash(&mut self) {
        self.crashes += 1;
        self.epoch += 1;
        self.sessions.clear();
        self.current = None;
        self.log.clear();
        for job in &mut self.jobs {
            job.sent_over = None;
        }
    }

    /// Takes what happened.
    pub fn handle(&mut self, event: ToPlane, link: &mut Link, random: &mut Random) -> Result<(), String> {
        match event {
            ToPlane::Opened(connection) => {
                let agent = agent::ID.parse().map_err(|error| format!("{error}"))?;
                let session = Session::new(agent, PATIENCE, link.now());
                let (control, data) = (VecDeque::new(), VecDeque::new());
                self.sessions.insert(connection, Served { session, control, data, timer: None });
                self.pump(connection, link, random)
            }
            ToPlane::Closed(connection) => {
                let end = SessionEnd::Disconnected("the link".to_owned());
                self.tell(connection, Event::End(end), link, random)
            }
            ToPlane::Frame(connection, stream, frame) => {
                if let Some(served) = self.sessions.get_mut(&connection) {
                    match stream {
                        Stream::Control => served.control.push_back(frame),
                        Stream::Data => served.data.push_back(frame),
                    }
                }
                self.pump(connection, link, random)
            }
            ToPlane::Timer(connection) => {
                if let Some(served) = self.sessions.get_mut(&connection) {
                    served.timer = None;
                }
                self.tell(connection, Event::Timeout, link, random)
            }
            ToPlane::LookedUp(epoch, connection) if epoch == self.epoch => {
                self.admit(connection, link, random)
            }
            ToPlane::Committed(epoch) if epoch == self.epoch => self.committed(link, random),
            ToPlane::ReportCommitted(epoch, connection, report) if epoch == self.epoch => {
                self.report_committed(connection, &report, link, random)
            }
            // Of a process that was killed meanwhile.
            ToPlane::LookedUp(..) | ToPlane::Committed(_) | ToPlane::ReportCommitted(..) => Ok(()),
            ToPlane::Order => {
                let id = format!("job_{}", self.jobs.len() + 1);
                let expires_at = link.now() + JOB_TTL;
                self.jobs.push(Job { id, expires_at, sent_over: None, is_taken: false });
                self.send_jobs(link, random)
            }
        }
    }

    fn admit(&mut self, connection: Connection, link: &mut Link, random: &mut Random) -> Result<(), String> {
        if !self.sessions.contains_key(&connection) {
            return Ok(());
        }
        if let Some(older) = self.current.replace(connection) {
            self.tell(older, Event::Close(CloseReason::Replaced), link, random)?;
        }
        let admission = Admission { acknowledged: self.mark, epoch: self.epoch, needs_listing: false };
        self.tell(connection, Event::Admitted(admission), link, random)?;
        self.send_jobs(link, random)
    }

    /// Sends every job that nobody answered and that the present session has not carried yet.
    fn send_jobs(&mut self, link: &mut Link, random: &mut Random) -> Result<(), String> {
        let Some(current) = self.current else { return Ok(()) };
        let now = link.now();
        let waits = |job: &&mut Job| !job.is_taken && now < job.expires_at && job.sent_over != Some(current);
        let mut envelopes = Vec::new();
        for job in self.jobs.iter_mut().filter(waits) {
            job.sent_over = Some(current);
            envelopes.push(v1::Envelope { payload: job.id.clone().into_bytes(), ..v1::Envelope::default() });
        }
        envelopes.into_iter().try_for_each(|envelope| self.tell(current, Event::Job(envelope), link, random))
    }

    /// The oldest batch of the log is committed: what of it is new.
    fn committed(&mut self, link: &mut Link, random: &mut Random) -> Result<(), String> {
        let Some((connection, checked)) = self.log.pop_front() else { return Ok(()) };
        let gap = checked.first > self.mark + 1;
        self.sent_again += u64::from(checked.first <= self.mark);
        for observation in newer_than(self.mark, checked.batch).map(|b| b.observations).unwrap_or_default() {
            if observation.sequence != self.mark + 1 {
                return Err(format!("stored {} after {}", observation.sequence, self.mark));
            }
            self.mark = observation.sequence;
            self.stored += 1;
        }
        if !self.log.is_empty() {
            link.plane_at(link.now() + random.up_to(COMMIT), ToPlane::Committed(self.epoch));
        }
        self.tell(connection, Event::Stored(Stored { mark: self.mark, gap }), link, random)
    }

    fn report_committed(
        &mut self,
        connection: Connection,
        report: &v1::JobReport,
        link: &mut Link,
        random: &mut Random,
    ) -> Result<(), String> {
        let is_new = self.reports.insert((report.job_id.clone(), report.phase));
        self.reports_again += u64::from(!is_new);
        if report.phase() == Phase::Accepted {
            for job in self.jobs.iter_mut().filter(|job| job.id == report.job_id) {
                job.is_taken = true;
            }
        }
        let (job_id, phase) = (report.job_id.clone(), report.phase);
        let ack = v1::JobReportAck { job_id, phase, envelope_sha256: report.envelope_sha256.clone() };
        self.tell(connection, Event::ReportStored(ack), link, random)
    }

    /// Hands an event to a session, if it is there, and does what that wants.
    fn tell(
        &mut self,
        connection: Connection,
        event: Event,
        link: &mut Link,
        random: &mut Random,
    ) -> Result<(), String> {
        if let Some(served) = self.sessions.get_mut(&connection) {
            served.session.handle(event, link.now());
        }
        self.pump(connection, link, random)
    }

    /// Does what a session wants, and hands it the frames that it takes, until neither is left.
    fn pump(&mut self, connection: Connection, link: &mut Link, random: &mut Random) -> Result<(), String> {
        while let Some(served) = self.sessions.get_mut(&connection) {
            if let Some(action) = served.session.poll_action() {
                self.act(connection, action, link, random)?;
                continue;
            }
            let control = served.session.may_read_control().then(|| served.control.pop_front()).flatten();
            let frame = match control {
                Some(frame) => Some((Stream::Control, frame)),
                None if served.session.may_read_data() => {
                    served.data.pop_front().map(|frame| (Stream::Data, frame))
                }
                None => None,
            };
            if let Some((stream, frame)) = frame {
                served.session.handle(Event::Frame(stream, frame), link.now());
                continue;
            }
            if let Some(at) = served.session.next_timeout()
                && served.timer.is_none_or(|timer| at < timer)
            {
                served.timer = Some(at);
                link.plane_at(at, ToPlane::Timer(connection));
            }
            break;
        }
        Ok(())
    }

    fn act(
        &mut self,
        connection: Connection,
        action: Action,
        link: &mut Link,
        random: &mut Random,
    ) -> Result<(), String> {
        match action {
            Action::Admit(_) => {
                let at = link.now() + random.up_to(COMMIT);
                link.plane_at(at, ToPlane::LookedUp(self.epoch, connection));
            }
            Action::Send(stream, frame) => link.send_down(connection, stream, *frame, random),
            Action::Heartbeat => {
                let body = Some(Body::Heartbeat(v1::Heartbeat::default()));
                link.send_down(connection, Stream::Control, v1::ServerFrame { body }, random);
            }
            Action::Store(batch) => {
                if self.log.is_empty() {
                    link.plane_at(link.now() + random.up_to(COMMIT), ToPlane::Committed(self.epoch));
                }
                self.log.push_back((connection, batch));
            }
            Action::StoreReport(report) => {
                let at = link.now() + random.up_to(COMMIT);
                link.plane_at(at, ToPlane::ReportCommitted(self.epoch, connection, report));
            }
            Action::Renew(_) => return Err("a renewal that nobody asked for".to_owned()),
            Action::End(end) => self.end(connection, end, link, random)?,
        }
        Ok(())
    }

    fn end(
        &mut self,
        connection: Connection,
        end: SessionEnd,
        link: &mut Link,
        random: &mut Random,
    ) -> Result<(), String> {
        self.sessions.remove(&connection);
        if self.current == Some(connection) {
            self.current = None;
        }
        if let SessionEnd::Rejected(rejection) = end {
            return Err(format!("an honest agent is rejected: {:?}", rejection.refusal));
        }
        link.close(connection, random);
        Ok(())
    }

    /// Was this report taken?
    pub fn has_taken(&self, report: &v1::JobReport) -> bool {
        self.reports.contains(&(report.job_id.clone(), report.phase))
    }

    /// Is nothing under way, and every job answered or over its time?
    pub fn is_settled(&self, now: Duration) -> bool {
        self.log.is_empty() && self.jobs.iter().all(|job| job.is_taken || now >= job.expires_at)
    }

    /// Has everything arrived that the agent has, once?
    pub fn compare(&self, agent: &Agent) -> Result<(), String> {
        if (self.mark, self.stored) != (agent.observed, agent.observed) {
            return Err(format!("{} of {} observations are stored", self.stored, agent.observed));
        }
        let is_missing = |job: &&Job| job.is_taken != agent.jobs.contains(&job.id);
        self.jobs
            .iter()
            .find(is_missing)
            .map_or(Ok(()), |job| Err(format!("not as the agent has it: {job:?}")))
    }
}
