//! Deployments that tests break and watch, in a namespace of each test's own.
//!
//! Decides how a test's Deployment looks and how a fault is switched on; what the faults do is in the
//! stages (`tests/rig/stages`).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Namespace, Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::wait::{Seen, wait_for};

/// For how long a pod is left ready before it is broken.
const WELL: std::time::Duration = std::time::Duration::from_secs(5);

/// What can be wrong with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Its container exits with 1 again and again.
    Crash,
    /// The same, but only on the node of this name.
    CrashOnNode(String),
    /// Its container is killed for its memory (137, OOMKilled) again and again.
    OutOfMemory,
    /// It runs and never becomes ready.
    NeverReady,
    /// Its image cannot be pulled.
    ImagePull,
}

impl Fault {
    /// The annotation for a Deployment's pod template: every pod of it has the fault.
    pub fn annotation(&self) -> (&'static str, &str) {
        match self {
            Self::Crash => ("rig.nimbus.dev/crash", "always"),
            Self::CrashOnNode(node) => ("rig.nimbus.dev/crash-on-node", node),
            Self::OutOfMemory => ("rig.nimbus.dev/oom", "true"),
            Self::NeverReady => ("rig.nimbus.dev/never-ready", "true"),
            Self::ImagePull => ("rig.nimbus.dev/image-pull", "fail"),
        }
    }

    /// The annotation for one running pod.
    fn annotation_of_one_pod(&self) -> (&'static str, &str) {
        match self {
            Self::Crash => ("rig.nimbus.dev/crash-now", "true"),
            other => other.annotation(),
        }
    }
}

/// A Deployment of one container, to be given to [`Workloads::apply`].
#[derive(Debug, Clone)]
pub struct DeploymentSpec {
    /// Its name; also the value of the label `app`.
    pub name: String,
    /// How many pods.
    pub replicas: i32,
    /// The pod template's annotations.
    pub annotations: BTreeMap<String, String>,
    /// When a rollout that does not progress has failed; Kubernetes' default is ten minutes.
    pub progress_deadline_seconds: i32,
    /// As many pods on each node, whatever else runs there; otherwise the scheduler only prefers that.
    pub spread: bool,
}

impl DeploymentSpec {
    /// A healthy Deployment.
    pub fn new(name: &str, replicas: i32) -> Self {
        Self {
            name: name.to_owned(),
            replicas,
            annotations: BTreeMap::new(),
            progress_deadline_seconds: 600,
            spread: false,
        }
    }

    /// One more annotation of the pod template.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Every pod of it has this fault.
    #[must_use]
    pub fn fault(self, fault: &Fault) -> Self {
        let (key, value) = fault.annotation();
        self.annotation(key, value)
    }

    /// As many pods on each node.
    #[must_use]
    pub fn spread(mut self) -> Self {
        self.spread = true;
        self
    }

    /// Another progress deadline.
    #[must_use]
    pub fn progress_deadline(mut self, seconds: i32) -> Self {
        self.progress_deadline_seconds = seconds;
        self
    }
}

/// A namespace with Deployments.
#[derive(Clone)]
pub struct Workloads {
    client: kube::Client,
    namespace: String,
}

impl Workloads {
    /// Makes a namespace and waits until pods can be made in it.
    pub(super) async fn create(client: kube::Client, prefix: &str) -> anyhow::Result<Self> {
        Self::create_with(client, json!({"generateName": format!("{prefix}-")})).await
    }

