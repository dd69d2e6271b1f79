//! One method of the client for each operation of the REST API, named as the `nimbus` command names it.

use super::{Answer, Client, ClientError, Export};
use crate::{
    AccessToken, AccessTokenItem, AccessTokenRequest, AcknowledgeRequest, Agent, AgentDetail, AgentQuery,
    Approval, ApprovalDetail, ApprovalQuery, ApproveRequest, AuditQuery, AuditRow, AuditVerification,
    AutonomousStatus, Baseline, BaselineRequest, Cluster, ClusterDetail, DenyRequest, DisableRequest,
    DrainQuery, Drift, DriftFixRequest, DriftQuery, DryRunQuery, EnableRequest, ExportQuery, HistoryItem,
    HistoryQuery, Incident, IncidentDetail, IncidentQuery, Investigation, Job, JobDetail, JobQuery,
    JoinToken, JoinTokenItem, JoinTokenQuery, JoinTokenRequest, List, Node, NodeDetail, NodeDrain, NodeQuery,
    PageQuery, Pause, PauseRequest, Period, Plan, RemoveRequest, RemovedCluster, ReviewRequest,
    RevokeRequest, Rule, RuleDetail, RuleProposal, RuleRequest, RuleTrials, SilenceRequest, Started, Status,
    Version, Whoami,
};

/// For paths that take no parameters.
const NONE: &[(&str, &str)] = &[];

