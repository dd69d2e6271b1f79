//! What `nimbus up` has started, as `-o json` prints it and as the summary shows it.

use std::path::PathBuf;

use jiff::Timestamp;

/// What was started, as `-o json` prints it.
#[derive(Debug, serde::Serialize)]
pub(super) struct Started {
    /// This build.
    pub version: &'static str,
    /// Where operators are served.
    pub server: String,
    /// Where agents are served.
    pub quic: String,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The operator's token is in this file.
    pub token_file: PathBuf,
    /// The own authority's certificate.
    pub ca_file: PathBuf,
    /// The person's own policy for the agent; never changed by this program.
    pub policy_file: PathBuf,
    /// The policy that this program writes for the agent, beside the person's own.
    pub managed_policy_file: PathBuf,
    /// The CLI's context that leads here; `null` when there is no place for a configuration.
    pub context: Option<String>,
    /// True when it is the context that is used when none is named.
    pub context_is_current: bool,
    /// The agent's name.
    pub agent: String,
    /// True when it connected in time.
    pub agent_connected: bool,
    /// Watched paths.
    pub watch: Vec<Watch>,
    /// The cluster that is watched.
    pub cluster: Option<String>,
    /// The remedies that it is enabled for; empty while it is only observed.
    pub cluster_enabled: Vec<String>,
    /// True when there is a cluster that does not answer now, so that the agent keeps trying.
    pub cluster_awaited: bool,
    /// Why no cluster is watched now; empty when one is.
    pub cluster_reason: String,
    /// Things to know, one sentence each.
    pub warnings: Vec<String>,
}

/// A watched path.
#[derive(Debug, serde::Serialize)]
pub(super) struct Watch {
    /// Absolute.
    pub path: PathBuf,
    /// Files of which a baseline is held; `null` while unknown.
    pub files: Option<u64>,
    /// When that baseline was taken, if it is older than this start; `null` when it was first seen now, or is unknown.
    pub baseline_since: Option<Timestamp>,
    /// Empty when all is well.
    pub problem: String,
}
