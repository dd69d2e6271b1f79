//! The test cluster: a real Kubernetes control plane with simulated kubelets.
//!
//! etcd, the API server, the controller manager and the scheduler are the real programs; kwok plays
//! the kubelets by the stages in `tests/rig/stages`, where every fault that a test can switch on is
//! described. Decides: how a cluster is started, stopped and shared. What runs on it is left to
//! [`workloads`], where the programs come from to [`build`].

pub mod audit;
pub mod build;
pub mod cert_manager;
mod certs;
mod components;
pub mod metrics;
pub mod real_node;
pub mod schemas;
pub mod systemd;
pub mod workloads;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

pub use components::Component;

use crate::process::{Process, free_port};
use crate::wait::{Seen, wait_for};

/// How long a cluster may take to start: it takes a few seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(3);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many nodes, named `node-0`, `node-1` and so on.
    pub nodes: usize,
    /// How long after its last heartbeat a node turns NotReady; below 12 s healthy nodes of a busy
    /// machine would.
    pub node_grace_seconds: u32,
    /// Who reaches the API server.
    pub reach: Reach,
    /// Whether the simulated kubelets tell what their pods use; see [`metrics`].
    pub metrics: bool,
}

/// Who reaches the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine alone, by loopback: the simulated nodes need no network.
    Loopback,
    /// The pods of a [`real_node`] too, in the network namespace that it has for itself.
    Pods,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: 3, node_grace_seconds: 20, reach: Reach::Loopback, metrics: false }
    }
}

/// A running cluster; its processes are killed and its directory removed when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: the processes first, then their directory.
    processes: Mutex<BTreeMap<Component, Process>>,
    dir: tempfile::TempDir,
    binaries: build::Binaries,
    authority: certs::Authority,
    ports: components::Ports,
    options: Options,
}

impl Cluster {
    /// Starts a cluster and waits until its nodes are ready. The first start on a machine builds the
    /// programs, which takes minutes.
    ///
    /// # Errors
    /// When the programs cannot be built or started, or the nodes are not ready within three minutes;
    /// then with the end of each process's log.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        // Another part of the test may have chosen the provider already; it is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let binaries = tokio::task::spawn_blocking(|| build::ensure_all(&repository()?, false)).await??;