/// One method of the client for each line: how it asks, its name and arguments, the path's segments, what is sent with
/// it, and what is answered.
macro_rules! operations {
    ($($(#[$doc:meta])* $how:ident $name:ident($($argument:ident: $type:ty),*)
        [$($segment:expr),*] $($sent:ident)? -> $answer:ty;)*) => {
        impl Client { $(
            $(#[$doc])*
            pub async fn $name(&self, $($argument: $type),*) -> Result<Answer<$answer>, ClientError> {
                self.$how(&[$($segment),*] $(, $sent)?).await
            }
        )* }
    };
}

operations! {
    /// An overview of the whole fleet.
    get status() ["status"] NONE -> Status;
    /// Which control plane this is; needs no token.
    get version() ["version"] NONE -> Version;
    /// The OpenAPI document; needs no token.
    get openapi() ["openapi.json"] NONE -> serde_json::Value;
    /// Clusters.
    get clusters(query: &PageQuery) ["clusters"] query -> List<Cluster>;
    /// One cluster, by UID or name.
    get cluster(cluster: &str) ["clusters", cluster] NONE -> ClusterDetail;
    /// Forgets a cluster (UID or name) whose agents were taken away.
    post remove_cluster(cluster: &str, request: &RemoveRequest) ["clusters", cluster, "remove"] request -> RemovedCluster;
    /// What draining nodes of a cluster (UID or name) would do.
    get drain(cluster: &str, query: &DrainQuery) ["clusters", cluster, "drain"] query -> NodeDrain;
    /// Nodes, by cluster and name.
    get nodes(query: &NodeQuery) ["nodes"] query -> List<Node>;
    /// One node of a cluster (UID or name), by name.
    get node(cluster: &str, node: &str) ["clusters", cluster, "nodes", node] NONE -> NodeDetail;
    /// Agents.
    get agents(query: &AgentQuery) ["agents"] query -> List<Agent>;
    /// One agent, by id or name.
    get agent(agent: &str) ["agents", agent] NONE -> AgentDetail;
    /// Makes a join token; its secret is in this answer and nowhere else.
    post create_token(request: &JoinTokenRequest) ["agents", "tokens"] request -> JoinToken;
    /// Join tokens, newest first; never their secrets.
    get tokens(query: &JoinTokenQuery) ["agents", "tokens"] query -> List<JoinTokenItem>;
    /// Revokes a join token for good, by id or name; the agents that joined with it stay.
    post revoke_token(token: &str, request: &RevokeRequest) ["agents", "tokens", token, "revoke"] request -> JoinTokenItem;
    /// Revokes an agent for good.
    post revoke_agent(agent: &str, request: &RevokeRequest) ["agents", agent, "revoke"] request -> AgentDetail;
    /// Incidents, newest first.
    get incidents(query: &IncidentQuery) ["incidents"] query -> List<Incident>;
    /// One incident with all that belongs to it.
    get incident(id: &str) ["incidents", id] NONE -> IncidentDetail;
    /// What is known around an incident.
    get investigation(id: &str) ["incidents", id, "investigation"] NONE -> Investigation;
    /// Silences an incident for a while.
    post silence_incident(id: &str, request: &SilenceRequest) ["incidents", id, "silence"] request -> IncidentDetail;
    /// Says that a person has seen an incident.
    post acknowledge_incident(id: &str, request: &AcknowledgeRequest) ["incidents", id, "ack"] request -> IncidentDetail;
    /// Forgets that an incident's plan was denied, so that a new approval is asked for.
    post ask_again(id: &str, request: &AcknowledgeRequest) ["incidents", id, "ask"] request -> IncidentDetail;
    /// Approvals, newest first.
    get approvals(query: &ApprovalQuery) ["approvals"] query -> List<Approval>;
    /// One approval with its plan and incident.
    get approval(id: &str) ["approvals", id] NONE -> ApprovalDetail;
    /// Approves exactly the plan that was shown.
    post approve(id: &str, request: &ApproveRequest) ["approvals", id, "approve"] request -> ApprovalDetail;
    /// Denies a plan; nothing is changed.
    post deny(id: &str, request: &DenyRequest) ["approvals", id, "deny"] request -> ApprovalDetail;
    /// Looks back at an approval that somebody gave alone, and closes that.
    post review(id: &str, request: &ReviewRequest) ["approvals", id, "review"] request -> ApprovalDetail;
    /// Who asks.
    get whoami() ["whoami"] NONE -> Whoami;
    /// Makes an access token; its secret is in this answer and nowhere else.
    post create_access_token(request: &AccessTokenRequest) ["access", "tokens"] request -> AccessToken;
    /// Access tokens, newest first; never their secrets.
    get access_tokens(query: &PageQuery) ["access", "tokens"] query -> List<AccessTokenItem>;
    /// Revokes an access token for good, by id or name.
    post revoke_access_token(token: &str, request: &RevokeRequest) ["access", "tokens", token, "revoke"] request -> AccessTokenItem;
    /// One plan.
    get plan(id: &str) ["plans", id] NONE -> Plan;
    /// Jobs, newest first.
    get jobs(query: &JobQuery) ["jobs"] query -> List<Job>;
    /// One job with its signed envelope.
    get job(id: &str) ["jobs", id] NONE -> JobDetail;
    /// How far Nimbus may go, cluster by cluster.
    get autonomous(query: &PageQuery) ["autonomous"] query -> List<AutonomousStatus>;
    /// The remedies.
    get rules() ["autonomous", "rules"] NONE -> List<Rule>;
    /// One rule that can be set, by name.
    get rule(name: &str) ["autonomous", "rules", name] NONE -> RuleDetail;
    /// Sets a rule.
    post set_rule(request: &RuleRequest) ["autonomous", "rules"] request -> RuleDetail;
    /// Takes a rule away.
    delete delete_rule(name: &str, query: &DryRunQuery) ["autonomous", "rules", name] query -> RuleDetail;
    /// The rules that people's answers speak for.
    get rule_proposals() ["autonomous", "rule-proposals"] NONE -> List<RuleProposal>;
    /// What a rule would do about the incidents that are open now.
    post try_rule(request: &RuleRequest) ["autonomous", "rule-trials"] request -> RuleTrials;
    /// The windows and blackouts of the settings.
    get calendar() ["autonomous", "calendar"] NONE -> List<Period>;
    /// The remedies that were tried, newest first.
    get autonomous_history(query: &HistoryQuery) ["autonomous", "history"] query -> List<HistoryItem>;
    /// Lets Nimbus act in a cluster (UID or name).
    post enable(cluster: &str, request: &EnableRequest) ["autonomous", cluster, "enable"] request -> AutonomousStatus;
    /// Lets Nimbus only observe a cluster (UID or name), or do less in it.
    post disable(cluster: &str, request: &DisableRequest) ["autonomous", cluster, "disable"] request -> AutonomousStatus;
    /// What is paused.
    get pauses() ["autonomous", "pauses"] NONE -> List<Pause>;
    /// Begins nothing new in a cluster or the fleet.
    post pause(request: &PauseRequest) ["autonomous", "pause"] request -> List<Pause>;
    /// Lets a cluster or the fleet go on.
    post resume(request: &PauseRequest) ["autonomous", "resume"] request -> List<Pause>;
    /// Drifted files, newest first.
    get drifts(query: &DriftQuery) ["drift"] query -> List<Drift>;
    /// One drifted file.
    get drift(id: &str) ["drift", id] NONE -> Drift;
    /// Puts a file back: approves the plan that was shown.
    post fix_drift(id: &str, request: &DriftFixRequest) ["drift", id, "fix"] request -> Started;
    /// Accepts a file's present state as its baseline.
    post accept_baseline(id: &str, request: &BaselineRequest) ["drift", id, "baseline"] request -> Started;
    /// The baselines that an operator accepted or took back, newest first.
    get baselines(query: &PageQuery) ["drift", "baselines"] query -> List<Baseline>;
    /// Takes back an accepted baseline.
    delete withdraw_baseline(id: &str, query: &DryRunQuery) ["drift", "baselines", id] query -> Started;
    /// Audit rows, newest first.
    get audit(query: &AuditQuery) ["audit"] query -> List<AuditRow>;
    /// Walks the whole audit chain.
    get_slowly verify_audit() ["audit", "verify"] -> AuditVerification;
}

impl Client {
    /// Audit rows, oldest first, in the format that was asked for; read it piece by piece.
    pub async fn export_audit(&self, query: &ExportQuery) -> Result<Export, ClientError> {
        self.open(&["audit", "export"], query).await
    }
}
