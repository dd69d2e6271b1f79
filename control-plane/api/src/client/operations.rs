//! One method for each operation of the contract, named as the command names it.

use super::{Answer, Client, ClientError, Export};
use crate::{
    AcknowledgeRequest, Agent, AgentDetail, Approval, ApprovalDetail, ApprovalQuery, ApproveRequest,
    AuditQuery, AuditRow, AuditVerification, AutonomousStatus, Baseline, BaselineRequest, Cluster,
    DenyRequest, DisableRequest, Drift, DriftFixRequest, DriftQuery, EnableRequest, ExportQuery, HistoryItem,
    HistoryQuery, Incident, IncidentDetail, IncidentQuery, Job, JobDetail, JobQuery, JoinToken,
    JoinTokenRequest, List, PageQuery, Plan, RevokeRequest, Rule, SilenceRequest, Started, Status, Version,
};

type Answered<T> = Result<Answer<T>, ClientError>;

/// For paths that take no parameters.
const NONE: &[(&str, &str)] = &[];

impl Client {
    /// An overview of the whole fleet.
    pub async fn status(&self) -> Answered<Status> {
        self.get(&["status"], NONE).await
    }

    /// Which control plane this is; needs no token.
    pub async fn version(&self) -> Answered<Version> {
        self.get(&["version"], NONE).await
    }

    /// The OpenAPI document; needs no token.
    pub async fn openapi(&self) -> Answered<serde_json::Value> {
        self.get(&["openapi.json"], NONE).await
    }

    /// Clusters.
    pub async fn clusters(&self, query: &PageQuery) -> Answered<List<Cluster>> {
        self.get(&["clusters"], query).await
    }

    /// One cluster, by UID or name.
    pub async fn cluster(&self, cluster: &str) -> Answered<Cluster> {
        self.get(&["clusters", cluster], NONE).await
    }

    /// Agents.
    pub async fn agents(&self, query: &PageQuery) -> Answered<List<Agent>> {
        self.get(&["agents"], query).await
    }

    /// One agent, by id or name.
    pub async fn agent(&self, agent: &str) -> Answered<AgentDetail> {
        self.get(&["agents", agent], NONE).await
    }

    /// Makes a join token; its secret is in this answer and nowhere else.
    pub async fn create_token(&self, request: &JoinTokenRequest) -> Answered<JoinToken> {
        self.post(&["agents", "tokens"], request).await
    }

    /// Revokes an agent for good.
    pub async fn revoke_agent(&self, agent: &str, request: &RevokeRequest) -> Answered<AgentDetail> {
        self.post(&["agents", agent, "revoke"], request).await
    }

    /// Incidents, newest first.
    pub async fn incidents(&self, query: &IncidentQuery) -> Answered<List<Incident>> {
        self.get(&["incidents"], query).await
    }

    /// One incident with all that belongs to it.
    pub async fn incident(&self, id: &str) -> Answered<IncidentDetail> {
        self.get(&["incidents", id], NONE).await
    }

    /// Silences an incident for a while.
    pub async fn silence_incident(&self, id: &str, request: &SilenceRequest) -> Answered<IncidentDetail> {
        self.post(&["incidents", id, "silence"], request).await
    }

    /// Says that a person has seen an incident.
    pub async fn acknowledge_incident(
        &self,
        id: &str,
        request: &AcknowledgeRequest,
    ) -> Answered<IncidentDetail> {
        self.post(&["incidents", id, "ack"], request).await
    }

    /// Forgets that an incident's plan was denied, so that a new approval is asked for.
    pub async fn ask_again(&self, id: &str, request: &AcknowledgeRequest) -> Answered<IncidentDetail> {
        self.post(&["incidents", id, "ask"], request).await
    }

    /// Approvals, newest first.
    pub async fn approvals(&self, query: &ApprovalQuery) -> Answered<List<Approval>> {
        self.get(&["approvals"], query).await
    }

