//! Whether a PodDisruptionBudget stands in the way of an eviction that was refused, as far as budgets are known, and when the
//! eviction is asked for again for that.
//!
//! What the API server answers to the agent's dry run stays the judge. Here it is only decided when it is asked: seldom while
//! a budget stands in the way, and at once when none does any more. Where budgets are not known (an older agent does not list
//! them) the waits are those of any refused eviction.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::asked_again;
use crate::model::{Incident, IncidentState, Plan, RefusedEviction, Scope};
use crate::settings::{SELDOM, later};
use crate::snapshot::Snapshot;
use crate::world::PodDisruptionBudget;

/// What has to be listed.
const NEEDS: &[ObjectKind] = &[ObjectKind::Pod, ObjectKind::PodDisruptionBudget];

/// So long after a refusal nothing is asked again: what was changed by then may not have reached the API server's answer.
const SOONEST: SignedDuration = SignedDuration::from_secs(1);

/// Most budgets that are named.
const NAMED: usize = 3;

/// How budgets stand to the eviction of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// One stands in the way; what would have to be, as in "as soon as ...".
    InTheWay(String),
    /// One may: whom it selects, or what it would answer, is not told.
    Perhaps,
    /// None does.
    Free,
    /// They are not known.
    NotKnown,
}

impl Standing {
    /// What would have to be, if a budget is known to stand in the way.
    pub(super) fn in_the_way(&self) -> Option<&str> {
        match self {
            Self::InTheWay(what) => Some(what),
            Self::Perhaps | Self::Free | Self::NotKnown => None,
        }
    }

    /// Does a budget stand in the way, or may one?
    pub(super) fn may_be_in_the_way(&self) -> bool {
        match self {
            Self::InTheWay(_) | Self::Perhaps => true,
            Self::Free | Self::NotKnown => false,
        }
    }
}

/// How the budgets that are known stand to the eviction of the pod with this UID.
pub(super) fn standing(scope: &Scope, pod_uid: &str, s: &Snapshot<'_>) -> Standing {
    let known = s.known(scope, NEEDS).is_ok();
    let Some(inventory) = s.inventory(scope).filter(|_| known) else { return Standing::NotKnown };
    // Nothing keeps a pod that is gone; what is there now is planned anew.
    let Some(pod) = inventory.pods.get(pod_uid) else { return Standing::Free };
    // Of one that ended, has not started or is on its way out the API asks no budget.
    if pod.meta.deleting || matches!(pod.phase.as_str(), "Pending" | "Succeeded" | "Failed") {
        return Standing::Free;
    }
    let (mut guarding, mut perhaps) = (Vec::new(), Vec::new());
    let of_namespace = |budget: &&PodDisruptionBudget| budget.meta.namespace == pod.meta.namespace;
    for budget in inventory.pod_disruption_budgets.values().filter(of_namespace) {
        match budget.guards(pod.labels()) {
            Some(true) => guarding.push(budget),
            Some(false) => {}
            None => perhaps.push(budget),
        }
    }
    match guarding.as_slice() {
        [_, _, ..] => return Standing::InTheWay(only_one_of(&guarding)),
        [one] if one.would_allow(pod.ready) == Some(false) => {
            return Standing::InTheWay(format!("budget {} allows it", one.figures()));
        }
        [_] | [] => {}
    }
    // Kubernetes evicts no pod of two budgets: two that may be its own may be in the way whatever they allow.
    let mut all = guarding.iter().chain(&perhaps);
    if guarding.len() + perhaps.len() <= 1 && all.all(|budget| budget.would_allow(pod.ready) == Some(true)) {
        Standing::Free
    } else {
        Standing::Perhaps
    }
}

fn only_one_of(budgets: &[&PodDisruptionBudget]) -> String {
    let names: Vec<&str> = budgets.iter().take(NAMED).map(|budget| budget.meta.name.as_str()).collect();
    let more = if budgets.len() > NAMED { ", ..." } else { "" };
    format!(
        "only one of {} budgets ({}{more}) selects it, as Kubernetes evicts no pod of several",
        budgets.len(),
        names.join(", ")
    )
}

/// The wait of an incident whose eviction was refused with this plan, by what is known of budgets now: longer while one stands
/// in the way, and over when none does any more.
///
/// One that allows for a moment again and again is asked for the more seldom, as any refused eviction is: what it allowed was
/// taken by somebody else each time. It is over early once for each time that a budget stood in the way: where the API server
/// refuses it all the same, the waits are those of any refused eviction.
pub(super) fn follow(after: &mut Incident, plan: &Plan, s: &Snapshot<'_>, now: Timestamp) {
    let waits = after.plan_id.is_none() && after.state == IncidentState::Open;
    let Some(refused) = after.refused_eviction.filter(|refused| waits && refused.by_budget) else { return };
    // One that is dated later than now was dated by a clock that was ahead.
    let since = if refused.at > now { SignedDuration::MAX } else { now.duration_since(refused.at) };
    let standing = standing(&plan.scope, plan.object.uid(), s);
    if standing.may_be_in_the_way() {
        after.refused_eviction = Some(RefusedEviction { budget_stood: true, ..refused });
    }
    match standing {
        Standing::InTheWay(what) => {
            let until = later(refused.at, SELDOM);
            if since < SELDOM && after.next_attempt_at.is_none_or(|next| next < until) {
                after.next_attempt_at = Some(until);
                asked_again::say_when(after, &what, until);
            }
        }
        Standing::Free if refused.budget_stood && since >= early(refused, s) => {
            let in_vain = refused.in_vain.saturating_add(1);
            after.refused_eviction = Some(RefusedEviction { budget_stood: false, in_vain, ..refused });
            after.next_attempt_at = None;
        }
        Standing::Perhaps | Standing::Free | Standing::NotKnown => {}
    }
}

/// How long after its last refusal an eviction is asked for early.
fn early(refused: RefusedEviction, s: &Snapshot<'_>) -> SignedDuration {
    if refused.in_vain == 0 { SOONEST } else { s.settings.eviction_retry(refused.in_vain).max(SOONEST) }
}
