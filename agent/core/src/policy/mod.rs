//! The local policy: files on the agent's machine that say which actions it may take, and where, and of which files it
//! may show the contents. The control plane can narrow it and never widen it.
//!
//! It decides from the job alone; whether the job is genuine is [`crate::admit`]'s question. Deny beats allow, and
//! what is not allowed by name is denied: an empty policy observes only.
//!
//! An agent reads two files: `policy.toml`, which a person writes, and `policy.managed.toml` beside it, which
//! `nimbus up` writes whole. [`Policy::with_managed`] says how they become one.

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use nimbus_protocol::ActionKind;
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::ApprovalId;
use nimbus_protocol::v1;

use crate::action::{self, Touched};
use crate::path;
use crate::refusal::{Code, Refusal};
use crate::unit;

pub use file::{PolicyError, PolicyWarning, WarnedList};

/// The name of the managed file, in the directory of the person's file.
pub const MANAGED_FILE: &str = "policy.managed.toml";
/// Jobs an hour where no file says otherwise.
pub const JOBS_PER_HOUR: u16 = 60;
/// The namespace that is denied where the person's file says nothing of `deny_namespaces`.
const DENIED_NAMESPACE: &str = "kube-system";

/// What this agent may ever do. The default observes only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    allow: BTreeSet<ActionKind>,
    auto: BTreeSet<ActionKind>,
    deny: BTreeSet<ActionKind>,
    clusters: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    /// `None` where the file says nothing.
    deny_namespaces: Option<BTreeSet<String>>,
    paths: BTreeSet<String>,
    deny_paths: BTreeSet<String>,
    diff_paths: BTreeSet<String>,
    deny_diff_paths: BTreeSet<String>,
    units: BTreeSet<String>,
    deny_units: BTreeSet<String>,
    /// `None` where the file says nothing.
    jobs_per_hour: Option<u16>,
}

impl Policy {
    /// Reads a policy file; the person's and the managed one have the same form.
    ///
    /// ```toml
    /// allow = ["restart_pod", "restore_file"]   # nothing without it
    /// auto = ["expand_volume"]                  # also on a rule's word, without a person's approval; none without it
    /// deny = []                                 # ["*"] stops everything, whatever any file allows
    /// clusters = ["<UID of the kube-system namespace>"]
    /// namespaces = ["*"]                        # none without it
    /// deny_namespaces = ["kube-system"]         # this is the default
    /// paths = ["/etc/app"]
    /// deny_paths = ["/etc/app/private"]         # nothing is done there, and no contents are shown
    /// diff_paths = ["/etc/app"]                 # contents of no file leave the host without it
    /// deny_diff_paths = ["/etc/app/users.conf"]
    /// units = ["nginx.service", "worker@*.service"]
    /// deny_units = ["worker@billing.service"]
    /// jobs_per_hour = 60                        # this is the default
    /// ```
    ///
    /// An action in `allow` or `auto` that this version does not know allows nothing and is a warning: the file may be written
    /// for a newer version too. So is a broken entry of `diff_paths`, for which nothing is shown. An unknown action in
    /// `deny` is an error, as what it forbids is not known.
    pub fn parse(text: &str) -> Result<(Self, Vec<PolicyWarning>), PolicyError> {
        file::parse(text)
    }

    /// This policy, a person's, together with the managed one.
    ///
    /// What either allows is allowed, what either denies is denied, and deny beats allow. `deny_namespaces` is
    /// `kube-system` unless the person's file says otherwise; the managed file can only add to it. `jobs_per_hour` is
    /// the person's if given, else the managed one, else [`JOBS_PER_HOUR`].
    #[must_use]
    pub fn with_managed(mut self, managed: Self) -> Self {
        self.allow.extend(managed.allow);
        self.auto.extend(managed.auto);
        self.deny.extend(managed.deny);
        self.clusters.extend(managed.clusters);
        self.namespaces.extend(managed.namespaces);
        self.paths.extend(managed.paths);
        self.deny_paths.extend(managed.deny_paths);
        self.diff_paths.extend(managed.diff_paths);
        self.deny_diff_paths.extend(managed.deny_diff_paths);
        self.units.extend(managed.units);
        self.deny_units.extend(managed.deny_units);
        let mut denied =
            self.deny_namespaces.unwrap_or_else(|| BTreeSet::from([DENIED_NAMESPACE.to_owned()]));
        denied.extend(managed.deny_namespaces.unwrap_or_default());
        self.deny_namespaces = Some(denied);
        self.jobs_per_hour = self.jobs_per_hour.or(managed.jobs_per_hour);
        self
    }

    /// The actions that are allowed at all. Empty: observes only.
    pub fn allowed_actions(&self) -> Vec<ActionKind> {
        self.allow.difference(&self.deny).copied().collect()
    }

    /// The allowed actions that go without a person's approval on the word of a rule, also where they would need one.
    pub fn automatic_actions(&self) -> Vec<ActionKind> {
        self.allowed_actions().into_iter().filter(|action| self.auto.contains(action)).collect()
    }

    /// What is wrong with it in the cluster `uid`: it names others alone, so that nothing is allowed here.
    pub fn is_of_another_cluster(&self, uid: &str) -> Option<String> {
        let named: Vec<&str> = self.clusters.iter().map(String::as_str).take(3).collect();
        let is_other =
            !named.is_empty() && !self.clusters.contains(uid) && !self.allowed_actions().is_empty();
        is_other.then(|| {
            format!(
                "expected the policy's `clusters` to hold the UID of this cluster, {uid}, found {}: nothing is allowed in it; add that UID",
                named.join(", ")
            )
        })
    }

