//! Writes the managed policy file of the agent that `nimbus up` starts.
//!
//! An agent reads two policy files and merges them, deny before allow. `policy.toml` is the person's: it is made once,
//! with nothing but comments, and never changed by this program. `policy.managed.toml` beside it is this program's: it
//! is written whole, from what is watched and what is enabled now.

use std::path::{Path, PathBuf};

use nimbus_agent::MANAGED_FILE;
use nimbus_cli::error::Failure;
use nimbus_cli::files;
use nimbus_platform::{create_private_dir, write_atomic};
use nimbus_protocol::ActionKind;
use serde::Serialize;

/// What is enabled in a cluster, by its UID.
pub(super) type Enabled = (String, Vec<ActionKind>);

const PERSON: &str = "\
# Your own policy for this machine's agent. `nimbus up` never changes this file.
#
# What `nimbus up` allows the agent (the watched paths, the enabled clusters and remedies) is in policy.managed.toml
# beside it. Both files count: what either denies is denied, whatever the other allows. They are read before each job.
#
# deny = [\"rollback_deployment\"]
# deny_namespaces = [\"kube-system\"]       # this is the default
# deny_paths = [\"/etc/app/private\"]       # nothing is done there, and no contents are shown
# deny_diff_paths = [\"/etc/app/users\"]    # no contents are shown from there
# jobs_per_hour = 60                      # this is the default
";

const MANAGED: &str = "\
# Written whole by `nimbus up` whenever what it watches or what is enabled changes: what you write here is lost.
# Your own rules are in policy.toml beside this file.

";

/// The two files, and the paths that are watched.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    person: PathBuf,
    managed: PathBuf,
    paths: Vec<String>,
}

/// The managed file's content.
#[derive(Debug, Serialize)]
struct Managed<'a> {
    allow: Vec<&'static str>,
    clusters: Vec<&'a str>,
    namespaces: Vec<&'static str>,
    paths: &'a [String],
    /// Whose contents may be shown: what is watched by name here is to be read here.
    diff_paths: &'a [String],
}

impl Policy {
    /// The policy of an agent whose person's file is `person` and that watches `roots`; makes the person's file if there
    /// is none.
    pub fn open(person: &Path, roots: &[PathBuf]) -> Result<Self, Failure> {
        if !person.exists() {
            // The agent makes the rest of its directory when it starts.
            person
                .parent()
                .map_or(Ok(()), create_private_dir)
                .map_err(|error| files::unwritable(person, &error))?;
            write(person, PERSON)?;
        }
        let paths = roots.iter().map(|root| root.display().to_string()).collect();
        Ok(Self { person: person.to_owned(), managed: person.with_file_name(MANAGED_FILE), paths })
    }

    /// The person's file.
    pub fn person(&self) -> &Path {
        &self.person
    }

    /// The managed file.
    pub fn managed(&self) -> &Path {
        &self.managed
    }

