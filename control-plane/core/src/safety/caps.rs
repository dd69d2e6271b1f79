//! The caps on jobs in flight, at every level from one object to the whole fleet.

use std::collections::BTreeMap;

use nimbus_protocol::ids::PlanId;

use super::attempts::Subject;
use crate::model::{Job, Plan, Scope};
use crate::remedies;
use crate::settings::Caps;
use crate::snapshot::Snapshot;

/// What is occupied at this moment; made once for a pass, and told of each job that the pass makes.
pub(crate) struct Room {
    occupied: Vec<Occupied>,
}

/// What a job occupies while it is in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Occupied {
    scope: Scope,
    target: String,
    workload: Subject,
    namespace: String,
    node: Node,
    /// It closes that node to new pods.
    closes: bool,
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
        Self { occupied }
    }

    /// A job of this plan is in flight from now on.
    pub(crate) fn take(&mut self, plan: &Plan) {
        self.occupied.push(of_plan(plan));
    }

    /// The cap that `plan` would go past if it went out now, in words; `None` when there is room.
    pub(super) fn full(&self, plan: &Plan, caps: &Caps) -> Option<String> {
        full(plan, &self.occupied, caps)
    }
}

fn full(plan: &Plan, others: &[Occupied], caps: &Caps) -> Option<String> {
    let mine = of_plan(plan);
    if let Some(why) = closes_another(&mine, others) {
        return Some(why);
    }
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

/// Two jobs that each leave the other's node open could close every node together: until what a job closes is seen
/// closed, the inventory shows that node as open (invariant 7).
fn closes_another(mine: &Occupied, others: &[Occupied]) -> Option<String> {
    let closed = |other: &&Occupied| other.closes && other.scope == mine.scope && other.node != mine.node;
    let other = others.iter().find(closed).filter(|_| mine.closes)?;
    let which = match &other.node {
        Node::Named(name) => format!("node {name}"),
        Node::None | Node::Any => "a node that is not known".to_owned(),
    };
    Some(format!("waits: a job in flight cordons {which}, and one node of a cluster is cordoned at a time"))
}

fn of_plan(plan: &Plan) -> Occupied {
    Occupied {
        scope: plan.scope.clone(),
        target: plan.object.identity().to_owned(),
        workload: Subject::of_plan(plan),
        namespace: plan.object.namespace().to_owned(),
        node: node(plan),
        closes: closes(plan),
    }
}

fn of_job(job: &Job, plan: Option<&Plan>) -> Occupied {
    Occupied {
        scope: job.scope.clone(),
        target: job.object.identity().to_owned(),
        workload: Subject::of_job(job),
        namespace: job.object.namespace().to_owned(),
        node: plan.map_or(Node::Any, node),
        closes: plan.is_none_or(closes),
    }
}

fn footprint(plan: &Plan) -> Option<remedies::Footprint<'_>> {
    plan.action.body().and_then(|order| remedies::of(order.kind()).footprint(order))
}

/// What an action that is not known does, it may do to any node.
fn closes(plan: &Plan) -> bool {
    footprint(plan).is_none_or(|footprint| footprint.closes)
}

fn node(plan: &Plan) -> Node {
    match footprint(plan) {
        None => Node::Any,
        Some(footprint) => footprint.node.map_or(Node::None, |name| Node::Named(name.to_owned())),
    }
}
