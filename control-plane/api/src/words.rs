//! The values that `state`, `kind`, `severity` and similar fields have in this version, for the OpenAPI document and
//! for clients that offer them as a choice.
//!
//! The fields themselves are strings, so that a client shows a word that it does not know as it is. That these are the
//! control plane's own words is held by a test of the server, which knows both.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($(#[doc = $doc:literal] $name:ident = $words:expr;)*) => { $(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl $name {
            /// Every word of this version.
            pub const WORDS: &'static [&'static str] = $words;
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Self::WORDS.iter().copied()));
                words.description(Some($doc.trim())).into()
            }
        }

        impl ToSchema for $name {}
    )* };
}

words! {
    /// Whether a node is ready; `unknown` while no agent watches its cluster.
    NodeState = &["ready", "not_ready", "unknown"];
    /// Whether a drain finishes.
    DrainVerdict = &["finishes", "blocked", "not_known"];
    /// Where something is known from.
    Source = &[
        "incident", "job", "other_incident", "managed_fields", "revisions", "status", "event", "kubelet",
    ];
    /// How bad something is.
    Severity = &["critical", "warning", "info"];
    /// The state of an incident or of a drifted file.
    IncidentState = &["open", "waiting_approval", "remediating", "resolved", "escalated", "silenced"];
    /// Which kind of root cause.
    IncidentKind = &[
        "pod_crash_loop",
        "rollout_stuck",
        "file_drift",
        "out_of_memory",
        "image_pull",
        "node_not_ready",
        "storm",
        "stateful_set_stuck",
        "stale_cordon",
        "job_failing",
        "volume_near_full",
        "node_pressure",
        "disk_near_full",
        "unit_failed",
        "autoscaler_at_maximum",
        "load_high",
        "scaled_out",
        "certificate_expiring",
        "certificate_file_expiring",
        "tls_secret_expiring",
    ];
    /// Which remedy.
    Action = &[
        "restart_pod",
        "rollback_deployment",
        "restore_file",
        "accept_baseline",
        "uncordon_node",
        "withdraw_baseline",
        "raise_memory_limit",
        "restart_unit",
        "expand_volume",
        "raise_autoscaler_maximum",
        "scale_workload",
        "renew_certificate",
    ];
    /// Who can undo what a plan changes, once it is done.
    UndoBy = &["person", "nobody"];
    /// What was decided of a baseline.
    BaselineChange = &["accepted", "withdrawn"];
    /// The state of an approval.
    ApprovalState = &["pending", "approved", "denied", "expired"];
    /// The state of a job.
    JobState = &[
        "pending", "dispatched", "running", "succeeded", "failed", "refused", "expired", "compensated", "unknown",
    ];
    /// Where an agent lives.
    AgentKind = &["cluster", "host"];
    /// Whether an agent can be reached.
    AgentState = &["connected", "disconnected", "revoked"];
    /// Whether a join token can be used.
    JoinTokenState = &["usable", "used", "expired", "revoked"];
    /// Whether an access token can be used.
    AccessTokenState = &["usable", "expired", "revoked"];
    /// What a token stands for: the control plane itself, or a person.
    PrincipalKind = &["operator", "person"];
    /// How a cluster is.
    Health = &["healthy", "degraded", "unknown"];
    /// How far Nimbus may go in a cluster: only observe it, or act by the enabled rules.
    Mode = &["off", "observe", "recommend", "act"];
    /// Who decides whether a rule's remedy runs: nobody is asked, a person is asked each time, or it is only recommended.
    RuleState = &["automatic", "approval", "recommend", "off"];
    /// Is a rule for an incident? `no_plan`: its remedy cannot help there, so that no rule is asked.
    RuleFit = &["yes", "no", "unknown", "no_plan"];
    /// What a rule that is proposed would do.
    ProposedRule = &["begin", "leave"];
    /// What becomes of an incident by the rules.
    RuleOutcome = &["begins", "asks", "nothing"];
    /// Outside of the windows for it nothing is begun; in a blackout nothing is.
    PeriodKind = &["window", "blackout"];
    /// Where a window or a blackout stands.
    PeriodState = &["now", "later", "over"];
    /// How a file differs from its baseline.
    FileChange = &["added", "deleted", "modified", "attributes", "unknown"];
    /// What an attribute of a file is.
    AttributeKind = &["capability", "access_list", "label", "flag", "extended_attribute"];
}