    /// The same with other metadata.
    pub(super) async fn create_with(
        client: kube::Client,
        metadata: serde_json::Value,
    ) -> anyhow::Result<Self> {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = serde_json::from_value(json!({"metadata": metadata}))?;
        let made =
            namespaces.create(&PostParams::default(), &namespace).await.context("cannot make a namespace")?;
        let namespace = made.metadata.name.context("a namespace without a name")?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        wait_for("the namespace's default service account", Duration::from_mins(1), || async {
            Ok(Seen::when(accounts.get_opt("default").await?.map(drop), "none"))
        })
        .await?;
        Ok(Self { client, namespace })
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The client that this uses.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a Deployment or changes it (a changed template is a new revision).
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn apply(&self, spec: &DeploymentSpec) -> anyhow::Result<Deployment> {
        let evenly = json!([{
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": spec.name}},
        }]);
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": spec.name},
            "spec": {
                "replicas": spec.replicas,
                "progressDeadlineSeconds": spec.progress_deadline_seconds,
                "selector": {"matchLabels": {"app": spec.name}},
                "template": {
                    "metadata": {"labels": {"app": spec.name}, "annotations": spec.annotations},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "topologySpreadConstraints": if spec.spread { evenly } else { json!([]) },
                        "containers": [{"name": "app", "image": "registry.example/app:1"}],
                    },
                },
            },
        });
        let params = PatchParams::apply("rig").force();
        let deployments = self.api::<Deployment>();
        deployments
            .patch(&spec.name, &params, &Patch::Apply(deployment))
            .await
            .with_context(|| format!("cannot apply Deployment {}", spec.name))
    }

    /// Applies a Deployment and waits until all its pods are ready.
    ///
    /// # Errors
    /// When they are not within `limit`.
    pub async fn apply_and_wait(&self, spec: &DeploymentSpec, limit: Duration) -> anyhow::Result<Deployment> {
        self.apply(spec).await?;
        self.wait_until_ready(&spec.name, limit).await
    }

    /// Sets (or, with `None`, removes) an annotation of the pod template: a new revision rolls out.
    ///
    /// # Errors
    /// When there is no such Deployment.
    pub async fn set_template_annotation(
        &self,
        name: &str,
        key: &str,
        value: Option<&str>,
    ) -> anyhow::Result<()> {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {key: value}}}}});
        self.api::<Deployment>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Waits until the newest revision is rolled out completely and every pod is ready.
    ///
    /// # Errors
    /// When it is not within `limit`, with the Deployment's last status.
    pub async fn wait_until_ready(&self, name: &str, limit: Duration) -> anyhow::Result<Deployment> {
        let deployments = self.api::<Deployment>();
        wait_for(&format!("Deployment {name} to be ready"), limit, || async {
            let found = deployments.get(name).await?;
            let wanted = found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            let status = found.status.clone().unwrap_or_default();
            let counts = [status.replicas, status.updated_replicas, status.available_replicas];
            let current = status.observed_generation == found.metadata.generation;
            let complete = counts.iter().all(|count| count.unwrap_or(0) == wanted);
            Ok(Seen::when((current && complete).then_some(found), serde_json::to_string(&status)?))
        })
        .await
    }

    /// The pods of a Deployment that are not being deleted, by name.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn pods(&self, name: &str) -> anyhow::Result<Vec<Pod>> {
        let list = self.api::<Pod>().list(&ListParams::default().labels(&format!("app={name}"))).await?;
        let mut pods = list.items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(pods)
    }

    /// The names of a Deployment's pods.
    ///
    /// # Errors
    /// As [`Workloads::pods`].
    pub async fn pod_names(&self, name: &str) -> anyhow::Result<Vec<String>> {
        Ok(self.pods(name).await?.into_iter().filter_map(|pod| pod.metadata.name).collect())
    }

    /// The ReplicaSets of a Deployment, the oldest revision first.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn replica_sets(&self, name: &str) -> anyhow::Result<Vec<ReplicaSet>> {
        let list =
            self.api::<ReplicaSet>().list(&ListParams::default().labels(&format!("app={name}"))).await?;
        let mut sets = list.items;
        sets.sort_by_key(|set| {
            let revision = set.metadata.annotations.as_ref()?.get("deployment.kubernetes.io/revision")?;
            revision.parse::<u64>().ok()
        });
        Ok(sets)
    }

    /// Gives one running pod a fault; its ReplicaSet's template stays clean, so its replacement is
    /// healthy. An image is pulled before a pod runs: [`Fault::ImagePull`] does nothing here.
    ///
    /// # Errors
    /// When there is no such pod.
    pub async fn break_pod(&self, pod: &str, fault: &Fault) -> anyhow::Result<()> {
        let (key, value) = fault.annotation_of_one_pod();
        self.has_been_well(pod).await?;
        self.annotate_pod(pod, key, Some(value)).await
    }

    /// Switches a fault on in several pods, all of them at once.
    ///
    /// # Errors
    /// As [`Workloads::break_pod`].
    pub async fn break_pods(&self, pods: &[String], fault: &Fault) -> anyhow::Result<()> {
        let (key, value) = fault.annotation_of_one_pod();
        if let Some(first) = pods.first() {
            self.has_been_well(first).await?;
        }
        for pod in pods {
            self.annotate_pod(pod, key, Some(value)).await?;
        }
        Ok(())
    }

    /// Waits until a pod that is ready has been so for a while: one that fails at once was never well, which is another
    /// case.
    ///
    /// # Errors
    /// When there is no such pod.
    pub async fn has_been_well(&self, pod: &str) -> anyhow::Result<()> {
        let status =
            self.api::<Pod>().get(pod).await.with_context(|| format!("cannot read pod {pod}"))?.status;
        let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
        let ready =
            conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True");
        if let Some(since) = ready.and_then(|condition| condition.last_transition_time.as_ref()) {
            // Kubernetes tells whole seconds.
            let well = nimbus_platform::now().duration_since(since.0).unsigned_abs();
            tokio::time::sleep((WELL + Duration::from_secs(1)).saturating_sub(well)).await;
        }
        Ok(())
    }

    /// Takes a fault from one pod: it starts once more and becomes ready.
    ///
    /// # Errors
    /// When there is no such pod.
    pub async fn mend_pod(&self, pod: &str, fault: &Fault) -> anyhow::Result<()> {
        self.annotate_pod(pod, fault.annotation_of_one_pod().0, None).await
    }

    async fn annotate_pod(&self, pod: &str, key: &str, value: Option<&str>) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let pods = self.api::<Pod>();
        pods.patch(pod, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("cannot change pod {pod}"))?;
        Ok(())
    }

    /// Waits until the first container of a pod is as `test` wants it.
    ///
    /// # Errors
    /// When it is not within `limit`, with its last status.
    pub async fn wait_for_container(
        &self,
        pod: &str,
        what: &str,
        limit: Duration,
        test: impl Fn(&ContainerStatus) -> bool,
    ) -> anyhow::Result<ContainerStatus> {
        let pods = self.api::<Pod>();
        wait_for(&format!("pod {pod}: {what}"), limit, || async {
            let status = pods.get(pod).await?.status.and_then(|status| status.container_statuses);
            let first = status.and_then(|all| all.into_iter().next()).context("no container status yet")?;
            let seen = serde_json::to_string(&first)?;
            Ok(Seen::when(test(&first).then_some(first), seen))
        })
        .await
    }

    /// Deletes a pod and waits until it is gone.
    ///
    /// # Errors
    /// When it is still there after `limit`.
    pub async fn delete_pod(&self, pod: &str, limit: Duration) -> anyhow::Result<()> {
        let pods = self.api::<Pod>();
        pods.delete(pod, &DeleteParams::default()).await?;
        wait_for(&format!("pod {pod} to be gone"), limit, || async {
            Ok(Seen::when(pods.get_opt(pod).await?.is_none().then_some(()), "still there"))
        })
        .await
    }
}

/// Whether a pod's Ready condition is True.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The reason that a container waits for, if it waits (`CrashLoopBackOff`, `ImagePullBackOff`, ...).
pub fn waiting_reason(status: &ContainerStatus) -> Option<&str> {
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}
