//! The independent checker of plans, which reads the safety invariants from the world by itself and shares no decision
//! with the planner.
//!
//! Written apart from `remedies`, `safety` and `causes`: it shares the contract's types and the definition of the digest
//! with them, and how the condition of a rule is evaluated on which facts; nothing else, so that a mistake there does not repeat
//! itself here. Run before every dispatch and over
//! every plan in the tests. The numbers are those of the safety kernel. Each action has its own file; all are named in
//! [`rules_of`].

mod accept_baseline;
mod calendar;
mod consent;
mod earlier;
mod expand_volume;
mod file;
mod lasting;
mod load;
mod meant;
mod permission;
mod raise_autoscaler_maximum;
mod raise_memory_limit;
mod renew_certificate;
mod restart_pod;
mod restart_unit;
mod restore_file;
mod rollback_deployment;
mod room;
mod scale_workload;
mod siblings;
#[cfg(test)]
mod tests;
mod uncordon_node;
mod withdraw_baseline;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::PlanId;

use crate::model::Plan;
use crate::snapshot::Snapshot;

/// What is said of a plan whose incident nothing may be begun for as it stands.
pub(crate) const NOT_OPEN: &str = "its incident is silenced, escalated or over";

/// An invariant that a plan would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Number of the invariant in the safety kernel.
    pub invariant: u8,
    /// What is broken: expected, found.
    pub text: String,
}

type Violations = Vec<Violation>;

/// Notes a violation of `invariant` unless `holds`.
fn require(found: &mut Violations, invariant: u8, holds: bool, text: impl FnOnce() -> String) {
    if !holds {
        found.push(Violation { invariant, text: text() });
    }
}

/// Who has to authorize an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// The rule that the cluster is enabled for.
    Rule,
    /// A person who approved this very plan.
    Approver,
    /// The person who asked for it.
    Requester,
}

/// Where an action may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Location {
    Cluster,
    Host,
}

/// What the checker asks of each action. No method has a default: a new action answers everything itself.
trait ActionRules {
    /// Who has to authorize it.
    fn authority(&self) -> Authority;
    /// Where it may act.
    fn acts_in(&self) -> Location;
    /// The kinds of objects that have to be listed before it may go out.
    fn needs(&self) -> &'static [ObjectKind];
    /// The node whose pods it disturbs, if it disturbs any.
    fn node(&self) -> Option<&str>;
    /// Does it hold that node back while its job is in flight?
    fn holds(&self) -> bool;
    /// Is the plan still about what is there? Invariants 3, 7 and 9.
    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>);
    /// What must hold at the very moment of going out, beyond that.
    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>);
}

fn rules_of(action: &Body) -> &dyn ActionRules {
    match action {
        Body::RestartPod(action) => action,
        Body::RollbackDeployment(action) => action,
        Body::RestoreFile(action) => action,
        Body::AcceptBaseline(action) => action,
        Body::UncordonNode(action) => action,
        Body::WithdrawBaseline(action) => action,
        Body::RaiseMemoryLimit(action) => action,
        Body::RestartUnit(action) => action,
        Body::ExpandVolume(action) => action,
        Body::RaiseAutoscalerMaximum(action) => action,
        Body::ScaleWorkload(action) => action,
        Body::RenewCertificate(action) => action,
    }
}

/// What the checker says of an action by itself, for a test that compares it with what the planner says.
#[cfg(test)]
pub(crate) fn for_test(action: &Body) -> (&'static str, (Option<String>, bool), &'static [ObjectKind]) {
    let rules = rules_of(action);
    let behind = match rules.authority() {
        Authority::Rule => "rule",
        Authority::Approver => "approver",
        Authority::Requester => "requester",
    };
    (behind, (rules.node().map(str::to_owned), rules.holds()), rules.needs())
}

/// Whether the checker takes this period for one that is now, for a test that compares it with what the planner says.
#[cfg(test)]
pub(crate) fn shows_for_test(period: &crate::settings::calendar::Period, now: Timestamp) -> bool {
    calendar::shows(period, now)
}

/// The checker of one pass. What holds for the whole pass is looked up once: the plans by id, and each cluster's storm.
pub struct Checker<'a> {
    now: Timestamp,
    plans: BTreeMap<PlanId, &'a Plan>,
    given_up: BTreeSet<PlanId>,
    storms: BTreeMap<String, Violations>,
}

impl<'a> Checker<'a> {
    /// A checker of plans against this snapshot.
    pub fn new(snapshot: &Snapshot<'a>, now: Timestamp) -> Self {
        let plans = snapshot.plans.iter().map(|plan| (plan.doc.id, &plan.doc)).collect();
        Self { now, plans, given_up: BTreeSet::new(), storms: BTreeMap::new() }
    }

    /// This pass took that plan out of force: it comes before nobody else's any more.
    pub fn given_up(&mut self, plan: PlanId) {
        self.given_up.insert(plan);
    }

    /// What would be broken if `plan` were dispatched at this moment; empty: nothing. `snapshot` is that of the pass, with
    /// the jobs that the pass has made so far.
    pub fn check(&mut self, plan: &Plan, snapshot: &Snapshot<'_>) -> Vec<Violation> {
        let mut found = of_plan(plan, snapshot);
        let Some(action) = plan.action.body() else { return found };
        let rules = rules_of(action);
        rules.check_at_dispatch(&mut found, plan, snapshot);
        permission::require_observed(&mut found, plan, rules, snapshot);
        permission::require_permission(&mut found, plan, action, snapshot, self.now);
        consent::require_rule(&mut found, plan, action, rules.authority(), snapshot, self.now);
        load::in_flight(&mut found, plan, rules, (&self.plans, &self.given_up), snapshot);
        load::attempts(&mut found, plan, snapshot, self.now);
        load::hour(&mut found, plan, snapshot, self.now);
        if let (Some(uid), true) = (plan.scope.cluster_uid(), load::is_automatic(plan)) {
            let now = self.now;
            let storm = self.storms.entry(uid.to_owned()).or_insert_with(|| load::storm(uid, snapshot, now));
            found.extend(storm.iter().cloned());
        }
        found
    }
}

/// What would be broken if `plan` were dispatched at this moment; empty: nothing.
pub fn check(plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) -> Vec<Violation> {
    Checker::new(snapshot, now).check(plan, snapshot)
}

/// What is wrong with `plan` in itself and against the world: invariants 2, 3, 7, 9 and 12.
pub fn of_plan(plan: &Plan, snapshot: &Snapshot<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let digest = plan.computed_digest();
    require(&mut found, 2, digest == plan.digest, || {
        format!("the plan's digest: expected {digest}, found {}", plan.digest)
    });
    let Some(action) = plan.action.body() else {
        require(&mut found, 3, false, || "expected an action that this version knows, found none".to_owned());
        return found;
    };
    let rules = rules_of(action);
    match rules.authority() {
        Authority::Rule => {}
        Authority::Approver => require(&mut found, 12, plan.needs_approval || plan.rule.is_some(), || {
            format!("{} needs a person's approval, this plan would go without", action.kind())
        }),
        Authority::Requester => require(&mut found, 12, plan.requested_by != "nimbus", || {
            format!("{} is a person's decision; nobody asked for this one", action.kind())
        }),
    }
    let fits = match rules.acts_in() {
        Location::Cluster => plan.scope.cluster_uid().is_some(),
        Location::Host => plan.scope.host().is_some(),
    };
    require(&mut found, 3, fits, || format!("{} does not act in {}", action.kind(), plan.scope));
    if fits {
        rules.check(&mut found, plan, snapshot);
    }
    found
}
