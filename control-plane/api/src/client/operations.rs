//! One method for each operation of the contract, named as the command names it.

use super::{Client, ClientError, Export};
use crate::{
    AcknowledgeRequest, Agent, AgentDetail, Approval, ApprovalDetail, ApprovalQuery, ApproveRequest,
    AuditQuery, AuditRow, AuditVerification, AutonomousStatus, BaselineRequest, Cluster, DenyRequest,
    DisableRequest, Drift, DriftFixRequest, DriftQuery, EnableRequest, ExportQuery, HistoryItem,
    HistoryQuery, Incident, IncidentDetail, IncidentQuery, Job, JobDetail, JobQuery, JoinToken,
    JoinTokenRequest, List, PageQuery, Plan, RevokeRequest, Rule, SilenceRequest, Started, Status, Version,
};

type Answer<T> = Result<T, ClientError>;

/// For paths that take no parameters.
const NONE: &[(&str, &str)] = &[];

impl Client {
    /// The whole fleet at a glance.
    pub async fn status(&self) -> Answer<Status> {
        self.get(&["status"], NONE).await
    }

    /// Which control plane this is; needs no token.
    pub async fn version(&self) -> Answer<Version> {
        self.get(&["version"], NONE).await
    }

    /// The OpenAPI document; needs no token.
    pub async fn openapi(&self) -> Answer<serde_json::Value> {
        self.get(&["openapi.json"], NONE).await
    }

    /// Clusters.
    pub async fn clusters(&self, query: &PageQuery) -> Answer<List<Cluster>> {
        self.get(&["clusters"], query).await
    }

    /// One cluster, by UID or name.
    pub async fn cluster(&self, cluster: &str) -> Answer<Cluster> {
        self.get(&["clusters", cluster], NONE).await
    }

    /// Agents.
    pub async fn agents(&self, query: &PageQuery) -> Answer<List<Agent>> {
        self.get(&["agents"], query).await
    }

    /// One agent, by id or name.
    pub async fn agent(&self, agent: &str) -> Answer<AgentDetail> {
        self.get(&["agents", agent], NONE).await
    }

    /// Makes a join token; its secret is in this answer and nowhere else.
    pub async fn create_token(&self, request: &JoinTokenRequest) -> Answer<JoinToken> {
        self.post(&["agents", "tokens"], request).await
    }

    /// Turns an agent away for good.
    pub async fn revoke_agent(&self, agent: &str, request: &RevokeRequest) -> Answer<AgentDetail> {
        self.post(&["agents", agent, "revoke"], request).await
    }

    /// Incidents, newest first.
    pub async fn incidents(&self, query: &IncidentQuery) -> Answer<List<Incident>> {
        self.get(&["incidents"], query).await
    }

    /// One incident with all that belongs to it.
    pub async fn incident(&self, id: &str) -> Answer<IncidentDetail> {
        self.get(&["incidents", id], NONE).await
    }

    /// Leaves an incident alone for a while.
    pub async fn silence_incident(&self, id: &str, request: &SilenceRequest) -> Answer<IncidentDetail> {
        self.post(&["incidents", id, "silence"], request).await
    }

    /// Says that somebody looks at it.
    pub async fn acknowledge_incident(
        &self,
        id: &str,
        request: &AcknowledgeRequest,
    ) -> Answer<IncidentDetail> {
        self.post(&["incidents", id, "ack"], request).await
    }

    /// Forgets that an incident's plan was denied, so that it is asked for again.
    pub async fn ask_again(&self, id: &str, request: &AcknowledgeRequest) -> Answer<IncidentDetail> {
        self.post(&["incidents", id, "ask"], request).await
    }

    /// Approvals, newest first.
    pub async fn approvals(&self, query: &ApprovalQuery) -> Answer<List<Approval>> {
        self.get(&["approvals"], query).await
    }

    /// One approval with its plan and incident.
    pub async fn approval(&self, id: &str) -> Answer<ApprovalDetail> {
        self.get(&["approvals", id], NONE).await
    }

    /// Yes to exactly the plan that was shown.
    pub async fn approve(&self, id: &str, request: &ApproveRequest) -> Answer<ApprovalDetail> {
        self.post(&["approvals", id, "approve"], request).await
    }

    /// No to a plan; nothing is changed.
    pub async fn deny(&self, id: &str, request: &DenyRequest) -> Answer<ApprovalDetail> {
        self.post(&["approvals", id, "deny"], request).await
    }

    /// One plan.
    pub async fn plan(&self, id: &str) -> Answer<Plan> {
        self.get(&["plans", id], NONE).await
    }

    /// Jobs, newest first.
    pub async fn jobs(&self, query: &JobQuery) -> Answer<List<Job>> {
        self.get(&["jobs"], query).await
    }

    /// One job with its signed envelope.
    pub async fn job(&self, id: &str) -> Answer<JobDetail> {
        self.get(&["jobs", id], NONE).await
    }

    /// How far Nimbus may go, cluster by cluster.
    pub async fn autonomous(&self, query: &PageQuery) -> Answer<List<AutonomousStatus>> {
        self.get(&["autonomous"], query).await
    }

    /// The remedies that there are.
    pub async fn rules(&self) -> Answer<List<Rule>> {
        self.get(&["autonomous", "rules"], NONE).await
    }

    /// The remedies that were tried, newest first.
    pub async fn autonomous_history(&self, query: &HistoryQuery) -> Answer<List<HistoryItem>> {
        self.get(&["autonomous", "history"], query).await
    }

    /// Lets Nimbus act in a cluster (UID or name).
    pub async fn enable(&self, cluster: &str, request: &EnableRequest) -> Answer<AutonomousStatus> {
        self.post(&["autonomous", cluster, "enable"], request).await
    }

    /// Lets Nimbus only observe a cluster (UID or name), or do less in it.
    pub async fn disable(&self, cluster: &str, request: &DisableRequest) -> Answer<AutonomousStatus> {
        self.post(&["autonomous", cluster, "disable"], request).await
    }

    /// Drifted files, newest first.
    pub async fn drifts(&self, query: &DriftQuery) -> Answer<List<Drift>> {
        self.get(&["drift"], query).await
    }

    /// One drifted file.
    pub async fn drift(&self, id: &str) -> Answer<Drift> {
        self.get(&["drift", id], NONE).await
    }

    /// Puts a file back: yes to the plan that was shown.
    pub async fn fix_drift(&self, id: &str, request: &DriftFixRequest) -> Answer<Started> {
        self.post(&["drift", id, "fix"], request).await
    }

    /// Takes a file's present state as the truth.
    pub async fn accept_baseline(&self, id: &str, request: &BaselineRequest) -> Answer<Started> {
        self.post(&["drift", id, "baseline"], request).await
    }

    /// Audit rows, newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Answer<List<AuditRow>> {
        self.get(&["audit"], query).await
    }

    /// Walks the whole audit chain.
    pub async fn verify_audit(&self) -> Answer<AuditVerification> {
        self.get_slowly(&["audit", "verify"]).await
    }

    /// Audit rows, oldest first, in the format that was asked for; read it piece by piece.
    pub async fn export_audit(&self, query: &ExportQuery) -> Answer<Export> {
        self.open(&["audit", "export"], query).await
    }
}
