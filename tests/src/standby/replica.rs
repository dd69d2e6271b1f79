//! One of several control planes: a process with a data directory of its own, the common keys, and a proxy before the
//! database.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::proxy::Proxy;
use crate::plane::http;
use crate::process::{Process, binary, free_port};
use crate::wait::{Seen, wait_for};

/// What `/readyz` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Leads,
    StandsBy,
}

/// A control plane with `--stand-by`.
pub struct Replica {
    name: &'static str,
    process: Process,
    dir: tempfile::TempDir,
    rest: SocketAddr,
    quic: SocketAddr,
    url: String,
    proxy: Proxy,
    http: reqwest::Client,
}

impl Replica {
    /// Starts one with the keys in `keys` on the database at `url`.
    pub async fn start(name: &'static str, keys: &Path, url: &str) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-replica-").tempdir()?;
        std::fs::create_dir(dir.path().join("keys"))?;
        for file in ["ca.pem", "ca.key", "job.key", "operator.token"] {
            std::fs::copy(keys.join(file), dir.path().join("keys").join(file)).context(file)?;
        }
        let (head, tail) = url.split_once('@').context("a URL with a user")?;
        let (server, database) = tail.split_once('/').context("a URL with a database")?;
        let proxy = Proxy::start(server.parse()?).await?;
        let url = format!("{head}@{}/{database}", proxy.address());
        let rest = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let quic = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let process = launch(name, dir.path(), rest, quic, &url)?;
        Ok(Self { name, process, dir, rest, quic, url, proxy, http: http()? })
    }

    /// Where agents connect.
    pub fn quic(&self) -> SocketAddr {
        self.quic
    }

    /// What it says that it is; `None` when it does not answer, or is not ready.
    pub async fn role(&self) -> Option<Role> {
        let url = format!("http://{}/readyz", self.rest);
        let answer = self.http.get(url).timeout(Duration::from_secs(1)).send().await.ok()?;
        match answer.text().await.ok()?.as_str() {
            "ready\n" => Some(Role::Leads),
            "standing by\n" => Some(Role::StandsBy),
            _ => None,
        }
    }

    /// What it answers to an operator who asks for the status: HTTP's status, and the document.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> anyhow::Result<(u16, serde_json::Value)> {
        let token = std::fs::read_to_string(self.dir.path().join("keys/operator.token"))?;
        let asked = self.http.get(format!("http://{}/api/v1/status", self.rest)).bearer_auth(token.trim());
        let answer = asked.timeout(Duration::from_secs(5)).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Where operators connect.
    pub fn address(&self) -> String {
        format!("http://{}", self.rest)
    }

    /// Waits until it is `role`.
    pub async fn wait_until(&mut self, role: Role, limit: Duration) -> anyhow::Result<()> {
        let what = format!("control plane {} to be {role:?}", self.name);
        let waited = wait_for(&what, limit, || async {
            let now = self.role().await;
            Ok(Seen::when((now == Some(role)).then_some(()), format!("{now:?}")))
        });
        waited.await.with_context(|| self.process.output())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) -> anyhow::Result<()> {
        Ok(self.process.signal(signal)?)
    }

    /// Kills it without warning.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.process.kill9()?;
        Ok(())
    }

    /// Cuts its connections to the database, or lets new ones through again.
    pub fn cut(&self, cut: bool) {
        self.proxy.cut(cut);
    }

    /// Waits until it has ended in an error, as one does that does not lead any more.
    pub fn ends_by_itself(&mut self, limit: Duration) -> anyhow::Result<()> {
        let status = self.process.wait(limit)?;
        anyhow::ensure!(!status.success(), "expected an error, found {status}:\n{}", self.process.output());
        Ok(())
    }

    /// Starts it again on the same data and ports.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process = launch(self.name, self.dir.path(), self.rest, self.quic, &self.url)?;
        Ok(())
    }
}

fn launch(name: &str, dir: &Path, rest: SocketAddr, quic: SocketAddr, url: &str) -> anyhow::Result<Process> {
    let mut command = Command::new(binary("nimbus-control-plane")?);
    command.arg("--data-dir").arg(dir.join("data")).arg("--keys").arg(dir.join("keys"));
    command.args(["--listen", &rest.to_string(), "--quic", &quic.to_string()]);
    command.args(["--stand-by", "--database", url]).env_remove("FAILPOINTS");
    Process::start(name, command, dir)
}
