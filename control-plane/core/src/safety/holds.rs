//! One node of a cluster is held back at a time: counted over what is seen held, jobs in flight, jobs of which nobody knows
//! what became, and plans that come first.
//!
//! Two plans made from the same picture would otherwise hold every node together: the inventory shows a held node only once
//! its agent has seen it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::{IncidentId, JobId, PlanId};

use crate::model::{ActionKind, Incident, IncidentState, Job, JobState, Plan, Scope};
use crate::remedies;
use crate::settings::{later, millis};
use crate::snapshot::Snapshot;

/// How much longer than the time in which it is used a taint may stay, with its way to the control plane.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// What holds nodes, or may.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// By cluster a node that is seen held, and for which job.
    seen: BTreeMap<String, (String, String)>,
    /// Jobs that hold a node, or of which it is not known that they do not.
    jobs: Vec<Holder>,
    /// By the place of their incident the plans in force that would hold a node.
    planned: BTreeMap<(Timestamp, IncidentId), Scope>,
}

/// A job that holds a node, or may.
#[derive(Debug)]
struct Holder {
    scope: Scope,
    job: JobId,
    /// The one node that it may still hold after it was given up; `None` for one in flight, or where that is not known.
    given_up: Option<String>,
}

impl Holds {
    pub(super) fn of(snapshot: &Snapshot<'_>, plans: &BTreeMap<PlanId, &Plan>) -> Self {
        let mut holds = Self::default();
        for (uid, inventory) in &snapshot.world.clusters {
            let held = inventory.nodes.values().find_map(|node| Some((node, node.held_for()?)));
            if let Some((node, job)) = held {
                holds.seen.insert(uid.clone(), (node.meta.name.clone(), job.to_owned()));
            }
        }
        // The plan of an incident that is over is not here any more: then what its job does tells.
        let may =
            |job: &&Job| plans.get(&job.plan_id).map_or_else(|| could_hold(job.action), |plan| is_one(plan));
        let jobs = snapshot.all_jobs().filter(|job| may_still_hold(job, snapshot)).filter(may);
        let holder = |job: &Job| Holder {
            scope: job.scope.clone(),
            job: job.id,
            given_up: plans.get(&job.plan_id).filter(|_| job.state.is_final()).and_then(|plan| node(plan)),
        };
        holds.jobs = jobs.map(holder).collect();
        for incident in snapshot.incidents {
            holds.plan(&incident.doc, incident.doc.plan_id.and_then(|id| plans.get(&id).copied()));
        }
        holds
    }

    /// The plan in force of an incident is this one from now on.
    pub(super) fn plan(&mut self, incident: &Incident, plan: Option<&Plan>) {
        let place = (incident.created_at, incident.id);
        match plan.filter(|plan| is_at_work(incident.state) && is_one(plan)) {
            Some(plan) => _ = self.planned.insert(place, plan.scope.clone()),
            None => _ = self.planned.remove(&place),
        }
    }

    /// A job of this plan goes out.
    pub(super) fn take(&mut self, plan: &Plan, job: JobId) {
        if is_one(plan) {
            self.jobs.push(Holder { scope: plan.scope.clone(), job, given_up: None });
        }
    }

    /// Why the plan of this incident may not hold its node now; `None` where it may, or holds none.
    pub(super) fn in_the_way(&self, plan: &Plan, incident: &Incident) -> Option<String> {
        if !is_one(plan) {
            return None;
        }
        let one = "and one node of a cluster is held back at a time";
        let seen = plan.scope.cluster_uid().and_then(|uid| self.seen.get(uid));
        if let Some((node, job)) = seen {
            return Some(format!("waits: node {node} is held back by job {job}, {one}"));
        }
        // The node that a job may still hold is no second one; its agent looks before it acts.
        let mine = node(plan);
        let other = |holder: &&Holder| {
            holder.scope == plan.scope && (holder.given_up.is_none() || holder.given_up != mine)
        };
        if let Some(Holder { job, .. }) = self.jobs.iter().find(other) {
            return Some(format!("waits: job {job} holds a node back, or may, {one}"));
        }
        let before = self.planned.range(..(incident.created_at, incident.id));
        let first = before.filter(|(_, scope)| **scope == plan.scope).map(|((_, id), _)| id).next();
        first.map(|id| format!("waits: incident {id} comes first and holds a node back, {one}"))
    }
}

/// Is it an action that holds nodes back, in some of its plans?
fn could_hold(action: ActionKind) -> bool {
    match action {
        ActionKind::RestartPod => true,
        ActionKind::RollbackDeployment
        | ActionKind::RestoreFile
        | ActionKind::AcceptBaseline
        | ActionKind::UncordonNode
        | ActionKind::WithdrawBaseline
        | ActionKind::RaiseMemoryLimit
        | ActionKind::RestartUnit
        | ActionKind::ExpandVolume
        | ActionKind::RaiseAutoscalerMaximum
        | ActionKind::ScaleWorkload
        | ActionKind::RenewCertificate => false,
    }
}

/// Does the plan hold a node back? One whose action is not known may.
fn is_one(plan: &Plan) -> bool {
    let footprint = plan.action.body().and_then(|action| remedies::of(action.kind()).footprint(action));
    footprint.is_none_or(|footprint| footprint.holds)
}

/// The node that the plan disturbs.
fn node(plan: &Plan) -> Option<String> {
    let action = plan.action.body()?;
    remedies::of(action.kind()).footprint(action)?.node.map(str::to_owned)
}

/// May a plan of an incident in this state go out by itself, now or later?
fn is_at_work(state: IncidentState) -> bool {
    match state {
        IncidentState::Open | IncidentState::WaitingApproval | IncidentState::Remediating => true,
        IncidentState::Resolved | IncidentState::Escalated | IncidentState::Silenced => false,
    }
}

/// In flight, or given up so lately that its agent may still hold the node: a report may be lost or late.
fn may_still_hold(job: &Job, snapshot: &Snapshot<'_>) -> bool {
    match job.state {
        JobState::Pending | JobState::Dispatched | JobState::Running => true,
        JobState::Unknown | JobState::Expired => {
            let used = millis(snapshot.settings.act_ms).saturating_mul(2).saturating_add(SLACK);
            snapshot.now < later(job.expires_at, used)
        }
        // The agent says so only after it let go.
        JobState::Succeeded | JobState::Failed | JobState::Refused | JobState::Compensated => false,
    }
}
