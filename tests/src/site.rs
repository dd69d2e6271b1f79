//! A whole site for a test: a real cluster, a control plane, and an agent that is joined to both.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::agent::{AgentOptions, AgentProcess};
use crate::plane::Plane;
use crate::rig::{Cluster, Options};
use crate::wait::{Seen, wait_for};

/// Longest wait for anything that a healthy site does by itself, on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Everything that heals a cluster.
pub struct Site {
    /// The control plane.
    pub plane: Plane,
    /// The agent that watches the cluster.
    pub agent: AgentProcess,
    /// The cluster.
    pub cluster: Cluster,
}

/// A policy that allows the Kubernetes remedies in one cluster.
pub fn policy_for(cluster_uid: &str) -> String {
    format!(
        "allow = [\"restart_pod\", \"rollback_deployment\", \"raise_memory_limit\", \"expand_volume\", \"raise_autoscaler_maximum\", \"scale_workload\", \"renew_certificate\", \"uncordon_node\"]\nclusters = [\"{cluster_uid}\"]\nnamespaces = [\"*\"]\n"
    )
}

impl Site {
    /// Starts all three; the agent's policy allows the remedies, the cluster is not enabled yet.
    pub async fn start(database: Option<String>, config: &str) -> anyhow::Result<Self> {
        let cluster = Cluster::start(Options::default()).await?;
        let plane = Plane::start(database, config).await?;
        let uid = cluster_uid(&cluster).await?;
        let agent = AgentProcess::join(&plane, agent_options(&cluster, "one", &uid)).await?;
        let site = Self { plane, agent, cluster };
        site.wait_until_watched().await?;
        Ok(site)
    }

    /// The cluster as the control plane names it.
    pub async fn cluster_name(&self) -> anyhow::Result<String> {
        let clusters = self.plane.items("/clusters").await?;
        let uid = cluster_uid(&self.cluster).await?;
        let mine =
            clusters.iter().find(|c| c["id"] == uid.as_str()).context("the cluster is not known yet")?;
        Ok(mine["name"].as_str().context("a name")?.to_owned())
    }

    /// Waits until the agent leads and the control plane's picture of the cluster is complete.
    pub async fn wait_until_watched(&self) -> anyhow::Result<()> {
        wait_for("the cluster to be watched", PATIENCE, || async {
            let clusters = self.plane.items("/clusters").await?;
            let well = clusters.iter().any(|c| c["state"] == "healthy" || c["state"] == "degraded");
            Ok(Seen::when(well.then_some(()), format!("{clusters:?}\n{}", self.agent.output())))
        })
        .await
    }

    /// `nimbus autonomous enable`.
    pub async fn enable(&self) -> anyhow::Result<()> {
        let name = self.cluster_name().await?;
        self.plane.post(&format!("/autonomous/{name}/enable"), json!({"mode": "act"})).await?;
        Ok(())
    }

    /// `nimbus autonomous disable`.
    pub async fn disable(&self) -> anyhow::Result<()> {
        let name = self.cluster_name().await?;
        self.plane.post(&format!("/autonomous/{name}/disable"), json!({})).await?;
        Ok(())
    }

    /// All incidents of a kind whose owner or object lives in `namespace`, newest first.
    pub async fn incidents(&self, kind: &str, namespace: &str) -> anyhow::Result<Vec<Value>> {
        incidents(&self.plane, kind, namespace).await
    }

    /// Waits until the newest such incident is in `state`, and gives its detail.
    pub async fn incident_in(&self, kind: &str, namespace: &str, state: &str) -> anyhow::Result<Value> {
        self.incident_where(kind, namespace, state, |i| i["state"] == state).await
    }

    /// Waits until the newest such incident is as `test` wants it, and gives its detail.
    pub async fn incident_where(
        &self,
        kind: &str,
        namespace: &str,
        what: &str,
        test: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let id = wait_for(&format!("an incident {kind} in {namespace}: {what}"), PATIENCE, || async {
            let all = self.incidents(kind, namespace).await?;
            let found = all.first().filter(|i| test(i)).map(|i| i["id"].clone());
            Ok(Seen::when(found, serde_json::to_string_pretty(&all)?))
        })
        .await?;
        self.plane.get(&format!("/incidents/{}", id.as_str().context("an id")?)).await
    }

    /// Waits until the newest incident of a kind on the object of this name is in `state`, and gives its detail.
    pub async fn incident_on(&self, kind: &str, name: &str, state: &str) -> anyhow::Result<Value> {
        let id = wait_for(&format!("an incident {kind} on {name}: {state}"), PATIENCE, || async {
            let all = self.plane.items("/incidents").await?;
            let found = all.iter().find(|i| i["kind"] == kind && i["object"]["name"] == name);
            let found = found.filter(|i| i["state"] == state).map(|i| i["id"].clone());
            Ok(Seen::when(found, serde_json::to_string_pretty(&all)?))
        })
        .await?;
        self.plane.get(&format!("/incidents/{}", id.as_str().context("an id")?)).await
    }

    /// The jobs of one incident.
    pub async fn jobs_of(&self, incident: &Value) -> anyhow::Result<Vec<Value>> {
        let jobs = self.plane.items("/jobs").await?;
        Ok(jobs.into_iter().filter(|j| j["incident_id"] == incident["id"]).collect())
    }

    /// Approves what the incident waits for, with the digest that it shows.
    pub async fn approve(&self, incident: &Value) -> anyhow::Result<Value> {
        let (id, digest) = approval_of(incident)?;
        self.plane
            .post(&format!("/approvals/{id}/approve"), json!({"plan_digest": digest, "reason": "seen"}))
            .await
    }

    /// Denies what the incident waits for.
    pub async fn deny(&self, incident: &Value) -> anyhow::Result<Value> {
        let (id, _) = approval_of(incident)?;
        self.plane.post(&format!("/approvals/{id}/deny"), json!({"reason": "not tonight"})).await
    }
}

/// All incidents of a kind in a namespace, newest first.
pub async fn incidents(plane: &Plane, kind: &str, namespace: &str) -> anyhow::Result<Vec<Value>> {
    let lives_here = |i: &Value| [&i["object"], &i["owner"]].iter().any(|o| o["namespace"] == namespace);
    let all = plane.items("/incidents").await?;
    Ok(all.into_iter().filter(|i| i["kind"] == kind && lives_here(i)).collect())
}

/// Id and plan digest of the approval in an incident's detail.
pub fn approval_of(incident: &Value) -> anyhow::Result<(String, String)> {
    let approval = &incident["approval"];
    let text = |v: &Value| v.as_str().map(str::to_owned).with_context(|| format!("no approval: {incident}"));
    Ok((text(&approval["id"])?, text(&approval["plan_digest"])?))
}

/// What the second and every other agent of this cluster is started with.
pub fn agent_options(cluster: &Cluster, name: &str, uid: &str) -> AgentOptions {
    AgentOptions {
        name: name.to_owned(),
        kubeconfig: Some(cluster.kubeconfig_path()),
        cluster: Some(uid.to_owned()),
        policy: policy_for(uid),
        ..AgentOptions::default()
    }
}

/// UID of the kube-system namespace.
pub async fn cluster_uid(cluster: &Cluster) -> anyhow::Result<String> {
    use k8s_openapi::api::core::v1::Namespace;
    let namespace = kube::Api::<Namespace>::all(cluster.client().await?).get("kube-system").await?;
    namespace.metadata.uid.context("kube-system has a UID")
}
