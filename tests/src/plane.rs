//! Runs a control plane as a process: starts it, kills it, and starts it again on the same data and ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::process::{Process, binary, free_port};
use crate::wait::{Seen, wait_for, wait_for_blocking};

/// How long a control plane may take until it answers: a test machine may be busy.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Settings that make the waits of a test short; everything else is the product's default.
pub const QUICK: &str = r"
[settings]
verify_ms = 1500
verify_timeout_ms = 40000
backoff_base_ms = 1000
backoff_max_ms = 4000
crash_loop_restarts = 2
good_after_ms = 1000
";

/// A control plane that can be killed and comes back.
pub struct Plane {
    process: Process,
    dir: tempfile::TempDir,
    rest: SocketAddr,
    quic: SocketAddr,
    database: Option<String>,
    /// Further words of its command line.
    words: Vec<String>,
    program: PathBuf,
    http: reqwest::Client,
}

impl Plane {
    /// Starts one on embedded SQLite, or on the PostgreSQL database whose URL is given.
    pub async fn start(database: Option<String>, config: &str) -> anyhow::Result<Self> {
        Self::start_with(database, config, None).await
    }

    /// As [`Plane::start`], with fail points (`cp::stored=1*return`).
    pub async fn start_with(
        database: Option<String>,
        config: &str,
        failpoints: Option<&str>,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-plane-").tempdir()?;
        let words = Vec::new();
        Self::launch_in(dir, Ipv4Addr::LOCALHOST.into(), (database, words), config, failpoints).await
    }

