//! The state machine of a session: each event changes the state and yields actions for the daemon to carry out.

use std::collections::VecDeque;
use std::time::Duration;

use nimbus_protocol::close::CloseCode;
use nimbus_protocol::refusal::STANDBY;
use nimbus_protocol::v1::{self, agent_frame, server_frame};
use nimbus_protocol::{MAX_BATCH_OBSERVATIONS, version};

use super::backoff::Backoff;
use super::reports::Reports;
use super::{Action, BATCH_BYTES, Event, Settings, State, WINDOW};

/// Between heartbeats when the Welcome names no time.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// So many heartbeats without a word, and the peer is gone.
const SILENT_BEATS: u32 = 3;
/// Longest wait that a refusal may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The session with the control plane; see the module.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    /// When this state began.
    since: Duration,
    backoff: Backoff,
    actions: VecDeque<Action>,
    /// Last sequence of each unacknowledged batch, and when it was sent.
    in_flight: VecDeque<(u64, Duration)>,
    acknowledged: u64,
    reports: Reports,
    /// A `Pull` is not answered yet.
    pulling: bool,
    /// The spool may have more.
    pending: bool,
    max_observations: usize,
    heartbeat: Duration,
    next_heartbeat: Duration,
    last_heard: Duration,
    problem: Option<String>,
}

impl Session {
    /// A session that connects at once.
    pub fn new(settings: Settings, now: Duration) -> Self {
        let mut session = Self {
            settings,
            state: State::Disconnected { retry_at: now },
            since: now,
            backoff: Backoff::new(settings.backoff_base, settings.backoff_max),
            actions: VecDeque::new(),
            in_flight: VecDeque::new(),
            acknowledged: 0,
            reports: Reports::default(),
            pulling: false,
            pending: false,
            max_observations: MAX_BATCH_OBSERVATIONS,
            heartbeat: HEARTBEAT,
            next_heartbeat: now,
            last_heard: now,
            problem: None,
        };
        session.tick(now, 0);
        session
    }

    /// Takes what happened at `now`; `random` spreads reconnects.
    pub fn handle(&mut self, event: Event, now: Duration, random: u64) {
        match event {
            Event::Connected(hello) => self.connected(*hello, now),
            Event::Closed(reason) => self.disconnect(reason, Duration::ZERO, now, random),
            Event::Switched => self.switched(now),
            Event::Frame(frame) => self.frame(*frame, now, random),
            Event::ReportsPending => self.reports.pending(),
            Event::Reports(reports) => {
                for report in self.reports.pulled(reports, now) {
                    self.send_report(report);
                }
            }
            Event::Refusal(report) => {
                if self.state == State::Live && self.reports.may_send_refusal(&report) {
                    self.send_report(*report);
                }
            }
            Event::Pending => self.pending = true,
            Event::BatchSent(sequence) => self.batch_sent(sequence, now),
            Event::NothingPending => self.pulling = false,
            Event::Timeout => {}
        }
        self.tick(now, random);
        self.pull();
    }

