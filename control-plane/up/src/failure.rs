//! Why `nimbus up` does not start, as expected, found and next step. The parts' own errors say what to do; this file
//! adds the context.

use nimbus_agent::AgentError;
use nimbus_cli::error::Failure;
use nimbus_cli::files;
use nimbus_control_plane::StartError;

/// The control plane did not start.
pub(super) fn control_plane(error: &StartError) -> Failure {
    match error {
        StartError::PortInUse { address, purpose, option } => Failure::new("the address is in use")
            .expected(format!("{address} ({purpose}) to be free"))
            .found("another process listens there")
            .next(format!("stop it (is `nimbus up` running already?), or choose another with {option} ADDR")),
        StartError::Listen { address, purpose, option, error } => {
            Failure::new("the address cannot be listened on")
                .expected(format!("{address} ({purpose}) to be one of this machine's addresses"))
                .found(files::reason(error))
                .next(format!("choose another with {option} ADDR"))
        }
        StartError::NoHistory { data_dir, database, found } => {
            Failure::new("the database is gone, and the keys that belong to it are not")
                .expected(format!("the history of the control plane in {}", data_dir.display()))
                .found(format!("{found} at {database}"))
                .next(
                    "restore the database from a backup and start again; or, to begin a new history on purpose (agents, \
                     incidents, approvals and the audit log are gone then, and other agents have to join again), start once \
                     with --new-history",
                )
        }
        StartError::OtherKeys { data_dir, database, expected, found } => {
            Failure::new("the database belongs to a control plane with other keys")
                .expected(format!("the keys of {database} (CA certificate SHA-256 {found})"))
                .found(format!("{expected} in {}", data_dir.display()))
                .next("start with the data directory that holds those keys, or with another database")
        }
        other => Failure::new("the control plane does not start").detail(other.to_string()),
    }
}

/// The agent did not start.
pub(super) fn agent(error: &AgentError) -> Failure {
    Failure::new("this machine's agent does not start").detail(error.to_string())
}
