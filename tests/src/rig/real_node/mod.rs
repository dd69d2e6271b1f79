//! A real node, or two: kubelet, containerd, runc, CNI and kube-proxy, in namespaces and cgroups of their own.
//!
//! It joins a [`Cluster`] without simulated nodes. For what the simulator only imitates: crash loops, kills for memory,
//! init containers and sidecars, volumes, evictions, and an agent that runs as a pod. A machine that cannot have one says
//! why ([`obstacle`]).

mod config;
pub mod csi;
pub mod enter;
pub mod images;
pub mod mounts;
pub mod names;
pub mod obstacle;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::{Cluster, Options, Reach, build, repository};
use crate::process::Process;
use crate::wait::{Seen, wait_for};

/// The node's address, which its pods reach as well.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// The node's name.
pub const NODE: &str = "real-0";
/// The first argument of a program that was started by [`enter::run`].
pub const INSIDE: &str = "inside-a-real-node";

/// How long the node may take until it is ready: it takes some ten seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(3);

/// Which of the two real nodes, of one cluster or of one each. Both are in the same namespaces: their pods have one bridge, and one
/// kube-proxy does for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The one that every cluster with a real node has.
    First,
    /// One more, for what needs two, in the same cluster or in another.
    Second,
}

impl Place {
    /// The node's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => NODE,
            Self::Second => "real-1",
        }
    }

    /// The node's address.
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::First => ADDRESS,
            Self::Second => Ipv4Addr::new(10, 200, 0, 2),
        }
    }
}

/// The processes of a node; they end with the namespaces that they are in.
#[derive(Debug)]
pub struct RealNode {
    place: Place,
    dir: PathBuf,
    programs: build::Binaries,
    processes: Vec<Process>,
}

/// Where an installed part of the node, or of what runs on it, is.
pub fn part(what: &str) -> anyhow::Result<&'static Path> {
    let found = obstacle::PARTS.into_iter().find(|(name, _)| *name == what);
    let found = found.and_then(|(_, paths)| paths.iter().map(Path::new).find(|path| path.is_file()));
    found.with_context(|| format!("{what} is not installed"))
}

impl RealNode {
    /// Starts a cluster and this node in it; this process is in the namespaces already, and has prepared them. A container that
    /// crashes waits for this Go duration at most; a kubelet's own waits are 10 s, 20 s and up to 5 min.
    ///
    /// # Errors
    /// When a program cannot be built or started, or the node is not ready in time; then with the ends of the logs.
    pub async fn start(longest_back_off: &str) -> anyhow::Result<(Cluster, Self)> {
        let cluster = Cluster::start(Options { nodes: 0, reach: Reach::Pods, ..Options::default() }).await?;
        let node = Self::join(&cluster, Place::First, longest_back_off).await?;
        Ok((cluster, node))
    }

    /// Starts the second node of a cluster that has the first.
    ///
    /// # Errors
    /// As [`RealNode::start`], and when its address or its cgroups cannot be made.
    pub async fn second(cluster: &Cluster, longest_back_off: &str) -> anyhow::Result<Self> {
        mounts::prepare_second()?;
        Self::join(cluster, Place::Second, longest_back_off).await
    }

    /// Starts another cluster beside the one with the first node, and the second node in it. All pods are in one network; kube-proxy
    /// serves the first cluster's Services alone.
    ///
    /// # Errors
    /// As [`RealNode::second`].
    pub async fn start_beside(longest_back_off: &str) -> anyhow::Result<(Cluster, Self)> {
        let cluster = Cluster::start(Options { nodes: 0, reach: Reach::Pods, ..Options::default() }).await?;
        let node = Self::second(&cluster, longest_back_off).await?;
        Ok((cluster, node))
    }

    async fn join(cluster: &Cluster, place: Place, longest_back_off: &str) -> anyhow::Result<Self> {
        let dir = cluster.dir().join(place.name());
        fs::create_dir_all(dir.join("cni"))?;
        let programs = build::ensure_all(&repository()?, true)?;
        let mut node = Self { place, dir, programs, processes: Vec::new() };
        match node.bring_up(cluster, longest_back_off).await {
            Ok(()) => Ok(node),
            Err(error) => Err(error.context(format!("{}\n{}", node.logs(), cluster.logs()))),
        }
    }

    async fn bring_up(&mut self, cluster: &Cluster, longest_back_off: &str) -> anyhow::Result<()> {
        let kubeconfig = cluster.kubeconfig_path();
        let bridge = part("the CNI plugin bridge")?.parent().context("a plugin lies in a directory")?;
        fs::write(self.dir.join("containerd.toml"), config::containerd(&self.dir, bridge))?;
        fs::write(self.dir.join("cni/10-pods.conflist"), config::network().to_string())?;
        fs::write(
            self.dir.join("kubelet.json"),
            config::kubelet(self.place, &self.dir, cluster.dir(), longest_back_off).to_string(),
        )?;
        self.run(
            "containerd",
            vec!["-c".to_owned(), self.dir.join("containerd.toml").display().to_string()],
        )?;
        wait_for("containerd to answer", START_LIMIT, || async { Ok(Seen::Yes(self.ctr(&["version"])?)) })
            .await?;
        for archive in [
            images::busybox(&self.dir, images::PAUSE, &["sleep", "2147483647"])?,
            images::busybox(&self.dir, images::BUSYBOX, &["sh"])?,
        ] {
            self.import(&archive)?;
        }
        self.run("kubelet", config::kubelet_words(self.place, &self.dir, &kubeconfig))?;
        if self.place == Place::First {
            self.run("kube-proxy", config::proxy_words(&kubeconfig))?;
        }
        let name = self.place.name();
        wait_for(&format!("{name} to be there"), START_LIMIT, || async {
            cluster.wait_for_node(name, "True", Duration::ZERO).await.map(Seen::Yes)
        })
        .await
    }

    /// Makes an image known to the node.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn import(&self, archive: &Path) -> anyhow::Result<()> {
        self.ctr(&["images", "import", &archive.display().to_string()]).map(drop)
    }

    /// Makes the images of an OCI layout known to the node, called `name` and by the tags that they have there.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn import_as(&self, name: &str, archive: &Path) -> anyhow::Result<()> {
        self.ctr(&["images", "import", "--base-name", name, &archive.display().to_string()]).map(drop)
    }

    /// The node's own directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn ctr(&self, words: &[&str]) -> anyhow::Result<String> {
        let socket = self.dir.join("c.sock").display().to_string();
        let program = self.programs.path("ctr").display().to_string();
        mounts::run(&program, &[&["-a", &socket, "-n", "k8s.io"], words].concat())
    }

    fn run(&mut self, program: &str, words: Vec<String>) -> anyhow::Result<()> {
        let mut command = Command::new(self.programs.path(program));
        // containerd looks for its shim beside the other programs.
        let bin = self.programs.path(program).parent().map(Path::to_owned).unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))?;
        command.args(words).current_dir(&self.dir).env("PATH", path).env_remove("KUBECONFIG");
        self.processes.push(Process::start(program, command, &self.dir)?);
        Ok(())
    }

    fn logs(&self) -> String {
        let tail = |process: &Process| {
            let output = process.output();
            let lines: Vec<&str> = output.lines().collect();
            lines[lines.len().saturating_sub(8)..].join("\n  ")
        };
        let all: Vec<String> = self.processes.iter().map(tail).collect();
        format!("the node's processes said last:\n  {}", all.join("\n  ---\n  "))
    }
}
