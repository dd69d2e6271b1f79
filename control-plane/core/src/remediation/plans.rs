//! Makes one plan for each incident, requests an approval where an operator must decide, and records the reason for
//! every state.
//!
//! Level-triggered: each pass derives where an incident stands from its documents and the world, and writes only
//! what differs. A plan in force is kept while it is still the same plan (same digest); with it its approval.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::{ApprovalId, IdSource, PlanId};

use super::held;
use super::index::Index;
use super::record::{Record, transition};
use super::{budgets, refusal, storms};
use crate::approval::{self, SUPERSEDED};
use crate::check::Checker;
use crate::model::{
    Approval, ChangeSet, Incident, IncidentKind, IncidentState, Mode, Plan, Scope, Versioned,
};
use crate::remedies::{self, NIMBUS, Proposal};
use crate::safety::{self, Blocked};
use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::{causes, check};

/// Most plans that one pass makes; the rest follows in the next one.
pub const MAX_PLANNED: usize = 500;

/// How long after its last plan a file that changed again is left alone.
const QUIET: SignedDuration = SignedDuration::from_secs(10);

/// Plans remedies, asks for approvals, says why nothing is done.
pub fn plans(s: &Snapshot<'_>, now: Timestamp, ids: &mut dyn IdSource) -> ChangeSet {
    let index = Index::of(s);
    let mut shared = safety::Pass::of(s, storms::survey(s, now), now);
    let mut checker = Checker::new(s, now);
    let mut record = Record::new(now);
    // In the order of dispatch: whoever takes the room that is left says so, and the others that they wait.
    let mut incidents: Vec<&Versioned<Incident>> = s.incidents.iter().collect();
    incidents.sort_by_key(|incident| safety::turn(&incident.doc));
    let many = many_files(s);
    for incident in incidents {
        let doc = &incident.doc;
        let left_alone = match doc.state {
            IncidentState::Resolved | IncidentState::Silenced => true,
            IncidentState::Open
            | IncidentState::WaitingApproval
            | IncidentState::Remediating
            | IncidentState::Escalated => false,
        };
        if left_alone || doc.kind == IncidentKind::Storm || index.at_work(doc.id) {
            continue;
        }
        if record.changes.plans.len() >= MAX_PLANNED {
            break;
        }
        let mut pass = Pass {
            s,
            index: &index,
            shared: &mut shared,
            checker: &mut checker,
            now,
            record: &mut record,
            after: doc.clone(),
            made: None,
        };
        pass.after.of_many |= doc.kind == IncidentKind::FileDrift && many.contains(&doc.scope);
        pass.run(ids);
        let (after, made) = (pass.after, pass.made);
        let at_work = matches!(after.state, IncidentState::Open | IncidentState::WaitingApproval);
        if let Some(before) = doc.plan_id.filter(|before| after.plan_id != Some(*before) || !at_work) {
            checker.given_up(before);
        }
        let in_force = after.plan_id.and_then(|id| made.as_ref().or_else(|| index.plan(id)));
        shared.plan(&after, in_force);
        record.incident(incident, after);
    }
    record.changes
}

/// The hosts of which so many files differ at once that it is one event, such as an upgrade of packages, and a person's to look at.
fn many_files(s: &Snapshot<'_>) -> BTreeSet<Scope> {
    let mut counts: BTreeMap<&Scope, u32> = BTreeMap::new();
    for incident in s.incidents.iter().map(|incident| &incident.doc) {
        if incident.kind == IncidentKind::FileDrift && incident.is_open() {
            *counts.entry(&incident.scope).or_default() += 1;
        }
    }
    let most = s.settings.storm.incidents;
    counts.into_iter().filter(|(_, count)| *count >= most).map(|(scope, _)| scope.clone()).collect()
}

/// One incident's pass.
struct Pass<'p, 's> {
    s: &'p Snapshot<'s>,
    index: &'p Index<'p>,
    shared: &'p mut safety::Pass<'s>,
    checker: &'p mut Checker<'s>,
    now: Timestamp,
    record: &'p mut Record,
    after: Incident,
    /// The plan that this pass made for it.
    made: Option<Plan>,
}

