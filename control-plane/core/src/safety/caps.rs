//! Caps: never more jobs in flight than stated, at every level.

use super::attempts::Subject;
use crate::model::{Job, Plan, Scope};
use crate::remedies;
use crate::snapshot::Snapshot;

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

/// The cap that `plan` would go past if it went out now, in words; `None` when there is room.
pub(super) fn full(plan: &Plan, snapshot: &Snapshot<'_>) -> Option<String> {
    let mine = of_plan(plan);
    let others: Vec<Occupied> = snapshot.in_flight().map(|job| of_job(job, snapshot)).collect();
    let caps = &snapshot.settings.caps;
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

fn of_job(job: &Job, snapshot: &Snapshot<'_>) -> Occupied {
    Occupied {
        scope: job.scope.clone(),
        target: job.object.identity().to_owned(),
        workload: Subject::of_job(job),
        namespace: job.object.namespace().to_owned(),
        node: snapshot.plan(job.plan_id).map_or(Node::Any, node),
    }
}

fn node(plan: &Plan) -> Node {
    let footprint = plan.action.body().and_then(|order| remedies::of(order.kind()).footprint(order));
    match footprint {
        None => Node::Any,
        Some(footprint) => footprint.node.map_or(Node::None, |name| Node::Named(name.to_owned())),
    }
}