    /// One approval with its plan and incident.
    pub async fn approval(&self, id: &str) -> Answered<ApprovalDetail> {
        self.get(&["approvals", id], NONE).await
    }

    /// Approves exactly the plan that was shown.
    pub async fn approve(&self, id: &str, request: &ApproveRequest) -> Answered<ApprovalDetail> {
        self.post(&["approvals", id, "approve"], request).await
    }

    /// Denies a plan; nothing is changed.
    pub async fn deny(&self, id: &str, request: &DenyRequest) -> Answered<ApprovalDetail> {
        self.post(&["approvals", id, "deny"], request).await
    }

    /// One plan.
    pub async fn plan(&self, id: &str) -> Answered<Plan> {
        self.get(&["plans", id], NONE).await
    }

    /// Jobs, newest first.
    pub async fn jobs(&self, query: &JobQuery) -> Answered<List<Job>> {
        self.get(&["jobs"], query).await
    }

    /// One job with its signed envelope.
    pub async fn job(&self, id: &str) -> Answered<JobDetail> {
        self.get(&["jobs", id], NONE).await
    }

    /// How far Nimbus may go, cluster by cluster.
    pub async fn autonomous(&self, query: &PageQuery) -> Answered<List<AutonomousStatus>> {
        self.get(&["autonomous"], query).await
    }

    /// The remedies.
    pub async fn rules(&self) -> Answered<List<Rule>> {
        self.get(&["autonomous", "rules"], NONE).await
    }

    /// The remedies that were tried, newest first.
    pub async fn autonomous_history(&self, query: &HistoryQuery) -> Answered<List<HistoryItem>> {
        self.get(&["autonomous", "history"], query).await
    }

    /// Lets Nimbus act in a cluster (UID or name).
    pub async fn enable(&self, cluster: &str, request: &EnableRequest) -> Answered<AutonomousStatus> {
        self.post(&["autonomous", cluster, "enable"], request).await
    }

    /// Lets Nimbus only observe a cluster (UID or name), or do less in it.
    pub async fn disable(&self, cluster: &str, request: &DisableRequest) -> Answered<AutonomousStatus> {
        self.post(&["autonomous", cluster, "disable"], request).await
    }

    /// Drifted files, newest first.
    pub async fn drifts(&self, query: &DriftQuery) -> Answered<List<Drift>> {
        self.get(&["drift"], query).await
    }

    /// One drifted file.
    pub async fn drift(&self, id: &str) -> Answered<Drift> {
        self.get(&["drift", id], NONE).await
    }

    /// Puts a file back: approves the plan that was shown.
    pub async fn fix_drift(&self, id: &str, request: &DriftFixRequest) -> Answered<Started> {
        self.post(&["drift", id, "fix"], request).await
    }

    /// Accepts a file's present state as its baseline.
    pub async fn accept_baseline(&self, id: &str, request: &BaselineRequest) -> Answered<Started> {
        self.post(&["drift", id, "baseline"], request).await
    }

    /// The baselines that an operator accepted, newest first.
    pub async fn baselines(&self, query: &PageQuery) -> Answered<List<Baseline>> {
        self.get(&["drift", "baselines"], query).await
    }

    /// Removes an accepted baseline; the answer is the one that was removed.
    pub async fn remove_baseline(&self, id: &str) -> Answered<Baseline> {
        self.delete(&["drift", "baselines", id]).await
    }

    /// Audit rows, newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Answered<List<AuditRow>> {
        self.get(&["audit"], query).await
    }

    /// Walks the whole audit chain.
    pub async fn verify_audit(&self) -> Answered<AuditVerification> {
        self.get_slowly(&["audit", "verify"]).await
    }

    /// Audit rows, oldest first, in the format that was asked for; read it piece by piece.
    pub async fn export_audit(&self, query: &ExportQuery) -> Result<Export, ClientError> {
        self.open(&["audit", "export"], query).await
    }
}
