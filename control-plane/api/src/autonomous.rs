//! The API's view of autonomous operation: what Nimbus may do by itself in each cluster, and what it has done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ObjectRef, words};

/// How far Nimbus may go in one cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AutonomousStatus {
    /// UID of the cluster.
    pub id: String,
    /// When the cluster was first seen.
    pub created_at: Timestamp,
    /// Name of the cluster.
    pub cluster: String,
    /// Observe or act.
    #[schema(value_type = words::Mode)]
    pub state: String,
    /// True while people have paused this cluster or the whole fleet: nothing new is begun here, whoever orders it.
    #[serde(default)]
    pub paused: bool,
    /// What keeps it from acting now; empty when nothing does.
    pub reason: String,
    /// The remedies that are enabled.
    #[schema(value_type = Vec<words::Action>)]
    pub enabled: Vec<String>,
    /// Enabled remedies that the leading agent's own policy forbids, or all of them while no agent leads.
    #[schema(value_type = Vec<words::Action>)]
    pub forbidden: Vec<String>,
    /// True in a storm: so much is wrong at once that nothing automatic runs.
    pub storm: bool,
    /// Jobs that are not final.
    pub jobs_in_flight: u32,
    /// Approvals that wait for a person.
    pub waiting_approvals: u32,
}

/// That people paused Nimbus somewhere: nothing new is begun there until it is resumed or its time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    /// `fleet`, or `cluster/` and the cluster's UID.
    pub id: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Name of the paused cluster; `null`: the fleet, which is every cluster and every host.
    pub cluster: Option<String>,
    /// Who paused it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When it ends by itself; `null`: when it is resumed.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Those of other people that end no later, and hold when this one is resumed.
    #[serde(default)]
    pub beneath: Vec<PauseBeneath>,
}

/// Another person's pause of the same, which ends no later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseBeneath {
    /// Who paused it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// When it ends; `null`: when it is resumed.
    pub until: Option<Timestamp>,
}

/// What Nimbus does about one kind of incident, or for which cases a remedy is begun: the rules that are part of the product, which
/// clusters enable, and those that people set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// The remedy's word, as `enable` takes it; where Nimbus only recommends, the incident's kind. Of a rule that somebody set beside
    /// those: its name.
    #[schema(example = "restart_pod")]
    pub id: String,
    /// When the rule came into the product, or was set first.
    pub created_at: Timestamp,
    /// How often it was set; 0: as it is built in.
    #[serde(default)]
    pub version: u32,
    /// Its name among the rules that can be shown and set; `null` where Nimbus only recommends, and where a person orders it.
    #[serde(default)]
    pub name: Option<String>,
    /// The incidents it answers, or the first kind of them.
    #[schema(value_type = words::IncidentKind)]
    pub kind: String,
    /// Who decides.
    #[schema(value_type = words::RuleState)]
    pub state: String,
    /// The remedy; `null` where Nimbus only recommends.
    #[schema(value_type = Option<words::Action>)]
    pub action: Option<String>,
    /// What it does.
    pub summary: String,
    /// What keeps it from acting.
    pub limits: Vec<String>,
    /// True where a cluster has to enable it first; files are governed by the agent's own policy alone.
    pub per_cluster: bool,
    /// Names of the clusters that have it enabled.
    pub enabled_in: Vec<String>,
}

/// A window or a blackout of the settings, and where it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Period {
    /// What people call it; no two of a kind have the same.
    #[schema(example = "month-end")]
    pub name: String,
    /// What it does.
    #[schema(value_type = words::PeriodKind)]
    pub kind: String,
    /// Where it stands.
    #[schema(value_type = words::PeriodState)]
    pub state: String,
    /// When that changes; `null`: not within a week, or never.
    pub changes_at: Option<Timestamp>,
    /// When it is, by the clocks of its zone.
    #[schema(example = "fri 22:00 to 06:00 (Europe/Berlin)")]
    pub when: String,
    /// For these actions; empty: for every one.
    #[schema(value_type = Vec<words::Action>)]
    pub actions: Vec<String>,
    /// In the clusters and on the hosts of these names or ids; empty: everywhere.
    pub clusters: Vec<String>,
}

/// One remedy that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryItem {
    /// The job: `job_…`
    pub id: String,
    /// When it was signed.
    pub created_at: Timestamp,
    /// Name of the cluster or host.
    pub cluster: String,
    /// Which remedy.
    #[schema(value_type = words::Action)]
    pub kind: String,
    /// Its state.
    #[schema(value_type = words::JobState)]
    pub state: String,
    /// The object acted on.
    pub object: ObjectRef,
    /// Why it is in that state.
    pub reason: String,
    /// The incident it was for.
    pub incident_id: String,
    /// True when nobody was asked.
    pub automatic: bool,
    /// The approval it used; `null` for an automatic one, and for one that an operator asked for.
    pub approval_id: Option<String>,
    /// When the change was made.
    pub applied_at: Option<Timestamp>,
    /// When it came to its final state.
    pub finished_at: Option<Timestamp>,
    /// Milliseconds from signed to final; `null` while it runs.
    pub duration_ms: Option<i64>,
}
