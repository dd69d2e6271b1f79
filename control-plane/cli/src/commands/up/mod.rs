//! `nimbus up`: a control plane and this machine's agent in one process, until Ctrl-C.
//!
//! Decides what is started with what and in which order; how each part works is theirs. The agent enrols by itself
//! with a token made in this process, and its local policy follows what is enabled here: the person who runs this
//! owns both sides.

mod cluster;
mod describe;
mod failure;
mod follow;
mod logs;
mod parts;
mod policy;
mod settings;
mod summary;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use self::settings::Settings;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// Start a control plane and this machine's agent, until Ctrl-C
///
/// Watches this host, the files under --watch, and the cluster of the kubeconfig (--kubeconfig, KUBECONFIG or
/// ~/.kube/config) as soon as it answers. Nothing in a cluster is changed before `nimbus autonomous enable`. Started
/// again, it continues where it was.
#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// Where everything is kept [default: $XDG_DATA_HOME/nimbus/local]
    #[arg(long, value_name = "DIR", env = "NIMBUS_DATA_DIR", hide_env_values = true)]
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
    /// The remedies that it is enabled for; empty while it is only observed.
    pub cluster_enabled: Vec<String>,
    /// Is there a cluster that does not answer now, so that the agent keeps trying?
    pub cluster_awaited: bool,
    /// Why no cluster is watched now; empty when one is.
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
    if context.global.dry_run {
        drop(progress);
        return describe::dry_run(context, &settings, &found).map(|()| Exit::Done);
    }
    let parts = tokio::select! {
        parts = parts::start(&settings, &found) => parts?,
        () = interrupt.wait() => return Err(Failure::new("interrupted while starting; nothing is left running")),
    };
    progress.say("waiting for the agent");
    let started = describe::describe(&settings, &found, &parts).await?;
    drop(progress);
    if context.global.format.is_table() {
        let view = context.view();
        context.print(&summary::show(&view, &started))?;
    } else {
        let document = serde_json::to_value(&started)
            .map_err(|error| Failure::new("the summary cannot be written").found(error.to_string()))?;
        context.print(&crate::output::format::document(&document, context.global.format)?)?;
    }
    let superseded = tokio::select! {
        () = interrupt.wait() => None,
        error = parts.control_plane.superseded() => Some(error),
    };
    context.hint("\nstopping (Ctrl-C again to leave at once)");
    tokio::select! {
        stopped = parts.stop() => stopped?,
        () = interrupt.wait() => {
            return Err(Failure::new("left at once; what was being written is finished at the next start"));
        }
    }
    if let Some(error) = superseded {
        return Err(
            Failure::new("another control plane has taken this one's place").detail(error.to_string())
        );
    }
    context.hint("stopped cleanly");
    Ok(Exit::Done)
}
