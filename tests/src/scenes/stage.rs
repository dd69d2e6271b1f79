//! Where the scenes of a cluster are played: one cluster, one control plane and one agent for all of them.
//!
//! The agent uses its own service account's name and the ClusterRole of `docs/rights.md`, so that a right that is
//! missing there fails a scene, and so that the API server's audit log can tell its changes from everybody else's.

use anyhow::Context as _;
use kube::api::{Patch, PatchParams};
use nimbus_agent_core::action::rights::cluster_role;
use nimbus_protocol::ActionKind;
use serde_json::{Value, json};

use crate::agent::{AgentOptions, AgentProcess};
use crate::plane::Plane;
use crate::rig::audit::{AGENT_USER, AuditLog};
use crate::rig::cert_manager::CertManager;
use crate::rig::metrics::MetricsServer;
use crate::rig::real_node::RealNode;
use crate::rig::{Cluster, Options};
use crate::site::{PATIENCE, cluster_uid};
use crate::wait::{Seen, wait_for};

/// Figures that make the waits short. Storms are for the unit tests: many scenes at once would be one.
const SETTINGS: &str = r"
[settings]
verify_ms = 1500
good_after_ms = 4000
node_steady_ms = 8000
verify_timeout_ms = 40000
backoff_base_ms = 1000
backoff_max_ms = 4000
crash_loop_restarts = 2
autoscalers.lasting_s = 5
load.busy_s = 5
load.calm_s = 5
load.cool_down_s = 60
certificates.overdue_s = 1
certificates.retry_s = 600

[settings.caps]
per_node = 10
per_cluster = 100
fleet = 200

[settings.storm]
pod_percent = 100
min_pods = 100000
incidents = 100000
min_nodes = 1000
";

/// Who keeps the agent alive.
pub enum Agent {
    /// A process of this machine.
    Process(Box<AgentProcess>),
    /// A pod of the cluster itself.
    Pod,
}

/// A cluster that is watched and may be healed.
pub struct Stage {
    /// The control plane.
    pub plane: Plane,
    /// The agent.
    pub agent: Agent,
    /// The cluster.
    pub cluster: Cluster,
    /// What the API server saw the agent do.
    pub audit: AuditLog,
    /// The real node, where there is one.
    pub node: Option<RealNode>,
    /// What serves the use of pods, where there is one.
    pub metrics: Option<MetricsServer>,
    /// What issues certificates, where there is one.
    pub certificates: Option<CertManager>,
}

impl Stage {
    /// Starts a cluster of simulated kubelets, with an agent that may do all that it can.
    pub async fn simulated() -> anyhow::Result<Self> {
        let cluster = Cluster::start(Options { metrics: true, ..Options::default() }).await?;
        let metrics = Some(MetricsServer::start(&cluster).await?);
        let certificates = Some(CertManager::start(&cluster).await?);
        let plane = Plane::start(None, &config()).await?;
        let uid = cluster_uid(&cluster).await?;
        grant(&cluster).await?;
        let options = AgentOptions {
            name: "one".to_owned(),
            kubeconfig: Some(
                cluster.kubeconfig_for(AGENT_USER, &["system:serviceaccounts", "system:authenticated"])?,
            ),
            cluster: Some(uid.clone()),
            policy: policy(&uid),
            ..AgentOptions::default()
        };
        let agent = Agent::Process(Box::new(AgentProcess::join(&plane, options).await?));
        let audit = cluster.audit_log();
        let stage = Self { plane, agent, cluster, audit, node: None, metrics, certificates };
        stage.open().await?;
        Ok(stage)
    }

    /// Waits until the cluster is watched, and lets Nimbus act in it.
    pub async fn open(&self) -> anyhow::Result<()> {
        let name = self.watched().await?;
        self.plane.post(&format!("/autonomous/{name}/enable"), json!({"mode": "act"})).await?;
        Ok(())
    }

    /// The name that the control plane has for the cluster, once that is watched.
    pub async fn watched(&self) -> anyhow::Result<String> {
        wait_for("the cluster to be watched", PATIENCE, || async {
            let clusters = self.plane.items("/clusters").await?;
            let well = clusters.iter().find(|c| c["state"] == "healthy" || c["state"] == "degraded");
            let name = well.and_then(|c| c["name"].as_str().map(str::to_owned));
            Ok(Seen::when(name, format!("{clusters:?}\n{}", self.agent_output())))
        })
        .await
    }

    /// What the agent printed, where that can be read.
    pub fn agent_output(&self) -> String {
        match &self.agent {
            Agent::Process(agent) => agent.output(),
            Agent::Pod => "the agent is a pod: its words are with the cluster".to_owned(),
        }
    }
}

/// The configuration of the control plane.
pub fn config() -> String {
    SETTINGS.to_owned()
}

/// A policy that allows everything that runs in a cluster.
pub fn policy(uid: &str) -> String {
    let all: Vec<String> = ActionKind::ALL.iter().map(|kind| format!("{:?}", kind.as_str())).collect();
    format!(
        "allow = [{}]\nclusters = [{uid:?}]\nnamespaces = [\"*\"]\njobs_per_hour = 10000\n",
        all.join(", ")
    )
}

/// Gives the agent's service account the ClusterRole of the documents.
pub async fn grant(cluster: &Cluster) -> anyhow::Result<()> {
    let role = cluster.dir().join("agent-role.yaml");
    std::fs::write(&role, cluster_role("nimbus-agent", ActionKind::ALL))
        .context("the agent's ClusterRole")?;
    cluster.kubectl(&["apply", "-f", &role.display().to_string()]).await?;
    let binding: Value = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "nimbus-agent"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "nimbus-agent"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": AGENT_USER}],
    });
    let bindings = kube::Api::<k8s_openapi::api::rbac::v1::ClusterRoleBinding>::all(cluster.client().await?);
    bindings.patch("nimbus-agent", &PatchParams::apply("rig").force(), &Patch::Apply(binding)).await?;
    Ok(())
}
