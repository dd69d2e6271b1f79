//! Reads the local policy from its files: the operator's own, and the managed file beside it that `nimbus up` writes.

use std::io;
use std::path::Path;

use nimbus_agent_core::policy::{MANAGED_FILE, Policy};
use nimbus_agent_core::{Code, Refusal};
use nimbus_platform::read_regular_text;

/// Longest policy file that is read.
const MAX_POLICY: u64 = 64 << 10;

/// The policy, and what is to be said of its files.
#[derive(Debug, Default)]
pub struct PolicyNow {
    /// What is in force; nothing is allowed where a file cannot be used.
    pub policy: Policy,
    /// Why nothing is begun although the policy may allow it: people have paused this agent.
    pub paused: Option<String>,
    /// Why a file cannot be used.
    pub broken: Option<String>,
    /// What in a usable file has no effect.
    pub warnings: Vec<String>,
}

impl PolicyNow {
    /// The person's file and the managed one beside it. A missing file says nothing; a file that cannot be used makes
    /// the agent observe only, whichever it is, as what it denies is not known.
    pub fn read(person: &Path) -> Self {
        let managed = person.with_file_name(MANAGED_FILE);
        let mut warnings = Vec::new();
        let policy = one(person, &mut warnings)
            .and_then(|policy| Ok(policy.with_managed(one(&managed, &mut warnings)?)));
        match policy {
            Ok(policy) => Self { policy, warnings, ..Self::default() },
            Err(broken) => Self { broken: Some(broken), ..Self::default() },
        }
    }

    /// The same, and nothing is allowed while anything is in the directory `stop`, or while that cannot be read.
    pub fn read_unless_stopped(person: &Path, stop: Option<&Path>) -> Self {
        match stop.and_then(stopped) {
            Some(why) => Self { broken: Some(why), ..Self::default() },
            None => Self::read(person),
        }
    }

    /// The problem to be shown, if there is one.
    pub fn problem(&self) -> Option<String> {
        let warnings = || (!self.warnings.is_empty()).then(|| self.warnings.join("; "));
        self.broken.clone().or_else(warnings)
    }

    /// A refusal while people have paused this agent is theirs, and says who did. One by a policy that could not be read says
    /// so, with the file and the line: that is what has to be corrected.
    pub fn explain(&self, mut refusal: Refusal) -> Refusal {
        if let (Code::PolicyForbids, Some(paused)) = (refusal.code, &self.paused) {
            (refusal.code, refusal.reason) = (Code::Paused, paused.clone());
        } else if let (Code::PolicyForbids, Some(broken)) = (refusal.code, &self.broken) {
            refusal.reason = format!("{broken} ({})", refusal.reason);
        }
        refusal
    }
}

/// Why the directory stops this agent, if it does. What begins with two dots is the kubelet's own.
fn stopped(dir: &Path) -> Option<String> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            return Some(format!(
                "this agent only observes until {} can be read, which would say whether it is stopped: {error}",
                dir.display()
            ));
        }
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    // An entry that cannot be read is one.
    let name = names.map(Result::unwrap_or_default).find(|name| !name.starts_with(".."))?;
    Some(format!(
        "this agent only observes: a person stopped it ({} holds {name:?}); in a pod, delete the ConfigMap that is mounted there",
        dir.display()
    ))
}

fn one(path: &Path, warnings: &mut Vec<String>) -> Result<Policy, String> {
    let wrong = |found: String| {
        format!(
            "this agent only observes until {} is corrected: expected a policy, found: {found}",
            path.display()
        )
    };
    // Nothing here waits: it is read while the journal is held, and a pipe without a writer would hold it for ever.
    match read_regular_text(path, MAX_POLICY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Policy::default()),
        Err(error) => Err(wrong(error.to_string())),
        Ok(text) => {
            let (policy, found) = Policy::parse(&text).map_err(|error| wrong(error.to_string()))?;
            warnings.extend(found.iter().map(|warning| format!("{}: {warning}", path.display())));
            Ok(policy)
        }
    }
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::ActionKind;

    use super::*;

    #[test]
    fn both_files_count_and_either_one_that_is_broken_allows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (person, managed) = (dir.path().join("policy.toml"), dir.path().join("policy.managed.toml"));
        let allowed = || PolicyNow::read(&person).policy.allowed_actions();
        assert!(allowed().is_empty() && PolicyNow::read(&person).problem().is_none());
        std::fs::write(&managed, "allow = [\"restart_pod\"]\n").unwrap();
        assert_eq!(allowed(), [ActionKind::RestartPod]);
        std::fs::write(&person, "allow = [\"restore_file\"]\n").unwrap();
        assert_eq!(allowed(), [ActionKind::RestartPod, ActionKind::RestoreFile]);
        for broken in [&person, &managed] {
            let good = std::fs::read(broken).unwrap();
            std::fs::write(broken, "this is no TOML").unwrap();
            assert!(allowed().is_empty());
            let problem = PolicyNow::read(&person).problem().unwrap();
            assert!(
                problem.contains(broken.to_str().unwrap()) && problem.contains("only observes"),
                "{problem}"
            );
            std::fs::write(broken, good).unwrap();
        }
    }

    #[test]
    fn an_unknown_action_is_named_with_its_file_and_the_rest_stays_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let person = dir.path().join("policy.toml");
        std::fs::write(&person, "allow = [\"restart_pod\",\n\"drain_node_2\"]\n").unwrap();
        let now = PolicyNow::read(&person);
        assert_eq!(now.policy.allowed_actions(), [ActionKind::RestartPod]);
        let problem = now.problem().unwrap();
        assert!(
            problem.contains("policy.toml: policy line 2") && problem.contains("drain_node_2"),
            "{problem}"
        );
        let refusal = now.explain(Refusal::new(Code::PolicyForbids, "why"));
        assert_eq!(refusal.reason, "why", "what is in force refused it, not the warning");
    }

    #[test]
    fn anything_in_the_directory_that_stops_an_agent_does() {
        let dir = tempfile::tempdir().unwrap();
        let (person, stop) = (dir.path().join("policy.toml"), dir.path().join("stop"));
        std::fs::write(&person, "allow = [\"restore_file\"]\npaths = [\"/srv\"]\n").unwrap();
        let now = |stop| PolicyNow::read_unless_stopped(&person, stop);
        assert_eq!(now(None).policy.allowed_actions().len(), 1);
        assert_eq!(now(Some(&stop)).policy.allowed_actions().len(), 1, "there is none");
        std::fs::create_dir(&stop).unwrap();
        // As the kubelet leaves the volume of a ConfigMap that is not there.
        std::fs::create_dir(stop.join("..2026_11_28")).unwrap();
        assert_eq!(now(Some(&stop)).policy.allowed_actions().len(), 1);
        std::fs::write(stop.join("policy.toml"), "allow = [\"*\"]\n").unwrap();
        let stopped = now(Some(&stop));
        assert!(stopped.policy.allowed_actions().is_empty(), "whatever is in it");
        assert!(stopped.problem().unwrap().contains("\"policy.toml\""));
        assert!(now(Some(&person)).policy.allowed_actions().is_empty(), "what cannot be read stops it");
    }
}
