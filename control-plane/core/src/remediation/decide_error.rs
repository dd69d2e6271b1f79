//! Why an operator's decision is refused: what was expected, what was found, what to do.

use jiff::Timestamp;
use nimbus_protocol::ids::{ApprovalId, IncidentId, JobId};

use crate::model::{ActionKind, ApprovalState, IncidentKind, IncidentState, JobState, Mode};

/// Why a person's decision cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// Answered before.
    #[error("expected a pending approval, found {id} {state} by {by}; nothing was changed")]
    AlreadyDecided {
        /// The approval.
        id: ApprovalId,
        /// What it is.
        state: ApprovalState,
        /// Who answered.
        by: String,
    },
    /// Used for a job.
    #[error("approval {id} was used for job {job} and cannot be used again")]
    Used {
        /// The approval.
        id: ApprovalId,
        /// Its job.
        job: JobId,
    },
    /// Nobody answered in time.
    #[error("approval {id} expired at {at}; wait for the next request (`nimbus approvals`)")]
    Expired {
        /// The approval.
        id: ApprovalId,
        /// When.
        at: Timestamp,
    },
    /// The plan is no longer the one.
    #[error("approval {id} is void: {reason}; look at the incident for what is planned now")]
    Superseded {
        /// The approval.
        id: ApprovalId,
        /// Why.
        reason: String,
    },
    /// The digest shown is not the approval's.
    #[error("expected the plan that was shown ({shown}), found {found}; look at it again before you decide")]
    DigestChanged {
        /// What the client says it showed.
        shown: String,
        /// What the approval is for.
        found: String,
    },
    /// The requester may not approve.
    #[error("{by} asked for this plan and may not approve it; another person has to")]
    OwnRequest {
        /// Who.
        by: String,
    },
    /// The person's word is not one that is needed.
    #[error("approval {id} needs {needed}; found {by}, who is in {groups}")]
    NotAsked {
        /// The approval.
        id: ApprovalId,
        /// Whose word is still needed, in words.
        needed: String,
        /// Who answered.
        by: String,
        /// The person's groups, in words.
        groups: String,
    },
    /// The person approved before, and one word counts once.
    #[error("{by} has approved {id} already; another person has to as well")]
    WordGiven {
        /// The approval.
        id: ApprovalId,
        /// Who.
        by: String,
    },
    /// One person is enough, and nothing holds it back.
    #[error(
        "approval {id} needs one person's word, and no window or blackout holds it back: there is no glass to break; approve it"
    )]
    NoGlass {
        /// The approval.
        id: ApprovalId,
    },
    /// What is done alone, or looked at afterwards, is said in words.
    #[error("expected a reason with {id}, found none; nothing was changed")]
    NoReason {
        /// The approval.
        id: ApprovalId,
    },
    /// Nobody broke the glass.
    #[error("nobody approved {id} alone where several had to; there is nothing to review")]
    NothingToReview {
        /// The approval.
        id: ApprovalId,
    },
    /// Reviewed before.
    #[error("approval {id} was reviewed by {by} at {at:.0}; nothing was changed")]
    Reviewed {
        /// The approval.
        id: ApprovalId,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Who broke the glass does not close the review.
    #[error("{by} broke the glass of {id} and may not review that; another person has to")]
    OwnGlass {
        /// The approval.
        id: ApprovalId,
        /// Who.
        by: String,
    },
    /// The documents do not belong together.
    #[error("approval {id} does not belong to this plan and incident")]
    Mismatch {
        /// The approval.
        id: ApprovalId,
    },
    /// There is no such open incident.
    #[error("there is no open incident {0}; it may be resolved (`nimbus incidents --all`)")]
    NoIncident(IncidentId),
    /// The incident is over.
    #[error("incident {0} is resolved; nothing is left to decide")]
    Resolved(IncidentId),
    /// A job is in flight.
    #[error("incident {incident} is being worked on by job {job}; wait until it is done")]
    JobRunning {
        /// The incident.
        incident: IncidentId,
        /// Its job.
        job: JobId,
    },
    /// Agents of a cluster that is to be removed are connected.
    #[error("{connected} agents of cluster {cluster} are connected; take them away first")]
    AgentsConnected {
        /// The cluster's name.
        cluster: String,
        /// How many.
        connected: usize,
    },
    /// A cluster is to be removed so soon after a start that its agents may be on their way back.
    #[error(
        "the control plane has just started, and agents of cluster {cluster} may be on their way back until {until:.0}"
    )]
    AgentsComeBack {
        /// The cluster's name.
        cluster: String,
        /// Until when.
        until: Timestamp,
    },
    /// Not an incident of the kind that this decision is about.
    #[error("expected an incident of kind {expected}, found {found}")]
    WrongKind {
        /// What it should be.
        expected: IncidentKind,
        /// What it is.
        found: IncidentKind,
    },
    /// What is there now cannot be accepted.
    #[error("{path} cannot be the new baseline: {problem}")]
    NoBaseline {
        /// The file.
        path: String,
        /// Why.
        problem: String,
    },
    /// Not an acceptance that an agent carried out.
    #[error("expected an accepted baseline, whose job {job} succeeded, found {action} {state}")]
    NotAccepted {
        /// The job.
        job: JobId,
        /// What it does.
        action: ActionKind,
        /// What became of it.
        state: JobState,
    },
    /// Another baseline was taken since, or the agent says nothing of that file's root.
    #[error("the accepted baseline of {path} is not in force: {problem}; nothing was changed")]
    NotInForce {
        /// The file.
        path: String,
        /// Why.
        problem: String,
    },
    /// The agent that would carry the order out is away or does not allow it.
    #[error("{0}; nothing was changed")]
    NotAllowed(String),
    /// The world is not known well enough.
    #[error("{0}; try again when it is")]
    Unknown(String),
    /// The rule is not one that a cluster is enabled for.
    #[error("expected rules of clusters ({expected}), found {found}")]
    NotAClusterRule {
        /// The rules there are.
        expected: String,
        /// What was asked.
        found: ActionKind,
    },
    /// What is enabled is asked for or done.
    #[error(
        "expected recommend or act, found {0}; `nimbus autonomous disable` only observes a cluster, or not even that"
    )]
    NotAModeToEnable(Mode),
    /// Nothing denied here to ask again.
    #[error("incident {incident} is {state}; only an incident whose plan was denied can be asked again")]
    NotDenied {
        /// The incident.
        incident: IncidentId,
        /// What it is.
        state: IncidentState,
    },
    /// A silence has to end in the future.
    #[error("expected an end of the silence after now, found {0}")]
    SilenceEnds(Timestamp),
}
