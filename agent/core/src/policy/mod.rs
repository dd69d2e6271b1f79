//! What this agent may ever do: a local file that the control plane can narrow and never widen.
//!
//! It decides from the job alone; whether the job is genuine is [`crate::admit`]'s question. Deny beats allow, and
//! what is not allowed by name is denied: an empty policy observes only.

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use nimbus_protocol::v1::{self, job::Action};

use crate::path;
use crate::refusal::{Code, Refusal};

pub use file::PolicyError;

/// The actions there are, by the names that the policy file uses.
pub const ACTIONS: [&str; 4] = ["restart_pod", "rollback_deployment", "restore_file", "accept_baseline"];

/// The name of a job's action.
pub fn action_name(action: &Action) -> &'static str {
    match action {
        Action::RestartPod(_) => ACTIONS[0],
        Action::RollbackDeployment(_) => ACTIONS[1],
        Action::RestoreFile(_) => ACTIONS[2],
        Action::AcceptBaseline(_) => ACTIONS[3],
    }
}

/// What this agent may ever do. The default observes only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    allow: BTreeSet<String>,
    deny: BTreeSet<String>,
    clusters: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    deny_namespaces: BTreeSet<String>,
    paths: BTreeSet<String>,
    deny_paths: BTreeSet<String>,
    jobs_per_hour: usize,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// ```toml
    /// allow = ["restart_pod", "restore_file"]   # nothing without it
    /// deny = []
    /// clusters = ["<UID of the kube-system namespace>"]
    /// namespaces = ["*"]                        # none without it
    /// deny_namespaces = ["kube-system"]         # this is the default
    /// paths = ["/etc/app"]
    /// deny_paths = ["/etc/app/private"]
    /// jobs_per_hour = 60                        # this is the default
    /// ```
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        file::parse(text)
    }

    /// The actions that are allowed at all, sorted. Empty: observes only.
    pub fn allowed_actions(&self) -> Vec<String> {
        self.allow.difference(&self.deny).cloned().collect()
    }

    /// May this job run, given how many ran within the last hour? `now` only says when that was judged.
    pub fn judge(&self, job: &v1::Job, now: Timestamp, jobs_in_last_hour: usize) -> Result<(), Refusal> {
        let Some(action) = &job.action else {
            return Err(Refusal::new(Code::Malformed, "expected an action, found none"));
        };
        let name = action_name(action);
        if self.deny.contains(name) || !self.allow.contains(name) {
            let allowed = match self.allowed_actions() {
                none if none.is_empty() => "nothing (observe only)".to_owned(),
                some => some.join(", "),
            };
            return forbid(format!(
                "this agent's policy allows {allowed}, found {name}; `allow` would have to name it"
            ));
        }
        match action {
            Action::RestartPod(a) => self.judge_object(job, [a.pod.as_ref(), a.owner.as_ref()])?,
            Action::RollbackDeployment(a) => {
                self.judge_object(job, [a.deployment.as_ref(), a.to_replica_set.as_ref()])?;
            }
            Action::RestoreFile(a) => self.judge_path(&a.root, &a.path)?,
            Action::AcceptBaseline(a) => self.judge_path(&a.root, &a.path)?,
        }
        if jobs_in_last_hour >= self.jobs_per_hour {
            return forbid(format!(
                "this agent's policy allows {} jobs an hour, found {jobs_in_last_hour} in the hour before {now}",
                self.jobs_per_hour
            ));
        }
        Ok(())
    }

    fn judge_object(&self, job: &v1::Job, targets: [Option<&v1::Target>; 2]) -> Result<(), Refusal> {
        if !self.clusters.contains(&job.cluster_uid) {
            return forbid(format!(
                "this agent's policy names no cluster {:?} to act on; `clusters` would have to hold its UID",
                job.cluster_uid
            ));
        }
        for target in targets {
            let namespace = target.map_or("", |t| t.namespace.as_str());
            if self.deny_namespaces.contains(namespace) {
                return forbid(format!("namespace {namespace:?} is in this agent's `deny_namespaces`"));
            }
            let allowed = self.namespaces.contains("*") || self.namespaces.contains(namespace);
            if namespace.is_empty() || !allowed {
                return forbid(format!("namespace {namespace:?} is not in this agent's `namespaces`"));
            }
        }
        Ok(())
    }

    fn judge_path(&self, root: &str, file: &str) -> Result<(), Refusal> {
        if !path::within(root, file) {
            return forbid(format!("expected a plain absolute path under {root:?}, found {file:?}"));
        }
        if let Some(denied) = self.deny_paths.iter().find(|denied| path::within(denied, file)) {
            return forbid(format!("{file:?} is under {denied:?}, which is in this agent's `deny_paths`"));
        }
        if !self.paths.iter().any(|allowed| path::within(allowed, file)) {
            return forbid(format!("{file:?} is under none of this agent's `paths`"));
        }
        Ok(())
    }
}

fn forbid(reason: String) -> Result<(), Refusal> {
    Err(Refusal::new(Code::PolicyForbids, reason))
}
