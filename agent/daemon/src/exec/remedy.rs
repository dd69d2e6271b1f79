//! The trait that every remedy's executor implements: its steps, their order, and what each may answer.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use nimbus_agent_core::{Code, Refusal};
use nimbus_protocol::{from_micros, v1};

pub(crate) use nimbus_protocol::v1::job_report::Phase as ReportPhase;

/// Nothing, or not everything, was done.
#[derive(Debug)]
pub(crate) enum ActError {
    /// Nothing was changed, and nothing will be.
    Refused(Refusal),
    /// Nothing was changed; trying failed.
    Failed(String),
    /// Whether it took effect is not known.
    Uncertain(String),
}

/// Whether an effect is there, asked after a crash or an unanswered request.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It is.
    Present,
    /// It is not.
    Absent,
    /// It is not known; why.
    Unknown(String),
}

/// Whether a change helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did, for as long as it had to.
    Succeeded,
    /// It did not.
    Failed,
    /// It is not known.
    Unknown,
}

/// Whether a change helped, and what was seen.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// In one word.
    pub(crate) outcome: Outcome,
    /// One sentence: expected, found.
    pub(crate) reason: String,
    /// What was seen.
    pub(crate) evidence: Vec<String>,
    /// UID and name of the object that replaced the target.
    pub(crate) replacement: Option<(String, String)>,
}

impl Verdict {
    /// A verdict without evidence or replacement.
    pub(crate) fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), evidence: Vec::new(), replacement: None }
    }
}

/// What undoing a change that did not help came to.
#[derive(Debug)]
pub(crate) enum Compensation {
    /// The change is undone; what shows it.
    Undone(Vec<String>),
    /// The change cannot be undone, or undoing it would make things worse; why.
    NotReversible(&'static str),
    /// The change is not undone, although such a change can be; what is left.
    Failed(String),
}

/// One kind of remedy. The flow calls `check`, then `act` at most once, then `verify`, and `compensate` where that says
/// that the change did not help. After a crash `restore` and `probe` come first. `clean_up` is called at every end and
/// may be called twice. No method has a default: a remedy that cannot be undone says so.
pub(crate) trait Remedy: Send {
    /// Reads again what the plan is about, before the intent is noted. `Err` when it is not so any more. Whatever has to hold
    /// at the moment of acting is for `act` to read.
    fn check(&mut self) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// What must be known after a crash; durable before `act`, and again before `compensate`.
    fn checkpoint(&self) -> Vec<u8>;
    /// Takes back what `checkpoint` gave.
    fn restore(&mut self, checkpoint: &[u8]);
    /// Makes the change; what was done, as evidence.
    fn act(&mut self) -> impl Future<Output = Result<Vec<String>, ActError>> + Send;
    /// Is the change there? Only reads.
    fn probe(&mut self) -> impl Future<Output = Effect> + Send;
    /// Watches whether the change helped. Only reads, but for what it cleans up.
    fn verify(&mut self) -> impl Future<Output = Verdict> + Send;
    /// Undoes the change, if nobody changed the object since. Called again after a crash: what is undone stays so.
    fn compensate(&mut self) -> impl Future<Output = Compensation> + Send;
    /// Undoes what was only needed on the way; `Err` says what is left over.
    fn clean_up(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// A duration as a person reads it in a report: `30 s`, `1.5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// A job's limits with its defaults and bounds: a value of 0 for acting or reaching the state means the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Longest time to act.
    pub(crate) act: Duration,
    /// How long the result must hold.
    pub(crate) hold: Duration,
    /// Longest time to reach and hold that state.
    pub(crate) reach: Duration,
    /// Nothing begins from here on, by the control plane's clock.
    pub(crate) expires: Timestamp,
    /// When this was, by the same clock.
    pub(crate) asked: Timestamp,
    /// And by the one that cannot jump.
    asked_at: Instant,
}

/// While an effect may begin: until the job expires, and while the flow waits for it. For what waits on the way, and
/// cannot be called back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    opened: Instant,
    limits: Limits,
}

impl Window {
    /// Asked at the last moment before the effect.
    pub(crate) fn still_open(&self) -> Result<(), ActError> {
        let (now, expires) = (self.limits.now(), self.limits.expires);
        if now < expires && self.opened.elapsed() < self.limits.act {
            return Ok(());
        }
        let waited = self.opened.elapsed().as_millis();
        let reason = format!("expected to act before {expires}, found {now} after a wait of {waited} ms");
        Err(ActError::Refused(Refusal::new(Code::Expired, reason)))
    }
}

impl Limits {
    /// Those of `job`; `now` by the control plane's clock.
    pub(crate) fn of(job: &v1::Job, now: Timestamp) -> Self {
        const HOUR: u32 = 3_600_000;
        let given = job.limits.unwrap_or(v1::Limits { act_ms: 0, verify_ms: 30_000, verify_timeout_ms: 0 });
        let or = |value: u32, default: u32| if value == 0 { default } else { value.min(HOUR) };
        let hold = given.verify_ms.min(HOUR);
        Self {
            act: Duration::from_millis(or(given.act_ms, 30_000).into()),
            hold: Duration::from_millis(hold.into()),
            // The state must have time to hold at all.
            reach: Duration::from_millis(or(given.verify_timeout_ms, 180_000).max(hold).into()),
            expires: from_micros(job.expires_at_us),
            asked: now,
            asked_at: Instant::now(),
        }
    }

    /// The control plane's time now: what it was, and what has passed since.
    fn now(&self) -> Timestamp {
        let passed = jiff::SignedDuration::try_from(self.asked_at.elapsed());
        passed.map_or(Timestamp::MAX, |passed| self.asked.saturating_add(passed).unwrap_or(Timestamp::MAX))
    }

    /// The time to begin, from now on.
    pub(crate) fn window(self) -> Window {
        Window { opened: Instant::now(), limits: self }
    }

    /// Between two looks while verifying.
    pub(crate) fn pace(&self) -> Duration {
        (self.hold / 5).clamp(Duration::from_millis(100), Duration::from_secs(1))
    }
}

/// A refusal because something is not as the plan expected.
pub(crate) fn precondition(reason: impl Into<String>) -> Refusal {
    Refusal::new(Code::PreconditionFailed, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(expires_in: jiff::SignedDuration, act_ms: u32) -> Window {
        let limits = v1::Limits { act_ms, verify_ms: 0, verify_timeout_ms: 0 };
        let now = nimbus_platform::now();
        let expires_at_us = nimbus_protocol::to_micros(now + expires_in);
        Limits::of(&v1::Job { expires_at_us, limits: Some(limits), ..v1::Job::default() }, now).window()
    }

    #[test]
    fn nothing_begins_after_the_expiry_or_when_nobody_waits_for_it() {
        let minute = jiff::SignedDuration::from_mins(1);
        assert!(window(minute, 1_000).still_open().is_ok());
        let mut late = window(minute, 1_000);
        late.limits.act = Duration::ZERO;
        for closed in [window(-minute, 1_000), late] {
            let Err(ActError::Refused(refusal)) = closed.still_open() else { panic!("still open") };
            assert_eq!(refusal.code, Code::Expired);
        }
    }
}
