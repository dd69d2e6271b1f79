//! The words that this version uses in `state`, `kind`, `severity` and the like, for the OpenAPI document.
//!
//! The fields themselves are strings: a client that meets a word it does not know shows it as it is.

use utoipa::ToSchema;

/// How bad something is.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Severity {
    /// Something is down.
    Critical,
    /// Something will be, or part of it is.
    Warning,
    /// Worth knowing.
    Info,
}

/// Where an incident or a drifted file stands.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum IncidentState {
    /// Found; nothing is under way, and `reason` says why.
    Open,
    /// A plan waits for a person.
    WaitingApproval,
    /// A job is out.
    Remediating,
    /// Over, with evidence.
    Resolved,
    /// A person is asked.
    Escalated,
    /// A person said to leave it.
    Silenced,
}

/// Which kind of root cause.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A pod of a Deployment crash-loops.
    PodCrashLoop,
    /// A Deployment's new revision passed its progress deadline.
    RolloutStuck,
    /// A watched file differs from its baseline.
    FileDrift,
    /// A container is killed for its memory limit.
    OutOfMemory,
    /// An image cannot be pulled.
    ImagePull,
    /// A node is not ready.
    NodeNotReady,
    /// So much is wrong at once that nothing automatic runs.
    Storm,
}

/// Which remedy.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Action {
    /// Evict a crash-looping pod.
    RestartPod,
    /// Go back to a Deployment's last good revision.
    RollbackDeployment,
    /// Put a watched file back.
    RestoreFile,
    /// Take a watched file's present state as the truth.
    AcceptBaseline,
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Waits for a person.
    Pending,
    /// Given, for one job.
    Approved,
    /// Refused.
    Denied,
    /// Nobody answered in time, or the plan is no longer the one.
    Expired,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum JobState {
    /// Signed and stored, not sent yet.
    Pending,
    /// Sent; the agent has not answered yet.
    Dispatched,
    /// The agent admitted it.
    Running,
    /// Done, and it helped.
    Succeeded,
    /// Done or tried, and it did not help.
    Failed,
    /// The agent would not; nothing was done.
    Refused,
    /// Its time passed before the agent took it.
    Expired,
    /// Undone after it did not help.
    Compensated,
    /// Nobody can say.
    Unknown,
}

/// Where an agent lives.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AgentKind {
    /// In a Kubernetes cluster, or beside one.
    Cluster,
    /// On a host of its own.
    Vpc,
}

/// Whether an agent can be reached.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AgentState {
    /// Its session is up.
    Connected,
    /// It has no session: what it watches is unknown.
    Disconnected,
    /// It is turned away for good.
    Revoked,
}

/// How a cluster is.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Health {
    /// Watched now, and nothing is wrong.
    Healthy,
    /// Watched now, and something is wrong.
    Degraded,
    /// Nobody watches it now, or its first listing is not complete.
    Unknown,
}

/// How far Nimbus may go in a cluster.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Mode {
    /// Watch, open incidents, plan; never act.
    Observe,
    /// Act by the enabled rules.
    Act,
}

/// Who decides whether a rule's remedy runs.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum RuleState {
    /// It runs without asking where it is enabled.
    Automatic,
    /// A person is asked each time.
    Approval,
    /// Nimbus only says what a person could do.
    Recommend,
}

/// How a file differs from its baseline.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum FileChange {
    /// It was not there.
    Added,
    /// It is not there any more.
    Deleted,
    /// Its content or kind is another.
    Modified,
    /// Only mode, owner or group differ.
    Attributes,
    /// What is there now cannot be read, or is not known.
    Unknown,
}