        let dir =
            tempfile::Builder::new().prefix("nimbus-rig-").tempdir().context("a temporary directory")?;
        let authority = certs::Authority::new().context("the cluster's certificate authority")?;
        authority.write_server_files(dir.path())?;
        let ports = components::Ports {
            etcd: free_port()?,
            etcd_peer: free_port()?,
            api: free_port()?,
            kubelets: free_port()?,
        };
        let metrics = options.metrics;
        let cluster = Self { processes: Mutex::default(), dir, binaries, authority, ports, options };
        cluster.write_kubeconfig("admin.kubeconfig", "admin", &["system:masters"])?;
        std::fs::write(cluster.dir.path().join("stages.yaml"), components::stages(metrics).join("\n---\n"))?;
        std::fs::write(cluster.dir.path().join("audit-policy.yaml"), components::AUDIT_POLICY)?;
        // A process that ends while the cluster comes up will not come back: say so at once.
        let result = tokio::select! {
            result = cluster.bring_up() => result,
            component = cluster.first_to_end() => {
                Err(anyhow::anyhow!("{} ended by itself", component.program()))
            }
        };
        match result {
            Ok(()) => Ok(cluster),
            Err(error) => Err(error.context(cluster.logs())),
        }
    }

    async fn first_to_end(&self) -> Component {
        loop {
            let ended =
                self.lock().iter_mut().find_map(|(component, it)| (!it.is_running()).then_some(*component));
            if let Some(component) = ended {
                return component;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// One cluster for all tests of this process, started by the first that asks; tests work in
    /// namespaces of their own. What a test does to whole nodes or processes needs its own cluster.
    ///
    /// # Errors
    /// As [`Cluster::start`]; each caller tries again.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: tokio::sync::OnceCell<Cluster> = tokio::sync::OnceCell::const_new();
        static REMOVED: std::sync::Once = std::sync::Once::new();
        let cluster = SHARED.get_or_try_init(|| Self::start(Options::default())).await?;
        // A static is never dropped: the processes end with this one, its directory is removed here.
        REMOVED.call_once(|| remove_at_exit(cluster));
        Ok(cluster)
    }

    async fn bring_up(&self) -> anyhow::Result<()> {
        self.start_component(Component::Etcd)?;
        self.start_component(Component::ApiServer)?;
        self.wait_until_api_answers(START_LIMIT).await?;
        self.start_component(Component::ControllerManager)?;
        self.start_component(Component::Scheduler)?;
        if self.options.nodes > 0 {
            self.start_component(Component::Kubelets)?;
        }
        let nodes: Api<Node> = Api::all(self.client().await?);
        for index in 0..self.options.nodes {
            let name = format!("node-{index}");
            let labels =
                json!({components::KUBELET_LABEL: "running", "kubernetes.io/hostname": name.clone()});
            let figures = format!("/metrics/nodes/{name}/metrics/resource");
            let annotations = json!({"metrics.k8s.io/resource-metrics-path": figures});
            let node = json!({"metadata": {"name": name, "labels": labels, "annotations": annotations}});
            nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        }
        for index in 0..self.options.nodes {
            self.wait_for_node(&format!("node-{index}"), "True", START_LIMIT).await?;
        }
        Ok(())
    }

    /// Waits until the API server says that it is ready.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn wait_until_api_answers(&self, limit: Duration) -> anyhow::Result<()> {
        wait_for("the API server to be ready", limit, || async {
            let client = self.client().await?;
            let request = http_get("/readyz")?;
            let answer = client.request_text(request).await?;
            Ok(Seen::when((answer == "ok").then_some(()), answer))
        })
        .await
    }

    /// Waits until the Ready condition of a node has this status (`True`, `False`, `Unknown`).
    ///
    /// # Errors
    /// When it has not within `limit`, with what it was.
    pub async fn wait_for_node(&self, node: &str, status: &str, limit: Duration) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(self.client().await?);
        wait_for(&format!("Ready of {node} to be {status}"), limit, || async {
            let seen = nodes.get(node).await?.status.and_then(|status| status.conditions).unwrap_or_default();
            let ready =
                seen.into_iter().find(|condition| condition.type_ == "Ready").map(|ready| ready.status);
            let found = ready.as_deref() == Some(status);
            Ok(Seen::when(found.then_some(()), ready.unwrap_or_else(|| "no Ready condition".to_owned())))
        })
        .await
    }

    /// A kubeconfig of an administrator.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.dir.path().join("admin.kubeconfig")
    }

    /// Writes a kubeconfig for any other user, who may do what RBAC grants to the name or the groups.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> anyhow::Result<PathBuf> {
        self.write_kubeconfig(&format!("{}.kubeconfig", user.replace(['/', ':'], "-")), user, groups)
    }

    fn write_kubeconfig(&self, file: &str, user: &str, groups: &[&str]) -> anyhow::Result<PathBuf> {
        let config = self.authority.kubeconfig(&self.server(), user, groups)?;
        let path = self.dir.path().join(file);
        std::fs::write(&path, serde_json::to_vec_pretty(&config)?)
            .with_context(|| format!("cannot write {file}"))?;
        Ok(path)
    }

    /// What the API server writes down of the changes that an agent asks for.
    pub fn audit_log(&self) -> audit::AuditLog {
        audit::AuditLog::at(&self.dir.path().join("audit.log"))
    }

    /// The API server's URL.
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    /// The directory that everything of this cluster lives in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// An administrator's client. Each belongs to the runtime that it was made on: do not share one
    /// between tests.
    ///
    /// # Errors
    /// When the kubeconfig is unusable.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig_path())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// A fresh namespace to work in.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn workloads(&self, prefix: &str) -> anyhow::Result<workloads::Workloads> {
        workloads::Workloads::create(self.client().await?, prefix).await
    }

    /// A namespace of this name with these labels.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn namespace(
        &self,
        name: &str,
        labels: &serde_json::Value,
    ) -> anyhow::Result<workloads::Workloads> {
        let metadata = json!({"name": name, "labels": labels});
        workloads::Workloads::create_with(self.client().await?, metadata).await
    }

    /// Runs kubectl as administrator and returns its standard output.
    ///
    /// # Errors
    /// When it fails, with its standard error.
    pub async fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = tokio::process::Command::new(self.binaries.path("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig_path()).args(args).env("HOME", self.dir.path());
        let output = command.kill_on_drop(true).output().await.context("cannot run kubectl")?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "kubectl {} failed: {}", args.join(" "), error.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The node's kubelet dies: no lease, no status, its pods stay as they were. The node turns
    /// NotReady (status `Unknown`) after the grace period.
    ///
    /// # Errors
    /// When there is no such node.
    pub async fn stop_heartbeats(&self, node: &str) -> anyhow::Result<()> {
        self.patch_node(node, json!({"labels": {components::KUBELET_LABEL: "stopped"}})).await
    }

    /// The node's kubelet comes back.
    ///
    /// # Errors
    /// When there is no such node.
    pub async fn resume_heartbeats(&self, node: &str) -> anyhow::Result<()> {
        self.patch_node(node, json!({"labels": {components::KUBELET_LABEL: "running"}})).await
    }

    /// The node's kubelet lives and says that it is not ready (status `False`), or is again.
    ///
    /// # Errors
    /// When there is no such node.
    pub async fn set_node_not_ready(&self, node: &str, not_ready: bool) -> anyhow::Result<()> {
        let value = not_ready.then_some("true");
        self.patch_node(node, json!({"annotations": {"rig.nimbus.dev/not-ready": value}})).await
    }

    async fn patch_node(&self, node: &str, metadata: serde_json::Value) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(self.client().await?);
        let patch = Patch::Merge(json!({"metadata": metadata}));
        nodes
            .patch(node, &PatchParams::default(), &patch)
            .await
            .with_context(|| format!("cannot change {node}"))?;
        Ok(())
    }

    /// Kills one process of the cluster (SIGKILL); clients see refused connections or silence.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop_component(&self, component: Component) -> anyhow::Result<()> {
        let process = self.lock().remove(&component);
        let mut process = process.with_context(|| format!("{} does not run", component.program()))?;
        process.kill9().with_context(|| format!("cannot kill {}", component.program()))?;
        Ok(())
    }

    /// Starts a process that was stopped again, on the same port with the same data.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start_component(&self, component: Component) -> anyhow::Result<()> {
        let mut processes = self.lock();
        anyhow::ensure!(!processes.contains_key(&component), "{} runs already", component.program());
        let dir = self.dir.path();
        let command = components::command(component, &self.binaries, dir, self.ports, &self.options);
        processes.insert(component, Process::start(component.program(), command, dir)?);
        Ok(())
    }

    /// The process id of one component, while it runs.
    pub fn pid(&self, component: Component) -> Option<u32> {
        self.lock().get(&component).map(Process::pid)
    }

    /// The end of each process's log, for an error message.
    pub fn logs(&self) -> String {
        let mut text = String::from("the cluster's processes said last:");
        for (component, process) in self.lock().iter_mut() {
            let state = if process.is_running() { "running" } else { "ended" };
            let output = process.output();
            let lines: Vec<&str> = output.lines().collect();
            let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{} ({state}):\n  {last}", component.program());
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Component, Process>> {
        // A test that panicked while it held the lock has left the map whole.
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The workspace's root, from where this crate was built.
///
/// # Errors
/// None as long as this crate is one level below it.
pub fn repository() -> anyhow::Result<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(above.context("tests/ is below the repository")?.to_owned())
}

fn http_get(path: &str) -> anyhow::Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

/// Kills a shared cluster's processes and removes its directory when the test process ends.
#[allow(unsafe_code, reason = "there is no other hook at the end of a test binary")]
fn remove_at_exit(cluster: &'static Cluster) {
    static CLUSTER: std::sync::OnceLock<&'static Cluster> = std::sync::OnceLock::new();
    extern "C" fn remove() {
        if let Some(cluster) = CLUSTER.get() {
            cluster.lock().clear();
            // What cannot be removed is a temporary directory; there is no one left to tell.
            let _ = std::fs::remove_dir_all(cluster.dir.path());
        }
    }
    if CLUSTER.set(cluster).is_ok() {
        // SAFETY: `remove` takes no arguments, does not unwind past this boundary and uses statics only.
        unsafe { libc::atexit(remove) };
    }
}
