//! `nimbus up`: a control plane and this machine's agent in one process, until Ctrl-C.
//!
//! Decides what is started with what and in which order; how each part works is theirs. The agent enrols by itself
//! with a token made in this process, and its local policy follows what is enabled here: the person who runs this
//! owns both sides.

mod cluster;
mod failure;
mod follow;
mod logs;
mod policy;
mod settings;
mod summary;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use nimbus_agent::Agent;
use nimbus_control_plane::{AgentKind, ControlPlane};
use tokio::time::timeout;

use self::cluster::Found;
use self::settings::Settings;
use crate::config::{self, Config, Context as Known};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// Longest wait for the agent's first session before the summary is printed without it.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for everything to stop.
const STOP: Duration = Duration::from_secs(10);
/// How long the token is accepted with which this machine's agent joins.
const JOIN: Duration = Duration::from_secs(60);
/// An agent's kind is for good, and a cluster may be there at a later start: this one may always watch one.
const KIND: AgentKind = AgentKind::Cluster;

/// Start a control plane and this machine's agent, until Ctrl-C
///
/// Watches this host, the files under --watch, and the cluster of the kubeconfig (--kubeconfig, KUBECONFIG or
/// ~/.kube/config) if it answers. Nothing in a cluster is changed before `nimbus autonomous enable`. Started again, it
/// continues where it was.
#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// Where everything is kept [default: $XDG_DATA_HOME/nimbus/local]
    #[arg(long, value_name = "DIR", env = "NIMBUS_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where operators are served [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where agents are served, UDP [default: 127.0.0.1:7071]
    #[arg(long, value_name = "ADDR")]
    quic: Option<SocketAddr>,
    /// Watch the current cluster of this kubeconfig
    #[arg(long, value_name = "FILE", conflicts_with = "no_cluster")]
    kubeconfig: Option<PathBuf>,
    /// Watch no cluster
    #[arg(long)]
    no_cluster: bool,
    /// Watch this file or directory (several times for several)
    #[arg(long, value_name = "PATH")]
    watch: Vec<PathBuf>,
    /// Read these settings from a TOML file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What was started, as `-o json` prints it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Started {
    /// This build.
    pub version: &'static str,
    /// Where operators are served.
    pub server: String,
    /// Where agents are served.
    pub quic: String,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The operator's token is in this file.
    pub token_file: PathBuf,
    /// The own authority's certificate.
    pub ca_file: PathBuf,
    /// The agent's local policy.
    pub policy_file: PathBuf,
    /// The CLI's context that leads here; `null` when there is no place for a configuration.
    pub context: Option<String>,
    /// Is it the context that is used when none is named?
    pub context_is_current: bool,
    /// The agent's name.
    pub agent: String,
    /// Did it connect in time?
    pub agent_connected: bool,
    /// Watched paths.
    pub watch: Vec<Watch>,
    /// The cluster that is watched.
    pub cluster: Option<String>,
    /// Why no cluster is watched; empty when one is.
    pub cluster_reason: String,
    /// Things to know, one sentence each.
    pub warnings: Vec<String>,
}

/// A watched path.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Watch {
    /// Absolute.
    pub path: PathBuf,
    /// Files of which a baseline is held; `null` while unknown.
    pub files: Option<u64>,
    /// Empty when all is well.
    pub problem: String,
}

/// Starts everything, says so, waits for Ctrl-C or SIGTERM, stops everything.
pub async fn run(context: &Context, args: UpArgs) -> Result<Exit, Failure> {
    logs::start(context);
    let settings = Settings::read(args)?;
    let mut interrupt = follow::Interrupt::new()?;
    let mut progress = context.progress("starting");
    let found = cluster::find(&settings.cluster).await?;
    let parts = tokio::select! {
        parts = start(&settings, &found) => parts?,
        () = interrupt.wait() => return Err(Failure::new("interrupted while starting; nothing is left running")),
    };
    progress.say("waiting for the agent");
    let started = describe(&settings, &found, &parts).await?;
    drop(progress);
    if context.global.format.is_table() {
        let view = context.view();
        context.print(&summary::show(&view, &started))?;
    } else {
        let document = serde_json::to_value(&started)
            .map_err(|error| Failure::new("the summary cannot be written").found(error.to_string()))?;
        context.print(&crate::output::format::document(&document, context.global.format)?)?;
    }
    interrupt.wait().await;
    context.hint("\nstopping (Ctrl-C again to leave at once)");
    tokio::select! {
        stopped = parts.stop() => stopped?,
        () = interrupt.wait() => {
            return Err(Failure::new("left at once; what was being written is finished at the next start"));
        }
    }
    context.hint("stopped cleanly");
    Ok(Exit::Done)
}

/// What runs.
struct Parts {
    control_plane: ControlPlane,
    agent: Agent,
    agent_name: String,
    policy: policy::Policy,
    follower: tokio::task::JoinHandle<()>,
    warnings: Vec<String>,
}

impl Parts {
    /// The agent first, so that its last words are stored; everything within ten seconds.
    async fn stop(self) -> Result<(), Failure> {
        self.follower.abort();
        let stopping = async {
            self.agent.stop().await;
            self.control_plane.stop().await;
        };
        timeout(STOP, stopping).await.map_err(|_| {
            Failure::new(format!("not everything stopped within {} s", STOP.as_secs()))
                .found("something is still being written")
                .next("start it again: it continues from what was stored")
        })
    }
}