impl<'p> Pass<'p, '_> {
    fn run(&mut self, ids: &mut dyn IdSource) {
        if let Err(unknown) = self.s.known(&self.after.scope, causes::of(self.after.kind).needs()) {
            // Neither planned nor resolved from what is not known; what a person was asked stays asked.
            if self.after.state == IncidentState::Open {
                self.wait(&format!("{unknown}; nothing is planned or resolved from it"));
            }
            return;
        }
        if self.keeps_requested_plan(ids) {
            return;
        }
        if let Some(plan) = self.after.refused.and_then(|refused| self.index.plan(refused.plan_id)) {
            budgets::follow(&mut self.after, plan, self.s, self.now);
        }
        if self.after.next_attempt_at.is_some_and(|at| self.now < at) && self.after.plan_id.is_none() {
            // The last job's reason says what happened and when the next try is.
            return;
        }
        match remedies::propose(&self.after, self.s) {
            Proposal::Wait(reason) => {
                self.drop_plan(&reason);
                self.hold(&reason);
            }
            Proposal::Recommend(reason) => {
                self.drop_plan(&reason);
                self.escalate(&reason);
            }
            Proposal::Act(kind, draft, said) => {
                // A rule consents for nobody whose word the settings need.
                let needs_approval = said.asks
                    || self.asks_for_everything()
                    || !self.s.needs(Some(kind), &self.after).is_empty();
                let mut candidate =
                    draft.into_plan(PlanId::new(ids), &self.after, needs_approval, NIMBUS, self.now);
                candidate.rule = Some(said.rule);
                let answered = [&self.after.denied_digest, &self.after.failed_digest];
                if answered.into_iter().flatten().any(|digest| candidate.is_answered_by(digest)) {
                    self.stays_answered(&candidate);
                    return;
                }
                if self.keeps_changing(&candidate) {
                    return;
                }
                let plan = self.in_force(candidate);
                self.advance(&plan, ids);
            }
        }
    }

    /// What came in between (an order of a person, a silence, another state of the object) is over, and what Nimbus would do was denied
    /// before that: a person goes on.
    fn stays_answered(&mut self, candidate: &Plan) {
        if !self.after.denied_digest.as_ref().is_some_and(|digest| candidate.is_answered_by(digest)) {
            return;
        }
        let reason = "what Nimbus would do was denied before; `nimbus incidents ask` asks for it again";
        if self.plan().is_some_and(|plan| !candidate.is_answered_by(&plan.digest)) {
            self.drop_plan(reason);
        }
        if self.after.plan_id.is_none() && self.after.state != IncidentState::Escalated {
            self.escalate(reason);
        }
    }

    /// Does the cluster only recommend?
    fn asks_for_everything(&self) -> bool {
        let cluster = self.after.scope.cluster_uid().and_then(|uid| self.s.cluster(uid));
        cluster.is_some_and(|cluster| match cluster.mode {
            Mode::Recommend => true,
            // Nothing is done in the first two.
            Mode::Off | Mode::Observe | Mode::Act => false,
        })
    }

    /// A file that changed after its plan was made is planned on anew only after a while: one that is written all the
    /// time, such as a log, would otherwise ask for a new approval each time.
    fn keeps_changing(&mut self, candidate: &Plan) -> bool {
        let changed = self.plan().is_some_and(|plan| !candidate.is_answered_by(&plan.digest));
        if !changed || self.after.kind != IncidentKind::FileDrift {
            return false;
        }
        let next = later(self.now, QUIET);
        let reason = format!("{} changed again; planned anew not before {next:.0}", self.after.object.name());
        self.drop_plan(&reason);
        self.after.next_attempt_at = Some(next);
        self.wait(&reason);
        true
    }

    /// The plan in force if `candidate` is the same, otherwise `candidate`, which takes its place.
    fn in_force(&mut self, candidate: Plan) -> Plan {
        // What nobody is asked for names the rule that lets it begin, as it is now.
        let is_same = |plan: &&Plan| {
            plan.digest == candidate.digest && (plan.needs_approval || plan.rule == candidate.rule)
        };
        if let Some(plan) = self.plan().filter(is_same) {
            return plan.clone();
        }
        // A person's word for the same is not thrown away because a rule would do now.
        if let Some(plan) = self.plan().filter(|plan| self.is_approved(plan, &candidate)) {
            return plan.clone();
        }
        // Asked for again after a refusal, it is the plan that it was, and no decision anew.
        let refused = self.after.refused.take();
        let before = refused.and_then(|refused| self.index.plan(refused.plan_id));
        if let Some(plan) = before.filter(is_same) {
            self.after.refused = refused;
            self.after.plan_id = Some(plan.id);
            return plan.clone();
        }
        // An approval of the very same plan, made before, is kept.
        self.after.plan_id.take();
        for approval in self.live().filter(|a| a.doc.plan_digest != candidate.digest) {
            let why = if candidate.is_answered_by(&approval.doc.plan_digest) {
                "the rules, the mode or the settings say otherwise now who is asked"
            } else {
                "the object changed, the plan is another one now"
            };
            self.record.expire_approval(approval, &format!("{SUPERSEDED}: {why}"));
        }
        self.after.failed_digest = None;
        self.after.plan_id = Some(candidate.id);
        self.after.note(self.now, format!("planned: {}", candidate.summary));
        self.record.audit("plan.made", &candidate.id, &self.after.cluster, candidate.summary.clone());
        self.record.changes.plans.push(Versioned::new(candidate.clone()));
        self.made = Some(candidate.clone());
        candidate
    }

    /// Does the plan ask for what the candidate would do unasked, and did somebody approve it?
    fn is_approved(&self, plan: &Plan, candidate: &Plan) -> bool {
        plan.needs_approval
            && !candidate.needs_approval
            && candidate.is_answered_by(&plan.digest)
            && self.live().any(|approval| {
                let approval = &approval.doc;
                approval.plan_digest == plan.digest
                    && (approval.covers(&plan.digest, self.now) || !approval.given.is_empty())
            })
    }

    /// What becomes of the plan in force now.
    fn advance(&mut self, plan: &Plan, ids: &mut dyn IdSource) {
        let blocked = safety::review(plan, &self.after, self.s, self.shared, self.now);
        if let Some(Blocked::AttemptsExhausted(reason)) = &blocked {
            self.expire_approvals(reason);
            self.escalate(reason);
        } else if plan.needs_approval {
            self.ask(plan, blocked.as_ref(), ids);
        } else {
            self.next_step(plan, &format!("planned: {}", plan.summary), blocked.as_ref());
        }
    }

    /// Where the plan's approval stands; asks for one where there is none.
    fn ask(&mut self, plan: &Plan, blocked: Option<&Blocked>, ids: &mut dyn IdSource) {
        let needs = self.s.needs(plan.action.kind(), &self.after);
        let mut live = self.live().find(|a| a.doc.plan_digest == plan.digest).map(|a| &a.doc);
        if live.is_some_and(|approval| approval.needs != needs) {
            self.expire_approvals("the settings need the words of others now");
            live = None;
        }
        // A glass has one review, and passes by what was then: what began since is asked for anew, with a glass of its own.
        let is_past = |approval: &Approval| approval.broken_glass.is_some();
        if matches!(blocked, Some(Blocked::Calendar(_))) && live.is_some_and(is_past) {
            self.expire_approvals("a blackout or the end of a window came since its glass was broken");
            live = None;
        }
        if let Some(approval) = live.filter(|a| a.covers(&plan.digest, self.now)) {
            self.after.approval_id = Some(approval.id);
            let by = approval.decided_by.clone().unwrap_or_default();
            self.next_step(plan, &format!("approved by {by}"), blocked);
        } else if let Some(Blocked::NeedsOperator(reason)) = blocked {
            // Nobody is asked to approve what could not be done anyway; the words of several are kept.
            if live.is_none_or(|approval| approval.given.is_empty()) {
                self.expire_approvals(reason);
            }
            self.hold(reason);
        } else if let Some(approval) = live {
            self.wait_for(approval, plan, blocked);
        } else {
            let id = ApprovalId::new(ids);
            let approval = approval::request(id, plan, &self.after, needs, self.s.settings, self.now);
            self.record.audit("approval.requested", &approval.id, &self.after.cluster, plan.summary.clone());
            self.wait_for(&approval, plan, blocked);
            self.record.changes.approvals.push(Versioned::new(approval));
        }
    }

    /// Says whose word it waits for.
    fn wait_for(&mut self, approval: &Approval, plan: &Plan, blocked: Option<&Blocked>) {
        self.after.approval_id = Some(approval.id);
        let held = match blocked {
            Some(Blocked::Calendar(held)) => Some(held.as_str()),
            Some(
                Blocked::NeedsOperator(_)
                | Blocked::Temporary(_)
                | Blocked::TriesUsed(_)
                | Blocked::AttemptsExhausted(_),
            )
            | None => None,
        };
        let reason = approval.waits_for(&plan.summary, held);
        transition(&mut self.after, IncidentState::WaitingApproval, &reason, self.now);
    }

    /// What comes next for a plan that needs nobody's word (any more).
    fn next_step(&mut self, plan: &Plan, why: &str, blocked: Option<&Blocked>) {
        match blocked {
            None => {}
            Some(Blocked::NeedsOperator(reason)) => return self.hold(reason),
            Some(Blocked::TriesUsed(reason)) => {
                return refusal::wait_for_a_try(&mut self.after, why, reason, self.now);
            }
            Some(
                Blocked::Temporary(reason) | Blocked::Calendar(reason) | Blocked::AttemptsExhausted(reason),
            ) => {
                return self.wait_for_turn(&format!("{why}; {reason}"));
            }
        }
        // At this moment the container may run between two crashes; then the next pass tells. That the incident
        // stood elsewhere before this pass is being changed right here.
        let violations = self.checker.check(plan, self.s);
        if let Some(violation) = violations.iter().find(|violation| violation.text != check::NOT_OPEN) {
            self.wait(&format!("{why}; not yet: {}", violation.text));
        } else {
            self.shared.next(plan, &self.after, self.s);
            // Asked for again, what the incident says of the refusal stands until there is another answer.
            if self.after.refused.is_none() || self.after.state != IncidentState::Open {
                self.wait(&format!("{why}; the job is next"));
            }
        }
    }

    /// A plan that a person asked for is not replaced by one of ours, while it is still about what is there.
    fn keeps_requested_plan(&mut self, ids: &mut dyn IdSource) -> bool {
        let Some(plan) = self.plan().filter(|plan| plan.requested_by != NIMBUS) else { return false };
        let until = later(plan.created_at, SignedDuration::from_secs(self.s.settings.approval_ttl_s.into()));
        if until <= self.now {
            let reason = format!("what {} asked for could not be done until {until:.0}", plan.requested_by);
            self.drop_plan(&reason);
            self.after.note(self.now, reason);
            return false;
        }
        if let Some(violation) = check::of_plan(plan, self.s).first() {
            let reason = format!("what {} asked for no longer fits: {}", plan.requested_by, violation.text);
            self.drop_plan(&reason);
            self.after.note(self.now, reason);
            return false;
        }
        if plan.needs_approval == self.s.needs(plan.action.kind(), &self.after).is_empty() {
            let reason = format!(
                "the settings ask others for what {} ordered, or no longer; order it again",
                plan.requested_by
            );
            self.drop_plan(&reason);
            self.after.note(self.now, reason);
            return false;
        }
        if plan.needs_approval {
            self.advance(plan, ids);
            return true;
        }
        let blocked = safety::review(plan, &self.after, self.s, self.shared, self.now);
        self.next_step(plan, &format!("asked for by {}", plan.requested_by), blocked.as_ref());
        true
    }

    fn plan(&self) -> Option<&'p Plan> {
        self.after.plan_id.and_then(|id| self.index.plan(id))
    }

    /// Approvals of this incident that can still lead to a job.
    fn live(&self) -> impl Iterator<Item = &'p Versioned<Approval>> + use<'p> {
        let index: &'p Index<'p> = self.index;
        index.approvals(self.after.id).iter().copied().filter(|a| a.doc.is_live())
    }

    /// The plan in force is no longer the one; nor is its approval.
    fn drop_plan(&mut self, reason: &str) {
        self.after.refused = None;
        if let Some(id) = self.after.plan_id.take() {
            self.record.audit("plan.dropped", &id, &self.after.cluster, reason);
        }
        self.expire_approvals(reason);
    }

    fn expire_approvals(&mut self, reason: &str) {
        self.after.approval_id = None;
        for approval in self.live() {
            self.record.expire_approval(approval, &format!("{SUPERSEDED}: {reason}"));
        }
    }

    /// It waits for what comes by itself: said in the incident, and no decision.
    fn wait(&mut self, reason: &str) {
        transition(&mut self.after, IncidentState::Open, reason, self.now);
    }

    /// As `wait`. What was refused and is asked for again has one line of its story for all its tries: it may wait for the
    /// agent's hour before each of them.
    fn wait_for_turn(&mut self, reason: &str) {
        if self.after.refused.is_some() && self.after.state == IncidentState::Open {
            reason.clone_into(&mut self.after.reason);
        } else {
            self.wait(reason);
        }
    }

    /// Nimbus refrains: a row when that begins.
    fn hold(&mut self, reason: &str) {
        let already = self.after.state == IncidentState::Open && self.after.reason == reason;
        self.wait(reason);
        if !already && held::begins(&mut self.after, reason) {
            self.record.audit("incident.held", &self.after.id, &self.after.cluster, reason);
        }
    }

    /// Nimbus goes no further by itself: a row when that begins.
    fn escalate(&mut self, reason: &str) {
        let already = self.after.state == IncidentState::Escalated;
        transition(&mut self.after, IncidentState::Escalated, reason, self.now);
        let news = held::begins(&mut self.after, reason);
        // Past the bound of what is noted, that a person is asked is on record all the same.
        if news || (!already && self.after.held.len() >= held::MAX_HELD) {
            self.record.audit("incident.escalated", &self.after.id, &self.after.cluster, reason);
        }
    }
}
