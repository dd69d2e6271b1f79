//! The API's answer before nodes are drained.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::words;

/// Which nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DrainQuery {
    /// Names of nodes, 100 at most, with commas between them.
    pub nodes: String,
}

/// What draining nodes would do, as far as it is known. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeDrain {
    /// The cluster's UID.
    pub cluster: String,
    /// The nodes that were asked about, all of them drained at once.
    pub nodes: Vec<String>,
    /// Whether it finishes, if the replacements of the pods become ready.
    #[schema(value_type = words::DrainVerdict)]
    pub verdict: String,
    /// How many pods would go.
    pub going: u32,
    /// How many pods would stay: of DaemonSets, the kubelet's own, and those that have ended.
    pub staying: u32,
    /// The pods that are in the way, 200 at most.
    pub in_the_way: Vec<PodInTheWay>,
    /// How many more there are.
    pub in_the_way_left_out: u32,
    /// Each of the other pods fits somewhere alone; for so many of them at least there is no room together.
    pub without_room: u32,
    /// What could not be told, and why.
    pub not_known: Vec<String>,
    /// What a person could do so that it finishes.
    pub changes: Vec<String>,
    /// Whether fewer of these would not do; false where that is not known.
    pub changes_are_fewest: bool,
    /// The pods that go, round by round: each begins once the replacements of the one before are ready, as the
    /// PodDisruptionBudgets ask for. Empty unless it finishes.
    pub rounds: Vec<Vec<String>>,
    /// Milliseconds that the rounds take if each replacement becomes ready as quickly as its pod did; `null`: not known.
    pub takes_ms: Option<u64>,
    /// One way in which all pods find room. Empty unless it finishes.
    pub places: Vec<PodPlace>,
    /// Of several nodes: one after another, each opened again before the next.
    pub one_by_one: Vec<DrainStep>,
}

/// A pod that is in the way of a drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PodInTheWay {
    /// Namespace and name.
    pub pod: String,
    /// Its node.
    pub node: String,
    /// Each reason.
    pub why: Vec<String>,
}

/// Where a pod could go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PodPlace {
    /// Namespace and name.
    pub pod: String,
    /// The node that has room for it.
    pub node: String,
}

/// One node of several that are drained one after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainStep {
    /// The node.
    pub node: String,
    /// Whether its drain finishes then.
    #[schema(value_type = words::DrainVerdict)]
    pub verdict: String,
    /// The first reason where it does not, or that is not known.
    pub why: String,
}
