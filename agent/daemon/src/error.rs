//! Errors that prevent the agent from starting. What goes wrong later is a problem in its status, not an error.

use std::path::PathBuf;

use crate::datadir::DataDirError;
use crate::identity::IdentityError;
use crate::watch::kube::client::ClusterError;

/// Why an agent does not start; each says what was expected, what was found and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// There is no usable identity, and none could be had.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The join token that systemd hands over cannot be used.
    #[error(transparent)]
    Credential(#[from] nimbus_platform::CredentialError),
    /// This pod cannot prove where it runs.
    #[error(transparent)]
    Proof(#[from] crate::identity::proof::ProofError),
    /// The kubeconfig cannot be used.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The spool or the journal cannot be read.
    #[error("{0}")]
    Files(#[from] crate::files::FilesError),
    /// The telemetry address cannot be taken.
    #[error(
        "expected to listen on {address} for telemetry, found: {found}; choose another address with --telemetry"
    )]
    Telemetry {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        found: std::io::Error,
    },
    /// A watched path cannot be used as it is written.
    #[error("expected a watched path that can be made absolute, found {path:?}: {found}")]
    WatchPath {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        found: std::io::Error,
    },
    /// The thread that writes the spool cannot be started.
    #[error("expected to start a thread, found: {0}; check the process and memory limits")]
    Thread(std::io::Error),
    /// `--server` is no HOST:PORT.
    #[error("expected --server HOST:PORT, such as nimbus.example.com:7443, found {0:?}")]
    Server(String),
    /// A variable is to name a proxy, and does not. What it holds may be a password.
    #[error(
        "expected {0} to name a proxy, http://[USER:PASSWORD@]HOST:PORT with special characters percent-encoded, found a \
         value that names none; correct it, or remove it"
    )]
    Proxy(&'static str),
}

impl AgentError {
    /// Is the configuration wrong by itself, so that starting again does not change it? What another process, a disk, a
    /// network or the control plane may put right is not.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Server(_) | Self::Proxy(_) | Self::Identity(IdentityError::Token(_)) => true,
            Self::Credential(credential) => credential.is_malformed(),
            // The whole file system, or no text; a directory that is missing may come.
            Self::WatchPath { found, .. } => found.kind() == std::io::ErrorKind::InvalidInput,
            // A kubeconfig is written by what installs the cluster, which may be at it now.
            Self::Cluster(_)
            | Self::DataDir(_)
            | Self::Identity(_)
            | Self::Proof(_)
            | Self::Files(_)
            | Self::Telemetry { .. }
            | Self::Thread(_) => false,
        }
    }
}
