//! Steps that many scenes share: a pod is broken, a rollback asked for and approved, a pod replaced.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::ground::{Ground, LIMIT, WATCH, says_nothing_of, told};
use super::objects::{apply, apply_to_cluster, named};
use super::verdict::Wrong;
use crate::rig::workloads::{Fault, is_ready, waiting_reason};
use crate::wait::{Seen, wait_for};

/// How long a revision has to last on the stage until it is a good one (4 s from when the control plane sees that), and as much again
/// as a loaded machine may be behind.
const SOAK: Duration = Duration::from_secs(10);

/// Between two looks for a pod that came: less than a pod takes to start.
const LOOK: Duration = Duration::from_millis(300);

impl Ground {
    /// Waits until the revision that is current counts as one that lasted.
    pub async fn soak(&self) {
        tokio::time::sleep(SOAK).await;
    }

    /// Waits until a quota counts.
    ///
    /// # Errors
    /// When it does not.
    pub async fn quota_counts(&self, name: &str) -> anyhow::Result<()> {
        let quotas = Api::<ResourceQuota>::namespaced(self.work.client(), self.namespace());
        wait_for("the quota to count", LIMIT, || async {
            let status = quotas.get(name).await?.status.unwrap_or_default();
            Ok(Seen::when(status.used.map(drop), "it says nothing yet"))
        })
        .await
    }

    /// The first pod of a workload, by name.
    ///
    /// # Errors
    /// When it has none.
    pub async fn pod_of(&self, app: &str) -> anyhow::Result<String> {
        self.work.pod_names(app).await?.into_iter().next().with_context(|| format!("{app} has no pod"))
    }

    /// Waits until so many pods of a workload run, and names one of them.
    ///
    /// # Errors
    /// When they do not.
    pub async fn one_of_running(&self, app: &str, count: usize) -> anyhow::Result<String> {
        let runs = |pod: &k8s_openapi::api::core::v1::Pod| {
            pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
        };
        wait_for(&format!("{count} pods of {app} to run"), LIMIT, || async {
            let pods = self.work.pods(app).await?;
            let names: Vec<String> =
                pods.into_iter().filter(runs).filter_map(|pod| pod.metadata.name).collect();
            let one = names.first().cloned().filter(|_| names.len() == count);
            Ok(Seen::when(one, format!("{names:?}")))
        })
        .await
    }

    /// Breaks one pod of a workload, waits until it crash-loops, and names it.
    ///
    /// # Errors
    /// When it does not.
    pub async fn break_one(&self, app: &str) -> anyhow::Result<String> {
        let pod = self.pod_of(app).await?;
        self.break_pod(&pod).await?;
        Ok(pod)
    }

    /// Breaks a pod and waits until it crash-loops; a pod that was replaced before that counts as one that did.
    ///
    /// # Errors
    /// When it does not.
    pub async fn break_pod(&self, pod: &str) -> anyhow::Result<()> {
        self.work.break_pod(pod, &Fault::Crash).await?;
        let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(self.work.client(), self.namespace());
        wait_for(&format!("pod {pod} to crash-loop"), LIMIT, || async {
            let Some(found) = pods.get_opt(pod).await? else { return Ok(Seen::Yes(())) };
            Ok(Seen::when(crashes(&found).then_some(()), format!("{:?}", found.status)))
        })
        .await
    }