async fn start(settings: &Settings, found: &Found) -> Result<Parts, Failure> {
    let control_plane = ControlPlane::start(settings.control_plane())
        .await
        .map_err(|error| failure::control_plane(&error))?;
    match start_agent(settings, found, &control_plane).await {
        Ok((agent, agent_name, policy, warnings)) => {
            let follower = follow::enabled(control_plane.enabled_clusters(), policy.clone());
            Ok(Parts { control_plane, agent, agent_name, policy, follower, warnings })
        }
        Err(failure) => {
            control_plane.stop().await;
            Err(failure)
        }
    }
}

async fn start_agent(
    settings: &Settings,
    found: &Found,
    control_plane: &ControlPlane,
) -> Result<(Agent, String, policy::Policy, Vec<String>), Failure> {
    let data_dir = settings.data_dir.join("agent");
    let server = loopback(control_plane.quic_addr());
    let mut config = nimbus_agent::Config::new(&data_dir, server.to_string());
    config.cluster = found.source.clone();
    config.watch.clone_from(&settings.watch);
    let hostname = config.hostname();
    let (policy, warnings) = policy::Policy::open(&config.policy, &settings.watch)?;
    let name = agent_name(&hostname);
    if !data_dir.join("identity").join("agent.json").exists() {
        let token = control_plane.create_join_token(&name, KIND, JOIN, nimbus_api::OPERATOR).await.map_err(
            |error| Failure::new("this machine's agent got no join token").detail(error.to_string()),
        )?;
        config.join = Some(token.to_string());
    }
    let agent = Agent::start(config).await.map_err(|error| failure::agent(&error))?;
    Ok((agent, name, policy, warnings))
}

/// Waits, within a bound, for the agent's first session and first pass, writes the CLI's context, and gathers what is
/// there to say.
async fn describe(settings: &Settings, found: &Found, parts: &Parts) -> Result<Started, Failure> {
    let mut status = parts.agent.status();
    let passed =
        |status: &nimbus_agent::Status| status.connected && status.roots.len() >= settings.watch.len();
    let connected = timeout(CONNECT, status.wait_for(passed)).await.is_ok_and(|waited| waited.is_ok());
    let status = status.borrow().clone();
    let control_plane = &parts.control_plane;
    let server = control_plane.rest_url();
    let token_file = control_plane.operator_token_path();
    let ca_file = control_plane.ca_pem_path();
    let mut warnings = parts.warnings.clone();
    let mut context_is_current = false;
    let context = config::config_path();
    if let Some(path) = &context {
        match remember(path, &server, &token_file, &ca_file) {
            Ok(current) => context_is_current = current,
            Err(failure) => {
                warnings.push(format!("the context \"local\" was not written: {}", failure.title))
            }
        }
    }
    let watch = settings.watch.iter().map(|path| {
        let root = status.roots.iter().find(|root| Path::new(&root.path) == path);
        let missing = if path.exists() { "" } else { "not there now; watched as soon as it is" };
        Watch {
            path: path.clone(),
            files: root.map(|root| root.files),
            problem: root.map_or(missing, |root| root.problem.as_str()).to_owned(),
        }
    });
    Ok(Started {
        version: env!("CARGO_PKG_VERSION"),
        server,
        quic: control_plane.quic_addr().to_string(),
        data_dir: settings.data_dir.clone(),
        token_file,
        ca_file,
        policy_file: parts.policy.path().to_owned(),
        context: context.map(|_| config::LOCAL.to_owned()),
        context_is_current,
        agent: parts.agent_name.clone(),
        agent_connected: connected || status.connected,
        watch: watch.collect(),
        cluster: found.name.clone(),
        cluster_reason: found.reason.clone(),
        warnings,
    })
}

/// Writes the context "local"; says whether it is the one used when none is named.
fn remember(path: &Path, server: &str, token_file: &Path, ca_file: &Path) -> Result<bool, Failure> {
    let mut config = Config::read(path)?;
    let context = Known {
        server: server.to_owned(),
        token_file: Some(token_file.to_owned()),
        ca_file: Some(ca_file.to_owned()),
    };
    if config.set(config::LOCAL, context) {
        config.write(path)?;
    }
    Ok(config.current.as_deref() == Some(config::LOCAL))
}

/// Where this machine's agent dials: an unspecified address is reached over loopback.
fn loopback(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The host's name as an agent's: letters, digits, `-`, `_` and `.`, at most 63.
fn agent_name(hostname: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = hostname.chars().take(63).map(plain).collect();
    if name.is_empty() { "this-host".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_has_a_name_that_an_agent_may_have() {
        assert_eq!(agent_name("build-host.example"), "build-host.example");
        assert_eq!(agent_name("größe 1"), "gr--e-1");
        assert_eq!(agent_name(""), "this-host");
        assert_eq!(agent_name(&"a".repeat(200)).len(), 63);
    }

    #[test]
    fn the_agent_beside_it_dials_loopback() {
        let at = |text: &str| loopback(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:7071"), "127.0.0.1:7071");
        assert_eq!(at("[::]:7071"), "[::1]:7071");
        assert_eq!(at("10.0.0.5:7071"), "10.0.0.5:7071");
    }

    #[test]
    fn the_context_is_written_once_and_another_current_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let write = |server: &str| remember(&path, server, Path::new("/t"), Path::new("/c")).unwrap();
        assert!(write("http://127.0.0.1:7070"));
        let mut config = Config::read(&path).unwrap();
        config.set("prod", Known { server: "https://x".into(), token_file: None, ca_file: None });
        config.current = Some("prod".into());
        config.write(&path).unwrap();
        assert!(!write("http://127.0.0.1:9999"));
        let config = Config::read(&path).unwrap();
        assert_eq!(config.contexts[config::LOCAL].server, "http://127.0.0.1:9999");
        assert_eq!(config.current.as_deref(), Some("prod"));
    }
}