    /// Writes the managed file, unless it says so already: the watched paths, and what is enabled in the cluster `own`
    /// that the agent watches. What is enabled elsewhere is nothing to this agent: a policy allows its actions in all of
    /// its clusters.
    pub fn write(&self, enabled: &[Enabled], own: Option<&str>) -> Result<(), Failure> {
        let enabled: Vec<&Enabled> = enabled.iter().filter(|(uid, _)| Some(uid.as_str()) == own).collect();
        let allowed = |kind: &ActionKind| match allowed_by(*kind) {
            AllowedBy::Watching => !self.paths.is_empty(),
            AllowedBy::Enabling => enabled.iter().any(|(_, actions)| actions.contains(kind)),
            AllowedBy::Person => false,
        };
        let managed = Managed {
            allow: ActionKind::ALL.iter().copied().filter(allowed).map(ActionKind::as_str).collect(),
            clusters: enabled.iter().map(|(uid, _)| uid.as_str()).collect(),
            namespaces: vec!["*"],
            paths: &self.paths,
            diff_paths: &self.paths,
        };
        let text = toml::to_string_pretty(&managed).map_err(|error| {
            Failure::new("the agent's managed policy cannot be written").found(error.to_string())
        })?;
        let text = format!("{MANAGED}{text}");
        if std::fs::read_to_string(&self.managed).is_ok_and(|now| now == text) {
            return Ok(());
        }
        write(&self.managed, &text)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_atomic(path, text.as_bytes(), 0o600).map_err(|error| files::unwritable(path, &error))
}

/// What an action is allowed by.
enum AllowedBy {
    /// What is watched.
    Watching,
    /// What is enabled, cluster by cluster.
    Enabling,
    /// A person's own file alone.
    Person,
}

fn allowed_by(kind: ActionKind) -> AllowedBy {
    match kind {
        ActionKind::RestoreFile | ActionKind::AcceptBaseline | ActionKind::WithdrawBaseline => {
            AllowedBy::Watching
        }
        ActionKind::RestartUnit => AllowedBy::Person,
        ActionKind::RestartPod
        | ActionKind::RollbackDeployment
        | ActionKind::RaiseMemoryLimit
        | ActionKind::UncordonNode
        | ActionKind::ExpandVolume
        | ActionKind::RaiseAutoscalerMaximum
        | ActionKind::ScaleWorkload
        | ActionKind::RenewCertificate => AllowedBy::Enabling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 3] = ["restore_file", "accept_baseline", "withdraw_baseline"];

    fn words(policy: &Policy, key: &str) -> Vec<String> {
        let table: toml::Table = std::fs::read_to_string(policy.managed()).unwrap().parse().unwrap();
        table[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn it_allows_what_is_watched_and_what_is_enabled_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let roots = ["/srv/a".into(), "/srv/b \"q\"".into()];
        let policy = Policy::open(&dir.path().join("policy.toml"), &roots).unwrap();
        policy.write(&[], Some("u1")).unwrap();
        assert_eq!(words(&policy, "paths"), ["/srv/a", "/srv/b \"q\""]);
        assert_eq!(words(&policy, "diff_paths"), ["/srv/a", "/srv/b \"q\""]);
        assert_eq!(words(&policy, "allow"), FILES);
        assert!(words(&policy, "clusters").is_empty());
        let enabled = [
            ("u1".into(), vec![ActionKind::RestartPod]),
            ("u2".into(), vec![ActionKind::RollbackDeployment]),
        ];
        policy.write(&enabled, Some("u1")).unwrap();
        assert_eq!(words(&policy, "allow"), [&["restart_pod"], &FILES[..]].concat());
        assert_eq!(words(&policy, "clusters"), ["u1"], "what is enabled elsewhere is not allowed here");
        policy.write(&enabled, None).unwrap();
        assert_eq!(words(&policy, "allow"), FILES, "its cluster is not known");
        policy.write(&[], Some("u1")).unwrap();
        assert!(words(&policy, "clusters").is_empty(), "what is disabled is no longer allowed");
        let unwatched = Policy::open(&dir.path().join("policy.toml"), &[]).unwrap();
        unwatched.write(&[], None).unwrap();
        assert!(words(&unwatched, "allow").is_empty() && words(&unwatched, "diff_paths").is_empty());
    }

    #[test]
    fn the_persons_file_is_made_once_and_never_touched_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        let policy = Policy::open(&path, &[]).unwrap();
        let made: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        assert!(made.is_empty(), "it decides nothing by itself");
        // Whatever a person writes, even what is no policy, stays as it is.
        std::fs::write(&path, "deny = [\nclusters\n").unwrap();
        let again = Policy::open(&path, &["/srv/new".into()]).unwrap();
        again.write(&[("u1".into(), vec![ActionKind::RestartPod])], Some("u1")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "deny = [\nclusters\n");
        assert_eq!(policy.managed(), again.managed());
    }
}
