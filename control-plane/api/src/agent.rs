//! The API's agents, the hosts that they run on, and the join tokens for new agents.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

/// A path that an agent watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedRoot {
    /// Absolute path.
    pub path: String,
    /// Files under it of which a baseline is held.
    pub files: u64,
    /// Empty when all is well, otherwise what was expected and found.
    pub problem: String,
    /// When the baseline was taken; `null` while there is none or that is unknown.
    #[serde(default)]
    pub baseline_since: Option<Timestamp>,
}

/// How many jobs an agent takes: by its own policy, and by the caps of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Pace {
    /// Jobs an hour that its own policy takes; `null`: unknown, as of an older agent.
    pub jobs_per_hour: Option<u32>,
    /// Jobs that it would still take now; `null`: unknown.
    pub jobs_left: Option<u32>,
    /// Jobs that are given to it at the same time.
    pub at_once: u32,
    /// Seconds that a job on a file takes at least: it has to hold for so long.
    pub job_seconds: u32,
}

/// An enrolled agent and the last that it reported of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// `agt_…`
    pub id: String,
    /// When it enrolled.
    pub created_at: Timestamp,
    /// The operator's name for it.
    pub name: String,
    /// Where it lives.
    #[schema(value_type = words::AgentKind)]
    pub kind: String,
    /// Whether it can be reached.
    #[schema(value_type = words::AgentState)]
    pub state: String,
    /// Why it is in that state: its first problem, or why it cannot be reached; empty when all is well.
    pub reason: String,
    /// Name of the cluster that it watches; `null` when it watches none.
    pub cluster: Option<String>,
    /// UID of that cluster.
    pub cluster_uid: Option<String>,
    /// Namespace and name of the pod that it proved to run in; `null` for one that joined with a token alone.
    #[serde(default)]
    pub pod: Option<String>,
    /// That pod's node; `null` where the API server does not say it (before Kubernetes 1.30), and without a pod.
    #[serde(default)]
    pub node: Option<String>,
    /// The host it runs on, as it says; empty before its first report.
    pub hostname: String,
    /// Its build; empty before its first report.
    pub version: String,
    /// True while it holds its cluster's watch lease.
    pub leading: bool,
    /// What its own policy allows; empty: observe only.
    pub allowed_actions: Vec<String>,
    /// What of that goes without a person's approval on the word of a rule, also where one would be needed.
    #[serde(default)]
    pub automatic_actions: Vec<String>,
    /// How many jobs it takes.
    #[serde(default)]
    pub pace: Pace,
    /// The way of its session: `quic`, `tcp` or `tcp through proxy`; `null`: it is not connected.
    #[serde(default)]
    pub transport: Option<String>,
    /// What it watches on its host.
    pub roots: Vec<WatchedRoot>,
    /// Why it begins nothing: somebody paused it on its own side (`nimbus-agent pause`); `null` when nobody did.
    #[serde(default)]
    pub paused: Option<String>,
    /// Problems it reports, one sentence each.
    pub problems: Vec<String>,
    /// Observations it had to drop since its spool was made.
    pub dropped: u64,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// An agent with the health of its host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentDetail {
    /// The agent as lists show it.
    #[serde(flatten)]
    pub agent: Agent,
    /// Transitions of its cluster's watch lease when it was taken.
    pub lease_term: u64,
    /// The last sample of its host; `null`: unknown.
    pub host: Option<HostHealth>,
    /// The units of its host that its policy names, failed or did so lately; empty too where it asks no systemd.
    #[serde(default)]
    pub units: Vec<UnitHealth>,
    /// How many more there are that belong into the list.
    #[serde(default)]
    pub units_not_listed: u32,
}

/// One sample of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostHealth {
    /// When the agent took it; `null`: unknown.
    pub at: Option<Timestamp>,
    /// Operating system.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor cores.
    pub cores: u32,
    /// Percent of all cores in use.
    pub cpu_percent: f64,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Bytes of memory.
    pub memory_total_bytes: u64,
    /// Bytes of memory that a new process could get.
    pub memory_available_bytes: u64,
    /// Bytes of swap.
    pub swap_total_bytes: u64,
    /// Bytes of swap in use.
    pub swap_used_bytes: u64,
    /// Processes.
    pub processes: u32,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Its file systems.
    pub disks: Vec<DiskHealth>,
}

/// One file system of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskHealth {
    /// Where it is mounted.
    pub mount: String,
    /// Its type.
    pub filesystem: String,
    /// Bytes.
    pub total_bytes: u64,
    /// Bytes that are free to use.
    pub available_bytes: u64,
}

/// One unit of a host's systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnitHealth {
    /// Its whole name.
    pub name: String,
    /// systemd's words: `failed (exit-code)`, `active (running)`.
    pub state: String,
    /// Did it fail?
    pub failed: bool,
    /// When the control plane first heard of it in this state.
    pub since: Timestamp,
    /// Why the agent could not start it again, one sentence; empty where it could, and of one that did not fail.
    pub obstacle: String,
}

/// A new join token. The only answer that ever holds the secret: it is not kept and cannot be shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// `tok_…`
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Name that the agent will get.
    pub name: String,
    /// Kind that the agent will be.
    #[schema(value_type = words::AgentKind)]
    pub kind: String,
    /// UID of the only cluster that the agent may report for; `null`: one that no other agent reports for.
    pub cluster: Option<String>,
    /// From then on it is not accepted.
    pub expires_at: Timestamp,
    /// How many agents may join with it until then.
    #[serde(default = "once")]
    pub uses: u32,
    /// The token itself.
    #[schema(example = "nimbus1.tok_….SECRET.FINGERPRINT")]
    pub token: String,
    /// Address (host and UDP port) at which the control plane listens for agents; `null` while it does not yet.
    pub server: Option<String>,
}

/// A join token as lists show it: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinTokenItem {
    /// `tok_…`
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Name that its agent gets; of several agents each has a number behind it.
    pub name: String,
    /// Kind that its agents are.
    #[schema(value_type = words::AgentKind)]
    pub kind: String,
    /// Whether it can be used.
    #[schema(value_type = words::JoinTokenState)]
    pub state: String,
    /// Why it cannot be used, and since when; empty while it can.
    pub reason: String,
    /// Name of the only cluster whose agents may use it: the one it was made for, or that of its first agent; `null`: none yet.
    pub cluster: Option<String>,
    /// UID of that cluster.
    pub cluster_uid: Option<String>,
    /// How many agents may join with it.
    pub uses: u32,
    /// How many did.
    pub used: u32,
    /// From then on it is not accepted, whatever is left of it.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What an older control plane, which does not say it, means.
const fn once() -> u32 {
    1
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JoinToken({}, secret withheld)", self.id)
    }
}