    /// Starts one that holds up to `agents` connections at the same time.
    pub async fn start_for(database: Option<String>, agents: usize) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-plane-").tempdir()?;
        let words = vec!["--max-connections".to_owned(), agents.to_string()];
        Self::launch_in(dir, Ipv4Addr::LOCALHOST.into(), (database, words), "", None).await
    }

    /// Starts one that agents reach at another address than loopback.
    pub async fn start_reachable(config: &str, address: IpAddr) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-plane-").tempdir()?;
        Self::launch_in(dir, address, (None, Vec::new()), config, None).await
    }

    /// Starts one on the data directory that `lay_out` fills.
    pub async fn start_on(
        lay_out: impl FnOnce(&Path),
        database: Option<String>,
        config: &str,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-plane-").tempdir()?;
        lay_out(&dir.path().join("data"));
        let words = Vec::new();
        Self::launch_in(dir, Ipv4Addr::LOCALHOST.into(), (database, words), config, None).await
    }

    /// Starts the program of another version, on embedded SQLite.
    pub async fn start_program(program: PathBuf, config: &str) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-plane-").tempdir()?;
        let on = (None, Vec::new());
        Self::launch_program(program, dir, Ipv4Addr::LOCALHOST.into(), on, config, None).await
    }

    async fn launch_in(
        dir: tempfile::TempDir,
        address: IpAddr,
        on: (Option<String>, Vec<String>),
        config: &str,
        failpoints: Option<&str>,
    ) -> anyhow::Result<Self> {
        let program = binary("nimbus-control-plane")?;
        Self::launch_program(program, dir, address, on, config, failpoints).await
    }

    async fn launch_program(
        program: PathBuf,
        dir: tempfile::TempDir,
        address: IpAddr,
        (database, words): (Option<String>, Vec<String>),
        config: &str,
        failpoints: Option<&str>,
    ) -> anyhow::Result<Self> {
        std::fs::write(dir.path().join("config.toml"), config)?;
        let rest = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let quic = SocketAddr::new(address, free_port()?);
        let process = launch(&program, dir.path(), (rest, quic), database.as_deref(), &words, failpoints)?;
        let http = http()?;
        let mut plane = Self { process, dir, rest, quic, database, words, program, http };
        plane.wait_until_ready().await?;
        Ok(plane)
    }

    /// Where agents connect.
    pub fn quic(&self) -> SocketAddr {
        self.quic
    }

    /// Base URL of the REST interface.
    pub fn url(&self) -> String {
        format!("http://{}", self.rest)
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

    /// Still there?
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits until it has killed itself at a fail point.
    pub fn wait_until_dead(&mut self, limit: Duration) -> anyhow::Result<()> {
        wait_for_blocking("the control plane to die at its fail point", limit, || {
            Ok(Seen::when((!self.process.is_running()).then_some(()), "it still runs"))
        })
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let status = self.process.stop(libc::SIGTERM, START_LIMIT)?;
        anyhow::ensure!(status.success(), "the control plane ended with {status}:\n{}", self.output());
        Ok(())
    }

    /// Kills it without warning.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.process.kill9()?;
        Ok(())
    }

    /// Starts it again on the same data and ports, without fail points, and waits until it answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.restart_with(None)?;
        self.wait_until_ready().await
    }

    /// Ends it as an upgrade does, and starts the program of another version on its data.
    pub async fn change_to(&mut self, program: PathBuf) -> anyhow::Result<()> {
        self.stop()?;
        self.program = program;
        self.restart().await
    }

    /// Starts it again and does not wait: with fail points it may not live that long.
    pub fn restart_with(&mut self, failpoints: Option<&str>) -> anyhow::Result<()> {
        if self.process.is_running() {
            self.process.kill9()?;
        }
        let database = self.database.as_deref();
        let dir = self.dir.path();
        self.process = launch(&self.program, dir, (self.rest, self.quic), database, &self.words, failpoints)?;
        Ok(())
    }

    /// Waits until `/readyz` says yes.
    pub async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/readyz", self.url());
        let (http, process) = (self.http.clone(), &mut self.process);
        wait_for("the control plane to be ready", START_LIMIT, || {
            let (running, output) = (process.is_running(), process.output());
            let request = http.get(&url).send();
            async move {
                if !running {
                    bail!("the control plane ended:\n{output}");
                }
                let ready = matches!(request.await, Ok(answer) if answer.status().is_success());
                Ok(Seen::when(ready.then_some(()), "no answer yet"))
            }
        })
        .await
    }

    fn token(&self) -> anyhow::Result<String> {
        let path = self.data_dir().join("operator.token");
        let token = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(token.trim().to_owned())
    }

    /// Any request; its status and JSON body (null when there is none).
    pub async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}/api/v1{path}", self.url());
        let mut request = self.http.request(method, url).bearer_auth(self.token()?);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null)))
    }

    /// GET that must succeed.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.request(reqwest::Method::GET, path, None).await?;
        anyhow::ensure!(status == 200, "GET {path}: {status} {body}");
        Ok(body)
    }

    /// GET of what is no JSON document, as it was sent.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}/api/v1{path}", self.url());
        let answer = self.http.get(url).bearer_auth(self.token()?).send().await?;
        anyhow::ensure!(answer.status().is_success(), "GET {path}: {}", answer.status());
        Ok(answer.text().await?)
    }

    /// The items of a list, all pages.
    pub async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut next) = (Vec::new(), None::<String>);
        loop {
            let joiner = if path.contains('?') { '&' } else { '?' };
            let after = next.take().map(|n| format!("&after={n}")).unwrap_or_default();
            let page = self.get(&format!("{path}{joiner}limit=500{after}")).await?;
            items.extend(page["items"].as_array().context("a list")?.iter().cloned());
            next = page["next"].as_str().map(str::to_owned);
            if next.is_none() {
                return Ok(items);
            }
        }
    }

    /// POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let (status, answer) = self.request(reqwest::Method::POST, path, Some(body)).await?;
        anyhow::ensure!((200..300).contains(&status), "POST {path}: {status} {answer}");
        Ok(answer)
    }

    /// Runs the `nimbus` command against this control plane, as an operator would without a terminal, and gives its
    /// exit code and both of its outputs.
    pub async fn nimbus(&self, words: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        self.nimbus_as(&self.token()?, words).await
    }

    /// The same with another token than the operator's.
    pub async fn nimbus_as(&self, token: &str, words: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        let mut command = tokio::process::Command::new(binary("nimbus")?);
        command.args(words).env("NIMBUS_SERVER", self.url()).env("NIMBUS_TOKEN", token);
        command.env("XDG_CONFIG_HOME", self.dir.path()).env("NO_COLOR", "1");
        let output = command.kill_on_drop(true).output().await.context("cannot run nimbus")?;
        let read = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), format!("{}{}", read(&output.stdout), read(&output.stderr))))
    }

    /// A join token for a new agent.
    pub async fn join_token(&self, name: &str, kind: &str) -> anyhow::Result<String> {
        self.join_token_for(name, kind, None).await
    }

    /// A join token for a new agent of one cluster.
    pub async fn join_token_for(
        &self,
        name: &str,
        kind: &str,
        cluster: Option<&str>,
    ) -> anyhow::Result<String> {
        let order = json!({"name": name, "kind": kind, "cluster": cluster, "ttl_seconds": 900});
        let answer = self.post("/agents/tokens", order).await?;
        Ok(answer["token"].as_str().context("a token")?.to_owned())
    }
}

/// A client for REST on loopback.
pub fn http() -> anyhow::Result<reqwest::Client> {
    // Only the first call of a process installs it; the others find it there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // The control plane closes a connection on which nothing is asked for 10 s; one that is reused just then would fail.
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
    Ok(builder.pool_idle_timeout(Duration::from_secs(5)).build()?)
}

fn launch(
    program: &Path,
    dir: &Path,
    (rest, quic): (SocketAddr, SocketAddr),
    database: Option<&str>,
    words: &[String],
    failpoints: Option<&str>,
) -> anyhow::Result<Process> {
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(dir.join("data")).arg("--config").arg(dir.join("config.toml"));
    command.args(["--listen", &rest.to_string(), "--quic", &quic.to_string()]);
    if let Some(url) = database {
        command.args(["--database", url]);
    }
    command.args(words);
    command.env_remove("FAILPOINTS");
    if let Some(points) = failpoints {
        command.env("FAILPOINTS", points);
    }
    Process::start("control-plane", command, dir)
}
