//! The request bodies that an operator sends. An unknown field is refused, so that a misspelt name is not taken for an
//! omitted one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{FileState, words};

/// Approves exactly the plan that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// Digest (hex) of the plan that was shown; another one is refused.
    pub plan_digest: String,
    /// Why, for the audit log; may be empty. At most 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
    /// True: approves alone what several people have to approve, and passes by what of windows and blackouts holds it back now, also where it
    /// was approved before. Needs a reason, and stays open until another person reviewed it.
    // Not sent where it says nothing, as `mode` below.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

/// Looks back at an approval that somebody gave alone, and closes that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// What was found. 1 to 1,000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    pub note: String,
}

/// A new access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessTokenRequest {
    /// Who it stands for: 1 to 63 small letters, digits, `-`, `_` or `.`, that no usable token has.
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
    /// The groups that the person is in, at most 16, each named as a person is.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub groups: Vec<String>,
    /// Seconds until it ends, 60 to 31,536,000 (a year).
    #[schema(minimum = 60, maximum = 31_536_000)]
    pub ttl_seconds: u64,
}

/// Denies a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// Why; may be empty. At most 1,000 characters.
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// Which remedies to enable in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnableRequest {
    /// Remedies; `null` for every one that clusters can enable.
    #[schema(value_type = Option<Vec<words::Action>>)]
    pub rules: Option<Vec<String>>,
    /// `recommend`: a person is asked for each remedy, also for those that would go by themselves; `act`: by the rules. `null`: as
    /// the cluster has it, and `recommend` where it has neither.
    // Not sent where it says nothing: a control plane from before it refuses fields that it does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::Mode>)]
    pub mode: Option<String>,
    /// True: says what would be enabled, writes nothing.
    pub dry_run: bool,
}

/// Which remedies to disable in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DisableRequest {
    /// Remedies; `null` for every one: from then on it only observes.
    #[schema(value_type = Option<Vec<words::Action>>)]
    pub rules: Option<Vec<String>>,
    /// True: the cluster is not even judged: nothing of it is an incident. Only where `rules` is `null`.
    // As `mode` above.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// True: says what would be disabled, writes nothing.
    pub dry_run: bool,
}

/// What to pause, or to let go on: one cluster or the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PauseRequest {
    /// UID or name of the cluster; `null` where `fleet` is true.
    pub cluster: Option<String>,
    /// True: every cluster and every host.
    pub fleet: bool,
    /// Why, for whoever finds it paused and for the audit log; may be empty. At most 1,000 characters.
    #[schema(max_length = 1000)]
    pub reason: String,
    /// It ends by itself after so many seconds, 60 to 2,592,000 (30 days); `null`: when it is resumed. Only of a pause.
    #[schema(minimum = 60, maximum = 2_592_000)]
    pub for_seconds: Option<u64>,
    /// True: says what would hold, writes nothing.
    pub dry_run: bool,
}

/// Put a drifted file back: the approval of the plan that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftFixRequest {
    /// Digest (hex) of the plan that was shown; another one is refused.
    pub plan_digest: String,
    /// True: says what would happen, writes nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Why, for the audit log; may be empty.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// Accept a drifted file's present state as its baseline: the state that was shown, and no other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BaselineRequest {
    /// `after` of the drifted file as it was shown; where it differs by now the order is refused. Only a dry run may
    /// leave it out.
    pub shown: Option<FileState>,
    /// True: says what would happen, writes nothing.
    pub dry_run: bool,
}

/// A token for one new agent, or for several of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinTokenRequest {
    /// Name that the agent will get: letters, digits, `-`, `_` and `.`, at most 63.
    #[schema(max_length = 63, example = "edge-1")]
    pub name: String,
    /// `cluster` or `host`.
    #[schema(value_type = words::AgentKind)]
    pub kind: String,
    /// Name or UID of the only cluster that the agent may report for; only with `cluster`. Needed when another agent
    /// reports for that cluster already; without it the agent reports for the first one that it watches.
    #[serde(default)]
    #[schema(max_length = 256)]
    pub cluster: Option<String>,
    /// Seconds until it is not accepted any more, 1 to 604,800 (7 days); 900 when it is not given.
    #[serde(default = "quarter_of_an_hour")]
    #[schema(minimum = 1, maximum = 604_800)]
    pub ttl_seconds: u64,
    /// How many agents of one cluster may join with it, 1 to 10,000; 1 when it is not given. The agents of pods that
    /// prove where they run need one use for the whole cluster.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub uses: u32,
}

fn one() -> u32 {
    1
}

fn quarter_of_an_hour() -> u64 {
    900
}

/// Revoke an agent or a join token for good.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RevokeRequest {
    /// Why, for the audit log; may be empty.
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// Forget a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveRequest {
    /// Why, for the audit log; may be empty.
    #[schema(max_length = 1000)]
    pub reason: String,
    /// Also while its agents are connected: they are refused at once.
    pub force: bool,
    /// Only say what would go with it.
    pub dry_run: bool,
}

/// Silence an incident for a while: nothing automatic runs for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceRequest {
    /// Seconds from now, 60 to 2,592,000 (30 days).
    #[schema(minimum = 60, maximum = 2_592_000)]
    pub for_seconds: u64,
    /// Why, for the audit log; may be empty.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// A person has seen the incident.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcknowledgeRequest {
    /// A note for the incident's history; may be empty.
    #[schema(max_length = 1000)]
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_later_is_sent_only_where_it_says_something() {
        let said = r#"{"rules":null,"dry_run":false}"#;
        assert_eq!(serde_json::to_string(&EnableRequest::default()).unwrap(), said);
        assert_eq!(serde_json::to_string(&DisableRequest::default()).unwrap(), said);
        let act = EnableRequest { mode: Some("act".into()), ..EnableRequest::default() };
        assert_eq!(serde_json::to_value(act).unwrap()["mode"], "act");
        let off = DisableRequest { off: true, ..DisableRequest::default() };
        assert_eq!(serde_json::to_value(off).unwrap()["off"], true);
    }
}
