//! The caps on jobs in flight, at every level from one object to the whole fleet, and on nodes that are held back.

use std::collections::BTreeMap;

use nimbus_protocol::ids::{JobId, PlanId};

use super::attempts::Subject;
use super::holds::Holds;
use crate::model::{Incident, Job, Plan, Scope};
use crate::remedies;
use crate::settings::Caps;
use crate::snapshot::Snapshot;

/// What is occupied at this moment; made once for a pass, and told of each job that the pass makes.
pub(crate) struct Room {
    occupied: Vec<Occupied>,
    holds: Holds,
}

/// What a job occupies while it is in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Occupied {
    scope: Scope,
    target: String,
    workload: Subject,
    namespace: String,
    node: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// It disturbs no node's pods.
    None,
    Named(String),
    /// Its plan cannot be read any more, or its action is not known: it may be on any node.
    Any,
}

impl Room {
    /// What the jobs in flight occupy.
    pub(crate) fn of(snapshot: &Snapshot<'_>) -> Self {
        let plans: BTreeMap<PlanId, &Plan> =
            snapshot.plans.iter().map(|plan| (plan.doc.id, &plan.doc)).collect();
        let occupied =
            snapshot.in_flight().map(|job| of_job(job, plans.get(&job.plan_id).copied())).collect();
        Self { occupied, holds: Holds::of(snapshot, &plans) }
    }

    /// A job of this plan is in flight from now on.
    pub(crate) fn take(&mut self, plan: &Plan, job: JobId) {
        self.occupied.push(of_plan(plan));
        self.holds.take(plan, job);
    }

    /// A plan is the next to go out, and has no job yet: it counts against the caps.
    pub(crate) fn reserve(&mut self, plan: &Plan) {
        self.occupied.push(of_plan(plan));
    }

    /// The plan in force of an incident is this one from now on.
    pub(crate) fn plan(&mut self, incident: &Incident, plan: Option<&Plan>) {
        self.holds.plan(incident, plan);
    }

    /// The cap that the plan of `incident` would go past if it went out now, in words; `None` when there is room.
    pub(super) fn full(&self, plan: &Plan, incident: &Incident, caps: &Caps) -> Option<String> {
        self.holds.in_the_way(plan, incident).or_else(|| full(plan, &self.occupied, caps))
    }
}

fn full(plan: &Plan, others: &[Occupied], caps: &Caps) -> Option<String> {
    let mine = of_plan(plan);
    let count = |matches: &dyn Fn(&Occupied) -> bool| {
        others.iter().filter(|other| other.scope == mine.scope).filter(|other| matches(other)).count()
    };
    let mut levels = vec![
        ("this object", caps.per_target, count(&|o| o.target == mine.target)),
        ("this workload", caps.per_owner, count(&|o| o.workload == mine.workload)),
        ("this cluster or host", caps.per_cluster, count(&|_| true)),
        ("the fleet", caps.fleet, others.len()),
    ];
    if !mine.namespace.is_empty() {
        let namespace = count(&|o| o.namespace == mine.namespace);
        levels.push(("this namespace", caps.per_namespace, namespace));
    }
    match &mine.node {
        Node::None => {}
        Node::Any => levels.push(("every node", caps.per_node, count(&|o| o.node != Node::None))),
        Node::Named(_) => {
            let node = count(&|o| o.node == Node::Any || o.node == mine.node);
            levels.push(("this node", caps.per_node, node));
        }
    }
    let full = levels.into_iter().find(|(_, cap, running)| *running >= *cap as usize);
    full.map(|(level, cap, running)| {
        format!("waits: {running} of at most {cap} jobs are in flight for {level}")
    })
}

fn of_plan(plan: &Plan) -> Occupied {
    Occupied {
        scope: plan.scope.clone(),
        target: plan.object.identity().to_owned(),
        workload: Subject::of_plan(plan),
        namespace: plan.object.namespace().to_owned(),
        node: node(plan),
    }
}

fn of_job(job: &Job, plan: Option<&Plan>) -> Occupied {
    Occupied {
        scope: job.scope.clone(),
        target: job.object.identity().to_owned(),
        workload: Subject::of_job(job),
        namespace: job.object.namespace().to_owned(),
        node: plan.map_or(Node::Any, node),
    }
}

fn footprint(plan: &Plan) -> Option<remedies::Footprint<'_>> {
    plan.action.body().and_then(|action| remedies::of(action.kind()).footprint(action))
}

fn node(plan: &Plan) -> Node {
    match footprint(plan) {
        None => Node::Any,
        Some(footprint) => footprint.node.map_or(Node::None, |name| Node::Named(name.to_owned())),
    }
}
