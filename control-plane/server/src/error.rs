//! Errors that prevent a control plane from starting; each says what to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use nimbus_control_core::settings::SettingsError;
use nimbus_store::StoreError;

use crate::ca::CaError;
use crate::datadir::DataDirError;
use crate::files::FileError;
use crate::tls::TlsError;

/// Why a control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A file in it cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate authority cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys were in use, and the history that they belong to is not there.
    #[error(
        "expected the database that belongs to the keys in {data_dir}, found {found} at {database}: with a new one every \
         agent, incident, approval and the whole audit log would be gone without a word; restore the database from a backup \
         and start again; or, to begin a new history on purpose, start once with --new-history: every agent then has to \
         join again",
        data_dir = .data_dir.display()
    )]
    NoHistory {
        /// The data directory.
        data_dir: PathBuf,
        /// The database, without its password.
        database: String,
        /// What is there instead.
        found: &'static str,
    },
    /// The database belongs to a control plane with other keys.
    #[error(
        "expected the keys in {keys} to be those of the database at {database} (CA certificate SHA-256 {found}), found \
         {expected}; start with the data directory that holds those keys, or with --keys that names where they are (restore \
         them from a backup if they are lost), or with another database; nothing was touched",
        keys = .keys.display()
    )]
    OtherKeys {
        /// Where the keys are: the data directory, or what `--keys` names.
        keys: PathBuf,
        /// The database, without its password.
        database: String,
        /// The SHA-256 of this directory's CA certificate; "none yet" where there is none.
        expected: String,
        /// That of the database's.
        found: String,
    },
    /// Standing by needs a database that several machines reach, and the same keys on all of them.
    #[error(
        "expected --database postgres://... and --keys DIR with --stand-by, found {found}; give both, the same for every \
         control plane, or leave --stand-by out"
    )]
    StandBy {
        /// What is missing.
        found: &'static str,
    },
    /// The settings make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The stored picture of the world cannot be read.
    #[error("the stored inventory cannot be read: {0}; restore the database from a backup")]
    World(String),
    /// Another process listens there.
    #[error(
        "{address} ({purpose}) is in use by another process; stop it, or choose another address with {option} \
         (port 0 takes a free one)"
    )]
    PortInUse {
        /// The address.
        address: SocketAddr,
        /// `REST`, `QUIC` or `TCP for agents`.
        purpose: &'static str,
        /// The option that changes it.
        option: &'static str,
    },
    /// The system keeps the low ports for root and for who has the capability.
    #[error(
        "{address} ({purpose}) cannot be listened on: expected the capability CAP_NET_BIND_SERVICE, which a port below 1024 \
         needs, found none; choose a port from 1024 on with {option}, or give the unit the capability by a drop-in, as \
         docs/install.md says (AmbientCapabilities=CAP_NET_BIND_SERVICE and the same CapabilityBoundingSet=)"
    )]
    LowPort {
        /// The address.
        address: SocketAddr,
        /// `REST`, `QUIC` or `TCP for agents`.
        purpose: &'static str,
        /// The option that changes it.
        option: &'static str,
    },
    /// It cannot be listened on for another reason.
    #[error("{address} ({purpose}) cannot be listened on: {error}; choose another address with {option}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// `REST`, `QUIC` or `TCP for agents`.
        purpose: &'static str,
        /// The option that changes it.
        option: &'static str,
        /// What the operating system says.
        error: std::io::Error,
    },
}

impl StartError {
    /// Is the configuration wrong by itself, so that starting again does not change it? What another process, a disk, a
    /// network or a person elsewhere may put right is not.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::StandBy { .. } | Self::Settings(_) | Self::Store(StoreError::Url { .. }) => true,
            // The list of the store's errors is its own: of them, one alone is about what was written here.
            Self::Store(_)
            | Self::DataDir(_)
            | Self::File(_)
            | Self::Ca(_)
            | Self::Tls(_)
            | Self::NoHistory { .. }
            | Self::OtherKeys { .. }
            | Self::World(_)
            | Self::PortInUse { .. }
            | Self::LowPort { .. }
            | Self::Listen { .. } => false,
        }
    }

    /// The error for what the operating system said about listening on `address`.
    pub(crate) fn listen(
        address: SocketAddr,
        purpose: &'static str,
        option: &'static str,
        error: std::io::Error,
    ) -> Self {
        match error.kind() {
            std::io::ErrorKind::AddrInUse => Self::PortInUse { address, purpose, option },
            std::io::ErrorKind::PermissionDenied if (1..1024).contains(&address.port()) => {
                Self::LowPort { address, purpose, option }
            }
            _ => Self::Listen { address, purpose, option, error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_start_may_find_put_right_is_no_wrong_configuration() {
        let url = StoreError::Url { problem: "no scheme".to_owned() };
        for wrong in [StartError::Store(url), StartError::StandBy { found: "no --keys" }] {
            assert!(wrong.is_configuration(), "{wrong}");
        }
        let away =
            StoreError::OldServer { at: "postgres://n@db:5432/n".to_owned(), found: "13.21".to_owned() };
        let address = SocketAddr::from(([192, 0, 2, 1], 7071));
        let not_there_yet = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for passing in [
            StartError::Store(away),
            StartError::listen(address, "QUIC", "--quic", not_there_yet),
            StartError::File(FileError::Full(PathBuf::from("/srv/nimbus/ca.key"))),
        ] {
            assert!(!passing.is_configuration(), "{passing}");
        }
    }

    /// The package's unit has no capability at all.
    #[test]
    fn a_port_that_needs_a_capability_is_told_with_where_to_get_it() {
        for (port, kind, expected) in [
            (443, std::io::ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            (1023, std::io::ErrorKind::PermissionDenied, "AmbientCapabilities=CAP_NET_BIND_SERVICE"),
            (1024, std::io::ErrorKind::PermissionDenied, "choose another address with --tcp"),
            (443, std::io::ErrorKind::AddrNotAvailable, "choose another address with --tcp"),
            (443, std::io::ErrorKind::AddrInUse, "in use by another process"),
        ] {
            let address = SocketAddr::from(([192, 0, 2, 1], port));
            let error = StartError::listen(address, "TCP for agents", "--tcp", kind.into());
            let said = error.to_string();
            assert!(said.contains(expected) && said.contains("--tcp"), "{port}, {kind}: {said}");
            assert!(said.starts_with(&format!("{address} (TCP for agents)")), "{said}");
            assert!(!error.is_configuration(), "a drop-in may be there at the next start: {said}");
        }
    }
}
