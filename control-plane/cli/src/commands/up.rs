//! The flags of `nimbus up`, which the program itself carries out ([`crate::Here`]).

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Start a control plane and this machine's agent, until Ctrl-C
///
/// Watches this host, the files under --watch, and the cluster of the kubeconfig (--kubeconfig, KUBECONFIG or
/// ~/.kube/config) as soon as it answers. Nothing in a cluster is changed before `nimbus autonomous enable`. Started
/// again, it continues where it was. The context `local`, or the one named by --context, leads to it.
#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// Directory of all data [default: $XDG_DATA_HOME/nimbus/local]
    #[arg(long, value_name = "DIR", env = "NIMBUS_DATA_DIR", hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// Address for operators, REST [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address for agents: QUIC over UDP, and TCP beside it [default: 127.0.0.1:7071]
    #[arg(long, value_name = "ADDR")]
    pub quic: Option<SocketAddr>,
    /// Watch the current cluster of this kubeconfig
    #[arg(long, value_name = "FILE", conflicts_with = "no_cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Watch no cluster
    #[arg(long)]
    pub no_cluster: bool,
    /// Watch this file or directory (several times for several)
    #[arg(long, value_name = "PATH")]
    pub watch: Vec<PathBuf>,
    /// Leave this file or directory below a watched one out (several times for several)
    #[arg(long, value_name = "PATH")]
    pub exclude: Vec<PathBuf>,
    /// Begin a new history although the database is gone or empty beside keys that were in use
    #[arg(long)]
    pub new_history: bool,
    /// Read these settings from a TOML file; flags win
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
