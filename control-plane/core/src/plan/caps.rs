//! Caps: never more jobs in flight than stated, at every level.

use crate::model::{Action, Job, Plan};
use crate::plan::attempts::Subject;
use crate::snapshot::{Scope, Snapshot};

/// What a job occupies while it is in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Footprint {
    scope: Option<Scope>,
    target: Subject,
    owner: Subject,
    namespace: String,
    node: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// It touches no node's pods.
    None,
    Named(String),
    /// Its plan cannot be read any more: it may be on any node.
    Any,
}

/// The cap that `plan` would go past if it went out now, in words; `None` when there is room.
pub fn full(plan: &Plan, snapshot: &Snapshot<'_>) -> Option<String> {
    let mine = of_plan(plan);
    let others: Vec<Footprint> = snapshot.in_flight().map(|job| of_job(job, snapshot)).collect();
    let caps = &snapshot.settings.caps;
    let same_place = |f: &&Footprint| f.scope == mine.scope;
    let count = |matches: &dyn Fn(&Footprint) -> bool| {
        others.iter().filter(same_place).filter(|f| matches(f)).count()
    };
    let mut levels = vec![
        ("this object", caps.per_target, count(&|f| f.target == mine.target)),
        ("this owner", caps.per_owner, count(&|f| f.owner == mine.owner)),
        ("this cluster or host", caps.per_cluster, count(&|_| true)),
        ("the fleet", caps.fleet, others.len()),
    ];
    if !mine.namespace.is_empty() {
        let namespace = count(&|f| f.namespace == mine.namespace);
        levels.push(("this namespace", caps.per_namespace, namespace));
    }
    if let Node::Named(name) = &mine.node {
        let node = count(&|f| f.node == Node::Any || f.node == Node::Named(name.clone()));
        levels.push(("this node", caps.per_node, node));
    }
    let full = levels.into_iter().find(|(_, cap, running)| *running >= *cap as usize);
    full.map(|(level, cap, running)| {
        format!("waits: {running} of at most {cap} jobs are in flight for {level}")
    })
}

fn of_plan(plan: &Plan) -> Footprint {
    Footprint {
        scope: plan.scope(),
        target: target(&plan.object.uid, &plan.object.name),
        owner: Subject::of_plan(plan),
        namespace: plan.object.namespace.clone(),
        node: node(&plan.action),
    }
}

fn of_job(job: &Job, snapshot: &Snapshot<'_>) -> Footprint {
    let scope = match &job.cluster_uid {
        Some(uid) => Scope::Cluster(uid.clone()),
        None => Scope::Host(job.agent_id.clone()),
    };
    Footprint {
        scope: Some(scope),
        target: target(&job.object.uid, &job.object.name),
        owner: Subject::of_job(job),
        namespace: job.object.namespace.clone(),
        node: snapshot.plan(&job.plan_id).map_or(Node::Any, |plan| node(&plan.action)),
    }
}

fn node(action: &Action) -> Node {
    match action {
        Action::RestartPod { node, .. } => Node::Named(node.clone()),
        Action::RollbackDeployment { .. } | Action::RestoreFile { .. } | Action::AcceptBaseline { .. } => {
            Node::None
        }
    }
}

fn target(uid: &str, name: &str) -> Subject {
    Subject::named(if uid.is_empty() { name } else { uid })
}
