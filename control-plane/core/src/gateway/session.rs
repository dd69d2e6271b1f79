//! The state machine of a session: each event changes the state and yields actions for the gateway to carry out.

use std::collections::VecDeque;
use std::time::Duration;

use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::{self, agent_frame, server_frame};
use nimbus_protocol::{MAX_BATCH_OBSERVATIONS, version};

use super::{
    Action, Admission, CheckedBatch, Event, HEARTBEAT, MAX_REPORT, RENEWAL_EVERY, REPORT_WINDOW,
    RESYNC_EVERY, SILENCE, SessionEnd, Stored, Stream, WINDOW,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The hello is awaited, until then.
    Greeting { until: Duration },
    /// The shell looks the agent up; this version is spoken if it may come in.
    Admitting { version: u32 },
    /// Welcome.
    Live,
    /// Over.
    Ended,
}

/// One agent's session; see the module.
#[derive(Debug)]
pub struct Session {
    /// The agent in the client's certificate.
    agent: AgentId,
    state: State,
    actions: VecDeque<Action>,
    /// Batches that wait for their commit.
    batches: usize,
    /// Reports that wait for their commit.
    reports: usize,
    /// The last acknowledgement.
    acknowledged: u64,
    last_heard: Duration,
    last_renewal: Option<Duration>,
    last_resync: Option<Duration>,
    /// Why everything has to be listed again.
    resync: Option<&'static str>,
}

impl Session {
    /// A session of the agent in the client's certificate, which has `patience` for its hello.
    pub fn new(agent: AgentId, patience: Duration, now: Duration) -> Self {
        Self {
            agent,
            state: State::Greeting { until: now + patience },
            actions: VecDeque::new(),
            batches: 0,
            reports: 0,
            acknowledged: 0,
            last_heard: now,
            last_renewal: None,
            last_resync: None,
            resync: None,
        }
    }

