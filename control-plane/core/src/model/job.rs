//! The model of jobs: signed orders to agents, and how each ended.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::{AgentId, ApprovalId, IncidentId, JobId, PlanId};
use serde::{Deserialize, Serialize};

use super::{ActionKind, ObjectRef, Scope, Workload, words};

/// How much sooner than any other job that ended one leaves the memory that was only refused again: with the default memory
/// of seven days after two hours.
const REPEATED: SignedDuration = SignedDuration::from_hours(6 * 24 + 22);

words! {
    /// Where a job stands.
    JobState {
        /// Signed and stored, not sent yet.
        Pending = "pending",
        /// Sent; the agent has not answered yet.
        Dispatched = "dispatched",
        /// The agent admitted it.
        Running = "running",
        /// Done, and it helped.
        Succeeded = "succeeded",
        /// Done or tried, and it did not help.
        Failed = "failed",
        /// The agent would not; nothing was done.
        Refused = "refused",
        /// Its time passed before the agent took it.
        Expired = "expired",
        /// Undone after it did not help.
        Compensated = "compensated",
        /// Nobody can say.
        Unknown = "unknown",
    }
}

impl JobState {
    /// Will it never change again?
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Dispatched | Self::Running => false,
            Self::Succeeded
            | Self::Failed
            | Self::Refused
            | Self::Expired
            | Self::Compensated
            | Self::Unknown => true,
        }
    }
}

/// One signed order to one agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The incident it is for.
    pub incident_id: IncidentId,
    /// The plan it carries out.
    pub plan_id: PlanId,
    /// That plan's digest (hex).
    pub plan_digest: String,
    /// The approval it uses, if one was needed.
    pub approval_id: Option<ApprovalId>,
    /// Who does it.
    pub agent_id: AgentId,
    /// Where it acts.
    pub scope: Scope,
    /// Name of the cluster or host, to show.
    pub cluster: String,
    /// Which remedy.
    pub action: ActionKind,
    /// The object acted on.
    pub object: ObjectRef,
    /// The workload on which attempts are counted, if any.
    pub workload: Option<Workload>,
    /// Where it stands.
    pub state: JobState,
    /// Why: for a refusal the agent's code and sentence.
    pub reason: String,
    /// The agent's evidence.
    pub evidence: Vec<String>,
    /// When it was signed.
    pub created_at: Timestamp,
    /// Not taken from then on.
    pub expires_at: Timestamp,
    /// When it was sent first.
    pub dispatched_at: Option<Timestamp>,
    /// When the change was made, as the agent says.
    pub applied_at: Option<Timestamp>,
    /// When it came to its final state.
    pub finished_at: Option<Timestamp>,
    /// Verification window, milliseconds.
    pub verify_ms: u32,
    /// Longest time to get there, milliseconds.
    pub verify_timeout_ms: u32,
    /// The signed envelope, base64 of its protobuf bytes: sent again as it is after a restart.
    pub envelope: String,
    /// UID of the object that replaced the target, if any.
    pub replacement_uid: Option<String>,
    /// Since when its workload has been healthy after it, once its incident was resolved. Attempts count the jobs without
    /// it; it is taken back when the workload is in trouble again too soon.
    pub attempts_reset_at: Option<Timestamp>,
    /// How often this very plan was refused before, for what may be over any moment. If it is not 0, the audit log has a row
    /// for its signing, for each effect and for each answer that is another one, and none for the same refusal again.
    #[serde(default)]
    pub again: u32,
    /// The memory limit that it raises, for those who ask later whether that was tried; its plan may be gone by then.
    #[serde(default)]
    pub raised: Option<RaisedLimit>,
    /// Where it scales a workload: inwards? Its plan may be gone, too.
    #[serde(default)]
    pub scales_in: Option<bool>,
}

/// A memory limit that a job raises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaisedLimit {
    /// Whose limit, by the container's name.
    pub container: String,
    /// To so many bytes.
    pub to_bytes: u64,
    /// The pod template that was planned on (hex).
    pub template_hash: String,
}

impl Job {
    /// The word by which the agent refused it, which the reason of a refusal begins with; `None` where it was not refused.
    pub fn refusal(&self) -> Option<&str> {
        let code = self.reason.split(':').next().unwrap_or_default();
        (self.state == JobState::Refused).then_some(code)
    }

    /// From when on it counts how long ago it was; decisions read no job of which that is too long. One that was only refused
    /// again serves none but a report that is heard twice: kept for as long as attempts are, those of a few pods would be more
    /// than is read at once.
    pub fn counted_from(&self) -> Timestamp {
        let ended = self.finished_at.unwrap_or(self.created_at);
        // That its agent's hour was full is believed for an hour.
        let repeated = self.again > 0 && self.refusal().is_some_and(|code| code != "hourly_budget");
        if repeated { ended.checked_sub(REPEATED).unwrap_or(Timestamp::MIN) } else { ended }
    }
}
