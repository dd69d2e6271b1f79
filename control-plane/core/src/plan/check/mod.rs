//! An independent judge of plans, with its own reading of the safety invariants.
//!
//! Written apart from `planner`, `safety` and `caps`: it shares the definition of the digest with them and nothing
//! else, so that a mistake there does not repeat itself here. Run before every dispatch and over every plan in the
//! tests. The numbers are those of the safety kernel.

mod load;
mod object;
mod permission;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::digest;
use crate::model::{Action, Plan};
use crate::snapshot::Snapshot;

/// An invariant that a plan would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Number of the invariant in the safety kernel.
    pub invariant: u8,
    /// What is broken: expected, found.
    pub text: String,
}

type Found = Vec<Violation>;

fn broken(found: &mut Found, invariant: u8, holds: bool, text: impl FnOnce() -> String) {
    if !holds {
        found.push(Violation { invariant, text: text() });
    }
}

/// What would be broken if `plan` were dispatched at this moment; empty: nothing.
pub fn check(plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) -> Vec<Violation> {
    let mut found = of_plan(plan, snapshot);
    permission::waiting(&mut found, plan, snapshot);
    permission::sight(&mut found, plan, snapshot);
    permission::permission(&mut found, plan, snapshot, now);
    load::in_flight(&mut found, plan, snapshot);
    load::attempts(&mut found, plan, snapshot, now);
    load::storm(&mut found, plan, snapshot, now);
    found
}

/// What is wrong with `plan` in itself and against the world: invariants 2, 3, 7 and 9.
pub fn of_plan(plan: &Plan, snapshot: &Snapshot<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    broken(&mut found, 2, digest(plan) == plan.digest, || {
        format!("the plan's digest: expected {}, found {}", digest(plan), plan.digest)
    });
    let must_ask = matches!(plan.action, Action::RollbackDeployment { .. } | Action::RestoreFile { .. });
    broken(&mut found, 12, !must_ask || plan.needs_approval, || {
        format!("{} needs a person's approval, this plan would go without", plan.action.kind())
    });
    if matches!(plan.action, Action::AcceptBaseline { .. }) {
        broken(&mut found, 12, plan.requested_by != "nimbus", || {
            "a new baseline is a person's decision; nobody asked for this one".to_owned()
        });
    }
    match (&plan.action, &plan.cluster_uid) {
        (Action::RestartPod { .. } | Action::RollbackDeployment { .. }, Some(uid)) => {
            match snapshot.world.clusters.get(uid) {
                Some(inventory) if matches!(plan.action, Action::RestartPod { .. }) => {
                    object::restart(&mut found, plan, inventory);
                }
                Some(inventory) => object::rollback(&mut found, plan, inventory),
                None => broken(&mut found, 3, false, || format!("nothing is known of cluster {uid}")),
            }
        }
        (Action::RestartPod { .. } | Action::RollbackDeployment { .. }, None) => {
            broken(&mut found, 3, false, || "a plan for Kubernetes names no cluster".to_owned());
        }
        (Action::RestoreFile { path, root, expect_current, restore_to }, _) => {
            object::file(&mut found, plan, snapshot, (root, path), expect_current, Some(restore_to));
        }
        (Action::AcceptBaseline { path, root, expect_current }, _) => {
            object::file(&mut found, plan, snapshot, (root, path), expect_current, None);
        }
    }
    found
}