    /// Takes what happened at `now`.
    pub fn handle(&mut self, event: Event, now: Duration) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Frame(stream, frame) => {
                self.last_heard = now;
                self.frame(stream, frame.body, now);
            }
            Event::Admitted(admission) => self.welcome(admission),
            Event::End(end) => self.end(end),
            Event::Stored(stored) => self.stored(stored),
            Event::ReportStored(ack) => {
                self.reports = self.reports.saturating_sub(1);
                self.send(Stream::Control, server_frame::Body::JobReportAck(ack));
            }
            Event::Renewed(response) => self.send(Stream::Control, server_frame::Body::Renewed(response)),
            Event::Job(envelope) => self.send(Stream::Control, server_frame::Body::Job(envelope)),
            // An older agent passes over it, and gets no job meanwhile.
            Event::Pause(pause) => self.send(Stream::Control, server_frame::Body::Pause(pause)),
            Event::Close(reason) => self.end(reason.into()),
            Event::Timeout => {}
        }
        self.tick(now);
    }

    /// The next thing to do; ask until `None` after each event.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to send [`Event::Timeout`] at the latest; `None` while only the shell's answer is awaited, and after the end.
    pub fn next_timeout(&self) -> Option<Duration> {
        match self.state {
            State::Greeting { until } => Some(until),
            State::Admitting { .. } | State::Ended => None,
            State::Live => {
                let resync = self.resync.map(|_| self.resync_at());
                Some(resync.map_or(self.silent_at(), |at| at.min(self.silent_at())))
            }
        }
    }

    /// May frames be read off the control stream now?
    pub fn may_read_control(&self) -> bool {
        match self.state {
            State::Greeting { .. } | State::Live => true,
            State::Admitting { .. } | State::Ended => false,
        }
    }

    /// May frames be read off the data stream now? Not while [`WINDOW`] batches wait for their commit.
    pub fn may_read_data(&self) -> bool {
        self.state == State::Live && self.batches < WINDOW
    }

    fn send(&mut self, stream: Stream, body: server_frame::Body) {
        if self.state == State::Live {
            self.actions.push_back(Action::Send(stream, Box::new(v1::ServerFrame { body: Some(body) })));
        }
    }

    /// What was not done yet is not done any more.
    fn end(&mut self, end: SessionEnd) {
        self.state = State::Ended;
        self.actions.clear();
        self.actions.push_back(Action::End(end));
    }

    fn malformed(&mut self, expected: &str, found: &str) {
        self.end(SessionEnd::malformed(expected, found));
    }

    fn frame(&mut self, stream: Stream, body: Option<agent_frame::Body>, now: Duration) {
        use agent_frame::Body;
        match (self.state, stream) {
            (State::Greeting { .. }, Stream::Control) => match body {
                Some(Body::Hello(hello)) => self.hello(hello),
                Some(
                    Body::Heartbeat(_)
                    | Body::Batch(_)
                    | Body::Enrol(_)
                    | Body::Renew(_)
                    | Body::JobReport(_),
                )
                | None => self.malformed("a hello as the first message", "another one or none"),
            },
            (State::Live, Stream::Control) => match body {
                Some(Body::Heartbeat(_)) => self.actions.push_back(Action::Heartbeat),
                Some(Body::JobReport(report)) => self.report(report),
                Some(Body::Renew(request)) => self.renew(request, now),
                // A message of a newer agent, which asks for nothing that this version could give.
                None => {}
                Some(Body::Hello(_) | Body::Batch(_) | Body::Enrol(_)) => self
                    .malformed("a heartbeat, a report or a renewal on the control stream", "another message"),
            },
            (State::Live, Stream::Data) => match body {
                Some(Body::Batch(batch)) => self.batch(batch),
                Some(Body::Heartbeat(_)) | None => {}
                Some(Body::Hello(_) | Body::Enrol(_) | Body::Renew(_) | Body::JobReport(_)) => {
                    self.malformed("a batch on the data stream", "another message");
                }
            },
            (State::Greeting { .. } | State::Admitting { .. }, _) => {
                self.malformed("nothing before the welcome", "a message");
            }
            (State::Ended, _) => {}
        }
    }

    fn hello(&mut self, hello: v1::Hello) {
        let version = match version::negotiate(hello.lowest_version, hello.highest_version) {
            Ok(version) => version,
            Err(error) => return self.end(SessionEnd::unsupported_version(error)),
        };
        let expected = self.agent.to_string();
        if hello.agent_id != expected {
            let found: String = hello.agent_id.chars().take(64).collect();
            let remedy = "remove the agent's identity directory and join it again";
            return self.end(SessionEnd::refused("wrong_agent", &expected, found, remedy));
        }
        self.state = State::Admitting { version };
        self.actions.push_back(Action::Admit(Box::new(hello)));
    }

    fn welcome(&mut self, admission: Admission) {
        let State::Admitting { version } = self.state else { return };
        self.state = State::Live;
        self.acknowledged = admission.acknowledged;
        if admission.needs_listing {
            self.resync = Some("the control plane's inventory was rebuilt from nothing");
        }
        let welcome = v1::Welcome {
            version,
            acknowledged: admission.acknowledged,
            epoch: admission.epoch,
            // 5,000 and 2,000: both fit.
            heartbeat_ms: u32::try_from(HEARTBEAT.as_millis()).unwrap_or(u32::MAX),
            max_batch_observations: u32::try_from(MAX_BATCH_OBSERVATIONS).unwrap_or(u32::MAX),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.send(Stream::Control, server_frame::Body::Welcome(welcome));
    }

    fn report(&mut self, report: v1::JobReport) {
        if prost::Message::encoded_len(&report) > MAX_REPORT {
            return self.malformed("a report of at most 64 KiB", "a longer one");
        }
        if self.reports >= REPORT_WINDOW {
            let found = format!("{REPORT_WINDOW} that wait for their commit");
            return self.end(SessionEnd::overloaded("fewer unacknowledged reports", found));
        }
        self.reports += 1;
        self.actions.push_back(Action::StoreReport(Box::new(report)));
    }

    fn renew(&mut self, request: v1::RenewRequest, now: Duration) {
        if self.last_renewal.is_some_and(|last| now < last + RENEWAL_EVERY) {
            return self.malformed("a renewal now and then", "one right after another");
        }
        self.last_renewal = Some(now);
        self.actions.push_back(Action::Renew(request));
    }

    fn batch(&mut self, batch: v1::ObservationBatch) {
        match CheckedBatch::try_from(batch) {
            Ok(checked) => {
                if checked.has_holes {
                    self.resync = Some("observations are missing inside a batch");
                }
                self.batches += 1;
                self.actions.push_back(Action::Store(checked));
            }
            Err(error) => self.malformed("a batch in order", &error.to_string()),
        }
    }

    fn stored(&mut self, stored: Stored) {
        self.batches = self.batches.saturating_sub(1);
        if stored.gap {
            self.resync = Some("observations are missing before a batch");
        }
        self.acknowledged = self.acknowledged.max(stored.mark);
        let ack = v1::Ack { sequence: self.acknowledged };
        self.send(Stream::Data, server_frame::Body::Ack(ack));
    }

    fn silent_at(&self) -> Duration {
        self.last_heard + SILENCE
    }

    fn resync_at(&self) -> Duration {
        self.last_resync.map_or(Duration::ZERO, |last| last + RESYNC_EVERY)
    }

    /// What time alone brings about.
    fn tick(&mut self, now: Duration) {
        match self.state {
            // Not malformed: the link may be slow, and the agent tries again by itself.
            State::Greeting { until } if now >= until => self.end(SessionEnd::Closed(CloseCode::Silent)),
            State::Live if now >= self.silent_at() => self.end(SessionEnd::Closed(CloseCode::Silent)),
            State::Live if self.resync.is_some() && now >= self.resync_at() => {
                let reason = self.resync.take().unwrap_or_default().to_owned();
                self.last_resync = Some(now);
                self.send(Stream::Control, server_frame::Body::Resync(v1::ResyncRequest { reason }));
            }
            State::Greeting { .. } | State::Admitting { .. } | State::Live | State::Ended => {}
        }
    }
}
