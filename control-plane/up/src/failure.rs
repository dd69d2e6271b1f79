//! Why `nimbus up` does not start, as expected, found and next step. The parts' own errors say what to do; this file
//! adds the context.

use std::path::Path;

use nimbus_agent::AgentError;
use nimbus_agent::identity::IdentityError;
use nimbus_cli::error::Failure;
use nimbus_cli::files;
use nimbus_control_plane::{StartError, StoreError};

/// The control plane did not start.
pub(super) fn control_plane(error: &StartError) -> Failure {
    match error {
        StartError::PortInUse { address, purpose, option } => Failure::new("the address is in use")
            .expected(format!("{address} ({purpose}) to be free"))
            .found("another process listens there")
            .next(format!("stop it (is `nimbus up` running already?), or choose another with {option} ADDR")),
        StartError::LowPort { address, purpose, option } => {
            Failure::new("the address cannot be listened on")
                .expected(format!(
                    "the capability CAP_NET_BIND_SERVICE for {address} ({purpose}), whose port is below 1024"
                ))
                .found("none")
                .next(format!("choose a port from 1024 on with {option} ADDR"))
        }
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
        StartError::OtherKeys { keys, database, expected, found } => {
            Failure::new("the database belongs to a control plane with other keys")
                .expected(format!("the keys of {database} (CA certificate SHA-256 {found})"))
                .found(format!("{expected} in {}", keys.display()))
                .next("start with the data directory that holds those keys, or with another database")
        }
        StartError::Store(StoreError::Corrupt { at, expected, found }) => {
            damaged(&format!("{expected} in {at}"), found)
        }
        StartError::World(found) => damaged("a stored inventory that can be read", found),
        StartError::Store(StoreError::Disk { at, detail }) => {
            Failure::new("the control plane does not start: its database cannot be read or written")
                .expected(format!("to read and write {at}"))
                .found(format!("an input/output error ({detail})"))
                .next(
                    "look at the disk under it; if a part of the database is gone, keep it as it is, restore a backup and \
                     start again",
                )
        }
        other => Failure::new("the control plane does not start").detail(other.to_string()),
    }
}

/// What is stored is not what was written.
fn damaged(expected: &str, found: &str) -> Failure {
    Failure::new("the control plane does not start: its database is damaged")
        .expected(expected)
        .found(found)
        .next("keep the database as it is, look at the disk under it, then restore it from a backup and start again")
}

/// The identity in `dir` of this machine's agent, which is called `name`, cannot be used. Joining once more would be
/// refused, as its name is taken, and would name the wrong cause.
pub(super) fn identity(error: &IdentityError, dir: &Path, data_dir: &Path, name: &str) -> Failure {
    let IdentityError::Damaged { path, what, found } = error else {
        return Failure::new("this machine's agent cannot read its identity").detail(error.to_string());
    };
    Failure::new("this machine's agent does not start: its identity is damaged")
        .expected(format!("{what} in {}", path.display()))
        .found(found.clone())
        .next(format!(
            "restore {} from a backup and start again; or revoke that agent and let it join again: run \
             `nimbus-control-plane --data-dir {}`, meanwhile `nimbus agents revoke {name}`, then remove {} and start \
             this again",
            path.display(),
            data_dir.display(),
            dir.display()
        ))
}

/// The agent did not start.
pub(super) fn agent(error: &AgentError) -> Failure {
    Failure::new("this machine's agent does not start").detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use nimbus_agent::identity::Identity;

    use super::*;

    #[test]
    fn a_damaged_identity_is_named_with_both_ways_out_and_not_taken_for_a_name_that_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("agent.json");
        for damage in ["", "{", "[1, 2]", r#"{"agent_id": "x"}"#] {
            std::fs::write(&at, damage).unwrap();
            let error = Identity::load(dir.path()).unwrap_err();
            let failure = identity(&error, dir.path(), Path::new("/srv/nimbus"), "web-1");
            let (path, next) = (at.display().to_string(), &failure.next);
            assert!(failure.expected.contains(&path) && !failure.found.is_empty(), "{failure}");
            assert!(next.contains(&format!("restore {path} from a backup")), "{failure}");
            assert!(next.contains("`nimbus agents revoke web-1`"), "{failure}");
            assert!(next.contains("--data-dir /srv/nimbus"), "{failure}");
        }
    }

    #[test]
    fn a_damaged_database_is_told_in_three_parts() {
        let corrupt = StoreError::Corrupt {
            at: "sqlite:///srv/nimbus.db".into(),
            expected: "a sound SQLite database".into(),
            found: "database disk image is malformed, code 11".into(),
        };
        let disk = StoreError::Disk { at: "sqlite:///srv/nimbus.db".into(), detail: "disk I/O error".into() };
        for (error, expected, found) in [
            (StartError::Store(corrupt), "a sound SQLite database in sqlite:///srv/nimbus.db", "malformed"),
            (StartError::Store(disk), "sqlite:///srv/nimbus.db", "disk I/O error"),
            (StartError::World("no zstd frame".into()), "inventory", "no zstd frame"),
        ] {
            let failure = control_plane(&error);
            assert!(failure.title.starts_with("the control plane does not start: its database"), "{failure}");
            assert!(failure.expected.contains(expected) && failure.found.contains(found), "{failure}");
            assert!(failure.next.contains("backup") && failure.detail.is_empty(), "{failure}");
        }
    }
}