    /// May the contents of the file at this absolute path leave the host? Only where `diff_paths` names it or a directory
    /// above it, and neither `deny_diff_paths` nor `deny_paths` does.
    pub fn shows(&self, file: &str) -> bool {
        let named = |paths: &BTreeSet<String>| paths.iter().any(|path| path::within(path, file));
        named(&self.diff_paths) && !named(&self.deny_diff_paths) && !named(&self.deny_paths)
    }

    /// The same as `other` in which contents may be shown?
    pub fn shows_the_same_as(&self, other: &Self) -> bool {
        let rules = |policy: &Self| {
            (policy.diff_paths.clone(), policy.deny_diff_paths.clone(), policy.deny_paths.clone())
        };
        rules(self) == rules(other)
    }

    /// The units that it names, as patterns of systemd: those of which a host tells also that they are well.
    pub fn named_units(&self) -> impl Iterator<Item = &str> {
        self.units.iter().map(String::as_str)
    }

    /// May this unit be started again? If not, why.
    pub fn restarts(&self, unit: &str) -> Result<(), String> {
        if self.deny.contains(&ActionKind::RestartUnit) || !self.allow.contains(&ActionKind::RestartUnit) {
            return Err("this agent's policy does not allow restart_unit".to_owned());
        }
        self.judge_unit(unit).map_err(|refusal| refusal.reason)
    }

    /// May this job run, given how many ran within the last hour? `now` only says when that was judged.
    pub fn judge(
        &self,
        job: &v1::Job,
        action: &Body,
        now: Timestamp,
        jobs_in_last_hour: usize,
    ) -> Result<(), Refusal> {
        let kind = action.kind();
        if self.deny.contains(&kind) || !self.allow.contains(&kind) {
            let allowed: Vec<&str> = self.allowed_actions().into_iter().map(ActionKind::as_str).collect();
            let allowed = match allowed.as_slice() {
                [] => "nothing (observe only)".to_owned(),
                some => some.join(", "),
            };
            return forbid(format!(
                "this agent's policy allows {allowed}, found {kind}; `allow` would have to name it"
            ));
        }
        for touched in action::rules(action).touches() {
            match touched {
                Touched::Namespace(namespace) => {
                    self.judge_cluster(&job.cluster_uid)?;
                    self.judge_namespace(namespace)?;
                }
                Touched::Node(_) => self.judge_cluster(&job.cluster_uid)?,
                Touched::Path { root, path } => self.judge_path(root, path)?,
                Touched::Unit(unit) => self.judge_unit(unit)?,
            }
        }
        let most = self.jobs_per_hour();
        if jobs_in_last_hour >= usize::from(most) {
            return Err(Refusal::new(
                Code::HourlyBudget,
                format!(
                    "this agent's policy allows {most} jobs an hour, found {jobs_in_last_hour} in the hour before {now}"
                ),
            ));
        }
        Ok(())
    }

    /// Has a person approved this job, where one has to? Where the action alone needs one, `auto` lets a rule do.
    pub fn judge_consent(&self, job: &v1::Job, action: &Body) -> Result<(), Refusal> {
        let (kind, rules) = (action.kind(), action::rules(action));
        let unasked = self.auto.contains(&kind);
        // A rule's word is in the job, too, and says which rule's.
        let by_a_rule = job.approvals.iter().any(|approval| approval.by.starts_with("rule:"));
        let needed = job.needs_approval || (rules.needs_approval() && !(unasked && by_a_rule));
        if !needed || job.approvals.iter().any(|approval| approval.approval_id.parse::<ApprovalId>().is_ok())
        {
            return Ok(());
        }
        let way = if job.needs_approval { "" } else { ", or `auto` of this agent's policy to name it" };
        forbid(format!(
            "expected an approval of this plan by a person, with its id{way}, found none; {kind} needs one"
        ))
    }

    /// Most jobs an hour.
    pub fn jobs_per_hour(&self) -> u16 {
        self.jobs_per_hour.unwrap_or(JOBS_PER_HOUR)
    }

    fn judge_cluster(&self, uid: &str) -> Result<(), Refusal> {
        if self.clusters.contains(uid) {
            return Ok(());
        }
        forbid(format!(
            "this agent's policy names no cluster {uid:?} to act on; `clusters` would have to hold its UID"
        ))
    }

    fn judge_namespace(&self, namespace: &str) -> Result<(), Refusal> {
        let denied = match &self.deny_namespaces {
            Some(denied) => denied.contains(namespace),
            None => namespace == DENIED_NAMESPACE,
        };
        if denied {
            return forbid(format!("namespace {namespace:?} is in this agent's `deny_namespaces`"));
        }
        let allowed = self.namespaces.contains("*") || self.namespaces.contains(namespace);
        if namespace.is_empty() || !allowed {
            return forbid(format!("namespace {namespace:?} is not in this agent's `namespaces`"));
        }
        Ok(())
    }

    fn judge_unit(&self, unit: &str) -> Result<(), Refusal> {
        if let Some(why) = unit::never(unit) {
            return forbid(format!("{unit:?} is never started again by this agent: {why}"));
        }
        let named = |units: &BTreeSet<String>| units.iter().any(|pattern| unit::names(pattern, unit));
        if named(&self.deny_units) {
            return forbid(format!("{unit:?} is in this agent's `deny_units`"));
        }
        if !named(&self.units) {
            return forbid(format!("{unit:?} is not in this agent's `units`"));
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