    /// Breaks the pods of a workload one after the other, so long `between` them, and then each one that comes for them:
    /// what is wrong is in none of them. Ends only when the API server does not answer, with the error.
    pub async fn breaks_all(&self, app: &str, between: Duration) -> anyhow::Error {
        let pods = Api::<Pod>::namespaced(self.work.client(), self.namespace());
        let crash = Patch::Merge(json!({"metadata": {"annotations": {"rig.nimbus.dev/crash-now": "true"}}}));
        let mut broken = BTreeSet::<String>::new();
        loop {
            let names = match self.work.pod_names(app).await {
                Ok(names) => names,
                Err(error) => return error,
            };
            let mut pause = LOOK;
            // One that is gone meanwhile is not in the next list.
            if let Some(next) = names.into_iter().find(|name| !broken.contains(name))
                && pods.patch(&next, &PatchParams::default(), &crash).await.is_ok()
            {
                broken.insert(next);
                pause = between;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Requires that the pods of a workload are on so many nodes.
    ///
    /// # Errors
    /// The rig's own: the scheduler chose otherwise, and the scene would be another one.
    pub async fn are_on_nodes(&self, app: &str, count: usize) -> anyhow::Result<()> {
        let pods = self.work.pods(app).await?;
        let nodes: BTreeSet<String> = pods.into_iter().filter_map(|pod| pod.spec?.node_name).collect();
        anyhow::ensure!(nodes.len() == count, "expected the pods of {app} on {count} nodes, found {nodes:?}");
        Ok(())
    }

    /// Requires that at most so many pods were evicted, and that nobody was asked anything.
    ///
    /// # Errors
    /// [`Wrong::Action`] with what was done.
    pub async fn evicts_at_most(&self, most: usize) -> anyhow::Result<()> {
        let evictions = self.evictions().await?;
        if evictions > most {
            return Err(Wrong::Action(format!("{evictions} evictions instead of {most}")).into());
        }
        match self.approvals().await?.first() {
            Some(asked) => Err(Wrong::Action(format!("approval asked: {}", asked["summary"])).into()),
            None => Ok(()),
        }
    }

    /// Waits until so many pods of a workload crash-loop.
    ///
    /// # Errors
    /// When they do not.
    pub async fn crash_loops(&self, app: &str, count: usize) -> anyhow::Result<()> {
        wait_for(&format!("{count} pods of {app} to crash-loop"), LIMIT, || async {
            let pods = self.work.pods(app).await?;
            let found = pods.iter().filter(|pod| crashes(pod)).count();
            Ok(Seen::when((found >= count).then_some(()), format!("{found} do")))
        })
        .await
    }

    /// Waits until so many pods of a workload are ready.
    ///
    /// # Errors
    /// When they are not.
    pub async fn are_ready(&self, app: &str, count: usize) -> anyhow::Result<()> {
        wait_for(&format!("{count} pods of {app} to be ready"), LIMIT, || async {
            let found = self.work.pods(app).await?.iter().filter(|pod| is_ready(pod)).count();
            Ok(Seen::when((found == count).then_some(()), format!("{found} are")))
        })
        .await
    }

    /// Waits until a person is asked for a rollback of this Deployment to this revision.
    ///
    /// # Errors
    /// [`Wrong::Action`] when something else is asked, [`Wrong::Restraint`] when nothing is.
    pub async fn asks_about(&self, deployment: &str, revision: &str) -> anyhow::Result<Value> {
        let incident = self.asks().await?;
        let plan = &incident["plan"];
        let summary = plan["summary"].as_str().unwrap_or_default();
        let to = format!("revision {revision}");
        if plan["kind"] == "rollback_deployment"
            && plan["object"]["name"] == deployment
            && names(summary, &to)
        {
            return Ok(incident);
        }
        Err(Wrong::Action(format!("asked for {} ({summary}) instead of {deployment} to {to}", plan["kind"]))
            .into())
    }

    /// Waits until a person is asked to raise a memory limit from one amount to the other.
    ///
    /// # Errors
    /// [`Wrong::Action`] when something else is asked, [`Wrong::Restraint`] when nothing is.
    pub async fn asks_for_memory(&self, from: &str, to: &str) -> anyhow::Result<Value> {
        let incident = self.asks().await?;
        let summary = incident["plan"]["summary"].as_str().unwrap_or_default();
        let wanted = incident["plan"]["kind"] == "raise_memory_limit"
            && summary.ends_with(&format!("from {from} to {to}"));
        if wanted { Ok(incident) } else { Err(Wrong::Action(format!("asked for {summary:?}")).into()) }
    }

    /// Waits until the first container of a Deployment's template has this memory limit.
    ///
    /// # Errors
    /// When it has not.
    pub async fn has_limit(&self, name: &str, limit: &str) -> anyhow::Result<()> {
        let path = "jsonpath={.spec.template.spec.containers[0].resources.limits.memory}";
        let words = ["-n", self.namespace(), "get", "deployment", name, "-o", path];
        wait_for(&format!("{name} to have a limit of {limit}"), LIMIT, || async {
            let found = self.stage.cluster.kubectl(&words).await?;
            Ok(Seen::when((found.trim() == limit).then_some(()), found))
        })
        .await
    }

    /// Requires that no more approvals than these are asked for, also for as long as restraint is watched.
    ///
    /// # Errors
    /// [`Wrong::Action`] with what was asked.
    pub async fn asks_no_more(&self, most: usize) -> anyhow::Result<()> {
        tokio::time::sleep(WATCH).await;
        let asked = self.approvals().await?;
        if asked.len() <= most {
            return Ok(());
        }
        Err(Wrong::Action(format!("{} approvals were asked for: {}", asked.len(), asked[0]["summary"]))
            .into())
    }

    /// The rollback of a whole scene: asked, approved, carried out, verified, and no pod evicted on the way.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn is_rolled_back(&self, deployment: &str, revision: &str) -> anyhow::Result<()> {
        let asked = self.asks_about(deployment, revision).await;
        self.evicts_nothing().await?;
        let asked = asked?;
        self.at_most_open(1).await?;
        self.approve(&asked).await?;
        self.resolves(&asked).await?;
        self.work.wait_until_ready(deployment, LIMIT).await?;
        self.evicts_nothing().await
    }

    /// Requires that no pod of this scene was evicted so far.
    ///
    /// # Errors
    /// [`Wrong::Action`] with the eviction.
    pub async fn evicts_nothing(&self) -> anyhow::Result<()> {
        match self.effects().await?.iter().find(|change| change.is_eviction()) {
            Some(eviction) => Err(Wrong::Action(eviction.to_string()).into()),
            None => Ok(()),
        }
    }

    /// Requires that no node was changed for this scene so far.
    ///
    /// # Errors
    /// [`Wrong::Action`] with the change.
    pub async fn closes_no_node(&self) -> anyhow::Result<()> {
        match self.effects().await?.iter().find(|change| change.resource.starts_with("nodes")) {
            Some(change) => Err(Wrong::Action(format!("{change}: {}", change.body)).into()),
            None => Ok(()),
        }
    }

    /// Waits until this pod is replaced and all pods of its Deployment are ready.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with what was there instead.
    pub async fn replaces(&self, app: &str, victim: &str) -> anyhow::Result<()> {
        let replaced = wait_for(&format!("{victim} to be replaced"), LIMIT, || async {
            let names = self.work.pod_names(app).await?;
            let gone = !names.iter().any(|name| name == victim);
            Ok(Seen::when(gone.then_some(()), format!("{names:?}; {:#?}", self.incidents_in_words().await?)))
        })
        .await;
        replaced.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
        let ready = self.work.wait_until_ready(app, LIMIT).await.map(drop);
        ready.map_err(|error| Wrong::Action(format!("it is worse than before: {error:#}")).into())
    }

    async fn incidents_in_words(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.incidents().await?.iter().map(|i| format!("{}: {}", i["state"], told(i))).collect())
    }

    /// Waits until the newest incident is resolved and none is open.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with the incidents that were there instead.
    pub async fn ends_well(&self) -> anyhow::Result<Value> {
        let found = wait_for("every incident to be resolved", LIMIT, || async {
            let all = self.incidents().await?;
            let over = all.iter().all(|incident| incident["state"] == "resolved");
            Ok(Seen::when(
                all.first().cloned().filter(|_| over),
                format!("{:#?}", self.incidents_in_words().await?),
            ))
        });
        found.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
    }

    /// Waits until something was evicted, and then until every incident is resolved.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] when nothing is.
    pub async fn ends_after_act(&self) -> anyhow::Result<Value> {
        let acted = wait_for("an eviction", LIMIT, || async {
            let done = self.evictions().await? > 0;
            Ok(Seen::when(done.then_some(()), format!("{:#?}", self.incidents_in_words().await?)))
        });
        acted.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
        self.ends_well().await
    }

    /// The open incidents about nodes or about the whole cluster, in words.
    ///
    /// # Errors
    /// When the control plane does not answer.
    pub async fn open_incidents_on_nodes(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for incident in self.stage.plane.items("/incidents?state=active").await? {
            if ["Node", "Cluster"].iter().any(|kind| incident["object"]["kind"] == *kind) {
                let id = incident["id"].as_str().context("an id")?;
                found.push(told(&self.stage.plane.get(&format!("/incidents/{id}")).await?));
            }
        }
        Ok(found)
    }

    /// Requires that nobody was promised that the new pod runs elsewhere.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with the text.
    pub fn promises_no_other_node(&self, incident: &Value) -> anyhow::Result<()> {
        says_nothing_of(incident, &["another node", "other node", "elsewhere"])
    }

    /// A Rollout of Argo Rollouts (its kind is served, no controller of it runs); gives its UID.
    ///
    /// # Errors
    /// When the API server does not serve it in time.
    pub async fn rollout(&self, name: &str) -> anyhow::Result<Value> {
        let kind = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "rollouts.argoproj.io"},
            "spec": {
                "group": "argoproj.io",
                "names": {"kind": "Rollout", "plural": "rollouts"},
                "scope": "Namespaced",
                "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }}}],
            },
        });
        apply_to_cluster(&self.work, &kind).await?;
        let rollout = named("argoproj.io/v1alpha1", "Rollout", name);
        wait_for("Rollouts to be served", LIMIT, || async {
            Ok(Seen::Yes(apply(&self.work, &rollout).await?["metadata"]["uid"].clone()))
        })
        .await
    }

    /// Asks for the end of the scene's namespace, and does not wait for it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn delete_namespace(&self) -> anyhow::Result<()> {
        let namespaces = Api::<Namespace>::all(self.work.client());
        namespaces.delete(self.namespace(), &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until no incident of this namespace is open.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with those that are.
    pub async fn ends_all(&self) -> anyhow::Result<()> {
        let over = wait_for("no open incident", LIMIT, || async {
            let all = self.incidents().await?;
            let none = all.iter().all(|incident| incident["state"] == "resolved");
            Ok(Seen::when(none.then_some(()), format!("{:#?}", self.incidents_in_words().await?)))
        });
        over.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
    }

    /// Nothing at all: no incident, nothing changed, nobody asked, for the stated time.
    ///
    /// # Errors
    /// [`Wrong::Action`] with what there is.
    pub async fn sees_nothing(&self) -> anyhow::Result<()> {
        self.refrains().await?;
        match self.incidents_in_words().await?.first() {
            Some(incident) => Err(Wrong::Action(format!("an incident about nothing: {incident}")).into()),
            None => Ok(()),
        }
    }
}

/// Does the text name this and nothing longer (`revision 1` is not `revision 12`)?
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let next = text[at + word.len()..].chars().next();
        next.is_none_or(|c| !c.is_ascii_alphanumeric())
    })
}

/// At least two restarts and a back-off: what the stage's control plane calls a crash loop.
fn crashes(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| {
        status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten())
    });
    statuses
        .into_iter()
        .any(|status| status.restart_count >= 2 && waiting_reason(status) == Some("CrashLoopBackOff"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_not_the_beginning_of_another() {
        assert!(names("back to revision 1, since", "revision 1") && names("to revision 1", "revision 1"));
        assert!(!names("back to revision 12", "revision 1"));
        assert!(names("from revision 12 to revision 1", "revision 1"));
    }
}
