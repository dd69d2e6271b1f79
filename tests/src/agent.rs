//! Runs a real agent as a process: joins it to a control plane, kills it, and starts it again on its data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::plane::Plane;
use crate::process::{Process, binary};
use crate::wait::{Seen, wait_for, wait_for_blocking};

/// How long an agent may take to join.
const JOIN_LIMIT: Duration = Duration::from_mins(1);

/// What an agent is started with.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// The operator's name for it.
    pub name: String,
    /// Cluster to watch; `None`: only its host.
    pub kubeconfig: Option<PathBuf>,
    /// UID of the cluster that its token is made for; `None`: a token that names none.
    pub cluster: Option<String>,
    /// Watched paths.
    pub watch: Vec<PathBuf>,
    /// Text of the local policy file; empty: none, observe only.
    pub policy: String,
    /// More environment, such as a short lease.
    pub env: Vec<(String, String)>,
    /// A program that becomes the agent, with its words before the agent's own.
    pub around: Vec<String>,
    /// Where the agent's program is; `None`: as it was built beside this test.
    pub program: Option<PathBuf>,
}

/// An agent that can be killed and comes back.
pub struct AgentProcess {
    process: Process,
    dir: tempfile::TempDir,
    server: SocketAddr,
    options: AgentOptions,
}

impl AgentProcess {
    /// Joins `plane` with a fresh token and waits until the control plane has it connected.
    pub async fn join(plane: &Plane, options: AgentOptions) -> anyhow::Result<Self> {
        Self::join_with(plane, options, None).await
    }

    /// As [`AgentProcess::join`], with fail points (`agent::applied=1*return`).
    pub async fn join_with(
        plane: &Plane,
        options: AgentOptions,
        failpoints: Option<&str>,
    ) -> anyhow::Result<Self> {
        let agent = Self::launch_with(plane, options, failpoints).await?;
        agent.wait_until_connected(plane).await?;
        Ok(agent)
    }

    /// Starts one with a fresh token and does not wait: it may never come in.
    pub async fn launch(plane: &Plane, options: AgentOptions) -> anyhow::Result<Self> {
        Self::launch_with(plane, options, None).await
    }

    async fn launch_with(
        plane: &Plane,
        options: AgentOptions,
        failpoints: Option<&str>,
    ) -> anyhow::Result<Self> {
        let kind = if options.kubeconfig.is_some() { "cluster" } else { "host" };
        let token = plane.join_token_for(&options.name, kind, options.cluster.as_deref()).await?;
        let dir = tempfile::Builder::new().prefix("nimbus-agent-").tempdir()?;
        std::fs::write(dir.path().join("policy.toml"), &options.policy)?;
        let process = launch(dir.path(), plane.quic(), &options, Some(&token), failpoints)?;
        Ok(Self { process, dir, server: plane.quic(), options })
    }

    /// Waits until the control plane says it is connected.
    pub async fn wait_until_connected(&self, plane: &Plane) -> anyhow::Result<()> {
        let name = &self.options.name;
        wait_for(&format!("agent {name} to be connected"), JOIN_LIMIT, || async {
            let agents = plane.items("/agents").await?;
            let me = agents.iter().find(|a| a["name"] == name.as_str());
            let connected = me.is_some_and(|a| a["state"] == "connected");
            Ok(Seen::when(connected.then_some(()), format!("{me:?}\n{}", self.output())))
        })
        .await
    }

    /// What the control plane knows of it.
    pub async fn seen_by(&self, plane: &Plane) -> anyhow::Result<Value> {
        plane.get(&format!("/agents/{}", self.options.name)).await
    }

    /// Replaces its local policy; read again at each admission.
    pub fn set_policy(&self, text: &str) -> anyhow::Result<()> {
        let path = self.dir.path().join("policy.toml");
        let new = path.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &path).context("policy file")
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Kills it without warning.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.process.kill9()?;
        Ok(())
    }

    /// Waits until it has killed itself at a fail point.
    pub fn wait_until_dead(&mut self, limit: Duration) -> anyhow::Result<()> {
        wait_for_blocking("the agent to die at its fail point", limit, || {
            Ok(Seen::when((!self.process.is_running()).then_some(()), "it still runs"))
        })
    }

    /// Asks it to end, and returns its exit code.
    pub fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        Ok(self.process.stop(libc::SIGTERM, Duration::from_secs(20))?.code())
    }

    /// Starts it again on the same data, without fail points and without a token.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.restart_with(None)
    }

    /// Ends it as an upgrade does, and starts the program of another version on its data; `None`: the one beside this test.
    pub fn change_to(&mut self, program: Option<PathBuf>) -> anyhow::Result<()> {
        if self.process.is_running() {
            self.stop()?;
        }
        self.options.program = program;
        self.restart()
    }

    /// Kills it if it still runs and starts it again with fail points.
    pub fn restart_with(&mut self, failpoints: Option<&str>) -> anyhow::Result<()> {
        if self.process.is_running() {
            self.process.kill9()?;
        }
        self.process = launch(self.dir.path(), self.server, &self.options, None, failpoints)?;
        Ok(())
    }
}

fn launch(
    dir: &Path,
    server: SocketAddr,
    options: &AgentOptions,
    token: Option<&str>,
    failpoints: Option<&str>,
) -> anyhow::Result<Process> {
    let program = options.program.clone().map_or_else(|| binary("nimbus-agent"), Ok)?;
    let mut command = match options.around.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command.arg("--server").arg(server.to_string()).arg("--data-dir").arg(dir.join("data"));
    command.arg("--policy").arg(dir.join("policy.toml")).args(["--name", &options.name]);
    match &options.kubeconfig {
        Some(path) => command.arg("--kubeconfig").arg(path),
        None => command.arg("--no-cluster"),
    };
    for path in &options.watch {
        command.arg("--watch").arg(path);
    }
    if let Some(token) = token {
        command.args(["--join", token]);
    }
    // The test says whether there is a proxy, not the machine.
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    // What fails on the machine of the tests is no part of them.
    command.env("NIMBUS_SYSTEM_BUS", "");
    command.env_remove("FAILPOINTS").env("RUST_LOG", "info").envs(options.env.iter().cloned());
    if let Some(points) = failpoints {
        command.env("FAILPOINTS", points);
    }
    Process::start("agent", command, dir)
}