    /// The next thing to do; ask until `None` after each event.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to send [`Event::Timeout`] at the latest.
    pub fn next_timeout(&self) -> Duration {
        match self.state {
            State::Disconnected { retry_at } => retry_at,
            State::Connecting => self.since + self.settings.connect_timeout,
            State::Greeting => self.since + self.settings.greeting_timeout,
            State::Live => {
                let silent = self.last_heard + self.heartbeat * SILENT_BEATS;
                let oldest =
                    self.in_flight.front().map(|(_, sent)| *sent).into_iter().chain(self.reports.oldest());
                let late = oldest.min().map(|sent| sent + self.settings.ack_timeout);
                self.next_heartbeat.min(silent).min(late.unwrap_or(silent))
            }
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Why it is not live, in one sentence; `None` when it is, and before the first attempt failed.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Batches sent and not acknowledged, at most [`WINDOW`].
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn enter(&mut self, state: State, now: Duration) {
        self.state = state;
        self.since = now;
    }

    fn connected(&mut self, mut hello: v1::Hello, now: Duration) {
        if self.state != State::Connecting {
            return;
        }
        hello.lowest_version = version::LOWEST;
        hello.highest_version = version::HIGHEST;
        let body = Some(agent_frame::Body::Hello(hello));
        self.actions.push_back(Action::Send(Box::new(v1::AgentFrame { body })));
        self.enter(State::Greeting, now);
    }

    fn frame(&mut self, frame: v1::ServerFrame, now: Duration, random: u64) {
        use server_frame::Body;
        self.last_heard = now;
        match (self.state, frame.body) {
            (State::Greeting | State::Live, Some(Body::Refusal(refusal))) => {
                self.refused(&refusal, now, random);
            }
            (State::Greeting, Some(Body::Welcome(welcome))) => self.welcome(welcome, now, random),
            (State::Live, Some(Body::Ack(ack))) => self.ack(ack.sequence, now, random),
            (State::Live, Some(Body::JobReportAck(ack))) => {
                if self.reports.acknowledged(&ack) {
                    self.actions.push_back(Action::ReportAcknowledged(ack));
                }
            }
            (State::Live, Some(Body::Job(envelope))) => self.actions.push_back(Action::Job(envelope)),
            (State::Live, Some(Body::Pause(pause))) => self.actions.push_back(Action::Pause(pause)),
            (State::Live, Some(Body::Resync(request))) => {
                self.actions.push_back(Action::Resync(request.reason));
            }
            (State::Live, Some(Body::Renewed(response))) => self.actions.push_back(Action::Renewed(response)),
            // A late frame of a connection that is gone, a heartbeat, or a kind that a newer peer knows.
            (State::Disconnected { .. } | State::Connecting, _) | (_, None | Some(Body::Heartbeat(_))) => {}
            (State::Greeting, Some(_)) => self.malformed("something before the welcome", now, random),
            (State::Live, Some(Body::Welcome(_))) => self.malformed("a second welcome", now, random),
            (State::Live, Some(Body::Enrolled(_))) => self.malformed("an enrolment", now, random),
        }
    }

    fn welcome(&mut self, welcome: v1::Welcome, now: Duration, random: u64) {
        if !(version::LOWEST..=version::HIGHEST).contains(&welcome.version) {
            let found = format!("a welcome for protocol version {}", welcome.version);
            return self.malformed(&found, now, random);
        }
        let asked = Duration::from_millis(welcome.heartbeat_ms.into());
        self.heartbeat = if asked.is_zero() {
            HEARTBEAT
        } else {
            asked.clamp(Duration::from_millis(100), Duration::from_mins(1))
        };
        let most = usize::try_from(welcome.max_batch_observations).unwrap_or(usize::MAX);
        self.max_observations =
            if most == 0 { MAX_BATCH_OBSERVATIONS } else { most.min(MAX_BATCH_OBSERVATIONS) };
        self.acknowledged = welcome.acknowledged;
        self.next_heartbeat = now + self.heartbeat;
        self.pending = true;
        self.reports.connected();
        self.problem = None;
        self.enter(State::Live, now);
        self.actions.push_back(Action::Welcomed(welcome));
    }

    fn ack(&mut self, sequence: u64, now: Duration, random: u64) {
        let sent = self.in_flight.back().map_or(self.acknowledged, |(last, _)| *last);
        if sequence > sent {
            let found = format!("an acknowledgement of {sequence} when {sent} was the last one sent");
            return self.malformed(&found, now, random);
        }
        while self.in_flight.front().is_some_and(|(last, _)| *last <= sequence) {
            self.in_flight.pop_front();
        }
        if sequence > self.acknowledged {
            self.acknowledged = sequence;
            self.actions.push_back(Action::Acknowledged(sequence));
        }
    }

    fn batch_sent(&mut self, sequence: u64, now: Duration) {
        if std::mem::take(&mut self.pulling) && self.state == State::Live {
            self.in_flight.push_back((sequence, now));
            self.pending = true;
        }
    }

    fn send_report(&mut self, report: v1::JobReport) {
        let body = Some(agent_frame::Body::JobReport(report));
        self.actions.push_back(Action::Send(Box::new(v1::AgentFrame { body })));
    }

    /// Asks for what there is room for: reports first, as they are few and somebody waits for them.
    fn pull(&mut self) {
        if self.state == State::Live
            && let Some((most, sent)) = self.reports.pull()
        {
            self.actions.push_back(Action::PullReports { most, sent });
        }
        if self.state == State::Live && self.pending && !self.pulling && self.in_flight.len() < WINDOW {
            self.pulling = true;
            self.pending = false;
            self.actions
                .push_back(Action::Pull { max_observations: self.max_observations, max_bytes: BATCH_BYTES });
        }
    }

    /// What time alone brings about.
    fn tick(&mut self, now: Duration, random: u64) {
        match self.state {
            State::Disconnected { retry_at } if now >= retry_at => {
                self.actions.push_back(Action::Connect);
                self.enter(State::Connecting, now);
            }
            State::Connecting | State::Greeting if now >= self.next_timeout() => {
                let waited = now.saturating_sub(self.since).as_secs();
                let what = if self.state == State::Connecting { "a connection" } else { "a welcome" };
                self.close(
                    CloseCode::Silent,
                    format!("expected {what} within {waited} s, found none"),
                    now,
                    random,
                );
            }
            State::Live => self.tick_live(now, random),
            State::Disconnected { .. } | State::Connecting | State::Greeting => {}
        }
    }

    fn tick_live(&mut self, now: Duration, random: u64) {
        if now >= self.last_heard + self.heartbeat * SILENT_BEATS {
            let silent = now.saturating_sub(self.last_heard).as_secs();
            return self.close(
                CloseCode::Silent,
                format!("the control plane was silent for {silent} s"),
                now,
                random,
            );
        }
        if let Some((last, sent)) = self.in_flight.front().copied()
            && now >= sent + self.settings.ack_timeout
        {
            let waited = now.saturating_sub(sent).as_secs();
            let reason = format!("expected an acknowledgement of {last} within {waited} s, found none");
            return self.close(CloseCode::Silent, reason, now, random);
        }
        if let Some(sent) = self.reports.oldest()
            && now >= sent + self.settings.ack_timeout
        {
            let waited = now.saturating_sub(sent).as_secs();
            let reason =
                format!("expected an acknowledgement of a job's report within {waited} s, found none");
            return self.close(CloseCode::Silent, reason, now, random);
        }
        if now >= self.next_heartbeat {
            self.next_heartbeat = now + self.heartbeat;
            self.actions.push_back(Action::Heartbeat);
        }
    }

    fn refused(&mut self, refusal: &v1::Refusal, now: Duration, random: u64) {
        let v1::Refusal { code, expected, found, remedy, retry_after_ms } = refusal;
        let reason = format!("refused ({code}): expected {expected}, found {found}; {remedy}");
        let wait = if *retry_after_ms == 0 {
            self.settings.refused_wait
        } else {
            Duration::from_millis((*retry_after_ms).into()).min(MAX_RETRY_AFTER)
        };
        if code == STANDBY {
            // It is there, and another one may lead by now: no reason to come less and less often.
            self.backoff.reset();
        }
        self.actions.push_back(Action::Close { code: CloseCode::Done, reason: "refused".to_owned() });
        self.disconnect(reason, wait, now, random);
    }

    fn malformed(&mut self, found: &str, now: Duration, random: u64) {
        self.close(
            CloseCode::Malformed,
            format!("the control plane does not keep to the protocol: found {found}"),
            now,
            random,
        );
    }

    fn close(&mut self, code: CloseCode, reason: String, now: Duration, random: u64) {
        self.actions.push_back(Action::Close { code, reason: reason.clone() });
        self.disconnect(reason, Duration::ZERO, now, random);
    }

    /// The connection is gone: waits `at_least`, and more by the back-off, and forgets what was meant for it.
    fn disconnect(&mut self, reason: String, at_least: Duration, now: Duration, random: u64) {
        if matches!(self.state, State::Disconnected { .. }) {
            return;
        }
        if self.state == State::Live && now.saturating_sub(self.since) >= self.settings.stable_after {
            self.backoff.reset();
        }
        self.forget_connection();
        let retry_at = now + at_least + self.backoff.next(random);
        self.problem = Some(reason);
        self.enter(State::Disconnected { retry_at }, now);
    }

    /// Another connection takes over. Nothing failed: there is no wait and no problem.
    fn switched(&mut self, now: Duration) {
        if self.state != State::Live {
            return;
        }
        let reason = "another way to the control plane takes over".to_owned();
        self.actions.push_back(Action::Close { code: CloseCode::Done, reason });
        self.forget_connection();
        self.enter(State::Disconnected { retry_at: now }, now);
    }

    /// Forgets what was meant for the connection that is over; what came over it counts.
    fn forget_connection(&mut self) {
        self.actions.retain(|action| match action {
            Action::Acknowledged(_)
            | Action::ReportAcknowledged(_)
            | Action::Job(_)
            | Action::Pause(_)
            | Action::Resync(_)
            | Action::Renewed(_)
            | Action::Close { .. } => true,
            Action::Connect
            | Action::Send(_)
            | Action::Heartbeat
            | Action::Welcomed(_)
            | Action::Pull { .. }
            | Action::PullReports { .. } => false,
        });
        self.in_flight.clear();
        self.pulling = false;
        self.reports = Reports::default();
    }
}
