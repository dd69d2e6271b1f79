//! A refusal: why the agent does not run a job, as a stable code, a sentence, and the report that carries both.

use jiff::Timestamp;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{to_micros, v1};

/// The stable words of `v1::JobReport.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// No signature holds under a trusted key.
    BadSignature,
    /// Signed, but not a whole job within bounds.
    Malformed,
    /// It says what this version does not know: an action, or a field.
    NotUnderstood,
    /// For another agent.
    WrongAgent,
    /// For another cluster.
    WrongCluster,
    /// Its time has not come.
    NotYetValid,
    /// Its time has passed.
    Expired,
    /// Seen before.
    Replayed,
    /// Signed by a control plane that a newer one has replaced.
    StaleEpoch,
    /// The agent's own policy forbids it.
    PolicyForbids,
    /// People have paused this agent, here or at the control plane: it may come again later as it is.
    Paused,
    /// The policy allows it, and no more jobs in this hour: it may come again later as it is.
    HourlyBudget,
    /// The job says other than the plan whose digest it carries.
    PlanMismatch,
    /// The object is not as the plan expected it.
    PreconditionFailed,
    /// Asked beforehand, the API server does not allow the eviction: nothing was touched.
    EvictionRefused,
}

impl Code {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::Malformed => "malformed",
            Self::NotUnderstood => "not_understood",
            Self::WrongAgent => "wrong_agent",
            Self::WrongCluster => "wrong_cluster",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Replayed => "replayed",
            Self::StaleEpoch => "stale_epoch",
            Self::PolicyForbids => "policy_forbids",
            Self::Paused => "paused",
            Self::HourlyBudget => "hourly_budget",
            Self::PlanMismatch => "plan_mismatch",
            Self::PreconditionFailed => "precondition_failed",
            Self::EvictionRefused => "eviction_refused",
        }
    }
}

/// A job that will not be run, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", code.as_str())]
pub struct Refusal {
    /// The stable word.
    pub code: Code,
    /// One sentence: expected, found.
    pub reason: String,
    /// Which job; `None` while nothing in its envelope is believed.
    pub job_id: Option<JobId>,
    /// SHA-256 of the envelope; zeros where no envelope is known.
    pub envelope_sha256: [u8; 32],
    /// Until when the journal has to remember that this job was refused; `None` where it need not remember it.
    pub(crate) remember_until: Option<Timestamp>,
}

impl Refusal {
    /// A refusal that is not tied to a job yet.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), job_id: None, envelope_sha256: [0; 32], remember_until: None }
    }

    /// The same refusal, of this job.
    #[must_use]
    pub fn of(mut self, job_id: JobId, envelope_sha256: [u8; 32]) -> Self {
        self.job_id = Some(job_id);
        self.envelope_sha256 = envelope_sha256;
        self
    }

    /// The report of this refusal.
    pub fn report(&self, now: Timestamp) -> v1::JobReport {
        let phase = if self.code == Code::Replayed {
            v1::job_report::Phase::ReplayRefused
        } else {
            v1::job_report::Phase::Refused
        };
        v1::JobReport {
            job_id: self.job_id.map(|id| id.to_string()).unwrap_or_default(),
            phase: phase.into(),
            at_us: to_micros(now),
            code: self.code.as_str().to_owned(),
            reason: self.reason.clone(),
            envelope_sha256: self.envelope_sha256.to_vec(),
            ..Default::default()
        }
    }
}
