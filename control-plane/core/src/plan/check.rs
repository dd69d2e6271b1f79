//! An independent judge of plans, with its own reading of the safety invariants.
//!
//! Written apart from `planner`, `safety` and `caps`: it shares the definition of the digest with them and nothing
//! else, so that a mistake there does not repeat itself here. Run before every dispatch and over every plan in the
//! tests. The numbers are those of the safety kernel.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::digest;
use crate::model::{
    Action, ActionKind, ApprovalState, FileFacts, IncidentKind, IncidentState, Job, JobState, Mode, Plan,
};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, KINDS};

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
    waiting(&mut found, plan, snapshot);
    sight(&mut found, plan, snapshot);
    permission(&mut found, plan, snapshot, now);
    in_flight(&mut found, plan, snapshot);
    attempts(&mut found, plan, snapshot, now);
    storm(&mut found, plan, snapshot, now);
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
                    restart(&mut found, plan, inventory);
                }
                Some(inventory) => rollback(&mut found, plan, inventory),
                None => broken(&mut found, 3, false, || format!("nothing is known of cluster {uid}")),
            }
        }
        (Action::RestartPod { .. } | Action::RollbackDeployment { .. }, None) => {
            broken(&mut found, 3, false, || "a plan for Kubernetes names no cluster".to_owned());
        }
        (Action::RestoreFile { path, root, expect_current, restore_to }, _) => {
            file(&mut found, plan, snapshot, (root, path), expect_current, Some(restore_to));
        }
        (Action::AcceptBaseline { path, root, expect_current }, _) => {
            file(&mut found, plan, snapshot, (root, path), expect_current, None);
        }
    }
    found
}

fn restart(found: &mut Found, plan: &Plan, inventory: &Inventory) {
    let Action::RestartPod { pod, owner, node, avoid_node, container, min_restarts } = &plan.action else {
        return;
    };
    let Some(now) = inventory.pods.get(&pod.uid) else {
        broken(found, 3, false, || format!("pod {} ({}) is no more", pod.name, pod.uid));
        return;
    };
    let same = now.meta.name == pod.name && now.meta.namespace == pod.namespace && !now.meta.deleting;
    broken(found, 3, same, || format!("pod {} is being deleted or is another one", pod.name));
    broken(found, 3, &now.node == node, || format!("pod on {node} expected, found on {}", now.node));
    broken(found, 3, !now.ready, || format!("pod {} is ready", pod.name));
    let restarts = now.containers.iter().find(|c| &c.name == container).map(|c| c.restarts);
    broken(found, 3, restarts.is_some_and(|r| r >= *min_restarts), || {
        format!("container {container} with {min_restarts} restarts expected, found {restarts:?}")
    });
    let set = inventory.replica_sets.get(&owner.uid);
    let owned = now.meta.owner_uid == owner.uid
        && set.is_some_and(|set| {
            set.meta.owner_kind == "Deployment" && inventory.deployments.contains_key(&set.meta.owner_uid)
        });
    broken(found, 9, owned, || format!("pod {} is not of a ReplicaSet of a Deployment", pod.name));
    if *avoid_node {
        let on = inventory.nodes.values().find(|n| &n.meta.name == node);
        broken(found, 7, on.is_some_and(|n| !n.control_plane), || {
            format!("node {node} would be closed; it is of the control plane or not known")
        });
        let other = inventory
            .nodes
            .values()
            .any(|n| &n.meta.name != node && n.ready == "True" && !n.unschedulable && !n.meta.deleting);
        broken(found, 7, other, || format!("node {node} would be closed and no other one is open"));
    }
}

fn rollback(found: &mut Found, plan: &Plan, inventory: &Inventory) {
    let Action::RollbackDeployment {
        deployment,
        generation,
        current_template_hash,
        to_replica_set,
        to_revision,
        to_template_hash,
    } = &plan.action
    else {
        return;
    };
    let Some(now) = inventory.deployments.get(&deployment.uid) else {
        broken(found, 3, false, || format!("deployment {} is no more", deployment.name));
        return;
    };
    broken(found, 3, now.generation == *generation, || {
        format!("generation {generation} of {} expected, found {}", deployment.name, now.generation)
    });
    broken(found, 3, &now.template_hash == current_template_hash && !now.meta.deleting, || {
        format!("the pod template of {} is another one", deployment.name)
    });
    broken(found, 3, to_template_hash != current_template_hash && !to_template_hash.is_empty(), || {
        "a rollback has to change the pod template".to_owned()
    });
    let target = inventory.replica_sets.get(&to_replica_set.uid);
    let fits = target.is_some_and(|set| {
        set.meta.owner_uid == deployment.uid
            && set.revision == *to_revision
            && &set.template_hash == to_template_hash
            && !set.meta.deleting
    });
    broken(found, 3, fits, || {
        format!("ReplicaSet {} of revision {to_revision} is not there", to_replica_set.name)
    });
    let good = inventory
        .good
        .get(&deployment.uid)
        .is_some_and(|all| all.iter().any(|one| &one.template_hash == to_template_hash));
    let evidence = good || target.is_some_and(|set| set.ready_replicas > 0);
    broken(found, 3, evidence, || format!("nothing shows that revision {to_revision} is good"));
    broken(found, 9, now.manager.is_empty(), || format!("{} is managed by {}", deployment.name, now.manager));
    broken(found, 9, !now.paused, || format!("{} was paused by a person", deployment.name));
}

fn file(
    found: &mut Found,
    plan: &Plan,
    snapshot: &Snapshot<'_>,
    (root, path): (&str, &str),
    expect: &FileFacts,
    back_to: Option<&FileFacts>,
) {
    let host = plan.agent_id.as_ref().and_then(|agent| snapshot.world.hosts.get(agent));
    let Some(now) = host.and_then(|host| host.files.get(path)) else {
        broken(found, 3, false, || format!("{path} does not differ from its baseline, or is not known"));
        return;
    };
    broken(found, 3, &now.current == expect, || format!("{path} changed since the plan was made"));
    broken(found, 3, now.root == root, || format!("{path} is watched under {}, not {root}", now.root));
    broken(found, 3, back_to.is_none_or(|to| &now.baseline == to), || {
        format!("the baseline of {path} changed since the plan was made")
    });
    let regular = |facts: &FileFacts| facts.kind == "file" || facts.kind == "absent";
    broken(found, 3, regular(expect) && back_to.is_none_or(regular), || format!("{path} is no regular file"));
}

/// Invariant 3, the condition itself: at the moment of going out the container waits in its back-off.
fn waiting(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>) {
    let Action::RestartPod { pod, container, .. } = &plan.action else { return };
    let inventory = plan.cluster_uid.as_ref().and_then(|uid| snapshot.world.clusters.get(uid));
    let now = inventory.and_then(|inventory| inventory.pods.get(&pod.uid));
    let waits = now.is_some_and(|pod| {
        pod.containers
            .iter()
            .any(|c| &c.name == container && c.state == "waiting" && c.reason == "CrashLoopBackOff")
    });
    broken(found, 3, waits, || format!("container {container} does not wait in CrashLoopBackOff right now"));
}

/// Missing data reads unknown: nothing goes out on it.
fn sight(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>) {
    match (&plan.cluster_uid, &plan.agent_id) {
        (Some(uid), _) => {
            let inventory = snapshot.world.clusters.get(uid);
            let led = inventory
                .is_some_and(|i| i.leader.as_ref().is_some_and(|agent| snapshot.connected.contains(agent)));
            broken(found, 3, led, || format!("nobody connected watches cluster {uid}"));
            let listed = inventory.is_some_and(|i| {
                i.not_kept == 0 && KINDS.iter().all(|kind| i.listings.get(*kind).is_some_and(|l| l.complete))
            });
            broken(found, 3, listed, || format!("cluster {uid} is not fully listed"));
        }
        (None, Some(agent)) => {
            broken(found, 3, snapshot.connected.contains(agent), || {
                format!("agent {agent} is not connected")
            });
        }
        (None, None) => broken(found, 3, false, || "the plan names no place to act in".to_owned()),
    }
}

/// Invariants 2, 10 and 12: the cluster is enabled, the agent allows it, a person said yes to this very plan.
fn permission(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) {
    let kind = plan.action.kind();
    if let Some(uid) = &plan.cluster_uid {
        let cluster = snapshot.clusters.iter().find(|c| &c.doc.uid == uid);
        let enabled = cluster.is_some_and(|c| c.doc.mode == Mode::Act && c.doc.enabled.contains(&kind));
        broken(found, 12, enabled, || format!("the cluster is not enabled for {kind}"));
    }
    let allowed = snapshot.agents.iter().map(|a| &a.doc).any(|agent| {
        let place = match &plan.cluster_uid {
            Some(uid) => agent.leading && agent.cluster_uid.as_ref() == Some(uid),
            None => plan.agent_id.as_ref() == Some(&agent.id),
        };
        let may = |word: &str| agent.allowed_actions.iter().any(|a| a == word);
        let allows = may(kind.as_str()) || (kind == ActionKind::AcceptBaseline && may("restore_file"));
        place && allows && agent.revoked_at.is_none() && snapshot.connected.contains(&agent.id)
    });
    broken(found, 12, allowed, || format!("no connected agent there allows {kind}"));
    let incident = snapshot.incidents.iter().find(|i| i.doc.id == plan.incident_id).map(|i| &i.doc);
    let open = incident.is_some_and(|i| {
        !matches!(i.state, IncidentState::Resolved | IncidentState::Silenced | IncidentState::Escalated)
    });
    broken(found, 10, open, || "its incident is silenced, escalated or over".to_owned());
    let denied = incident.is_some_and(|i| i.denied_digest.as_ref() == Some(&plan.digest));
    broken(found, 12, !denied || plan.requested_by != "nimbus", || "a person denied this plan".to_owned());
    if plan.needs_approval {
        let given = snapshot.approvals.iter().map(|a| &a.doc).any(|a| {
            a.incident_id == plan.incident_id
                && a.plan_digest == plan.digest
                && a.state == ApprovalState::Approved
                && a.used_by.is_none()
                && now < a.expires_at
                && a.decided_by.as_ref().is_some_and(|by| *by != plan.requested_by && *by != a.requested_by)
        });
        broken(found, 2, given, || "no unused approval of another person names this digest".to_owned());
    }
}

/// Invariants 1 and 4: nothing else is out for the same incident, and there is room at every level.
fn in_flight(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>) {
    let flying: Vec<&Job> = snapshot
        .jobs
        .iter()
        .map(|j| &j.doc)
        .filter(|j| matches!(j.state, JobState::Pending | JobState::Dispatched | JobState::Running))
        .collect();
    broken(found, 1, !flying.iter().any(|j| j.incident_id == plan.incident_id), || {
        "a job is out for this incident".to_owned()
    });
    let here = |j: &&&Job| match &plan.cluster_uid {
        Some(uid) => j.cluster_uid.as_ref() == Some(uid),
        None => j.cluster_uid.is_none() && Some(&j.agent_id) == plan.agent_id.as_ref(),
    };
    let node_of = |plan: &Plan| match &plan.action {
        Action::RestartPod { node, .. } => Some(node.clone()),
        _ => None,
    };
    let mine = node_of(plan);
    let on_node = |j: &&&Job| match snapshot.plans.iter().find(|p| p.doc.id == j.plan_id) {
        Some(other) => mine.is_some() && node_of(&other.doc) == mine,
        None => mine.is_some(),
    };
    let owned = |j: &&&Job| match (&plan.owner, &j.owner) {
        (Some(a), Some(b)) => a.uid == b.uid,
        (None, None) => j.object == plan.object,
        _ => false,
    };
    let namespace = &plan.object.namespace;
    let caps = &snapshot.settings.caps;
    let levels = [
        ("object", caps.per_target, flying.iter().filter(here).filter(|j| j.object == plan.object).count()),
        ("owner", caps.per_owner, flying.iter().filter(here).filter(owned).count()),
        ("node", caps.per_node, flying.iter().filter(here).filter(on_node).count()),
        ("cluster or host", caps.per_cluster, flying.iter().filter(here).count()),
        ("fleet", caps.fleet, flying.len()),
        (
            "namespace",
            if namespace.is_empty() { u32::MAX } else { caps.per_namespace },
            flying.iter().filter(here).filter(|j| &j.object.namespace == namespace).count(),
        ),
    ];
    for (level, cap, count) in levels {
        let applies = level != "node" || mine.is_some();
        broken(found, 4, !applies || count < cap as usize, || {
            format!("the {level} has {count} jobs in flight, its cap is {cap}")
        });
    }
}

/// Invariant 5: attempts on the owner are capped, with a growing wait between them.
fn attempts(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) {
    let automatic = !plan.needs_approval && plan.requested_by == "nimbus";
    let same = |job: &Job| match (&plan.owner, &job.owner) {
        (Some(a), Some(b)) => a.uid == b.uid,
        (None, None) => job.object == plan.object && Some(&job.agent_id) == plan.agent_id.as_ref(),
        _ => false,
    };
    let counted = |job: &&Job| {
        let helped = job.state == JobState::Succeeded;
        let done = job.state.is_final() && job.state != JobState::Refused;
        same(job) && done && job.settled_at.is_none() && (automatic || !helped)
    };
    let made: Vec<&Job> = snapshot.jobs.iter().map(|j| &j.doc).filter(counted).collect();
    let most = snapshot.settings.attempts as usize;
    broken(found, 5, made.len() < most, || format!("{} attempts of at most {most} were made", made.len()));
    let newest = made.iter().map(|j| j.finished_at.or(j.applied_at).unwrap_or(j.expires_at)).max();
    if let Some(newest) = newest {
        let base = u64::from(snapshot.settings.backoff_base_ms);
        let wait = (1..made.len()).fold(base, |wait, _| wait.saturating_mul(2));
        let wait = wait.min(snapshot.settings.backoff_max_ms.into());
        let waited = now.duration_since(newest)
            >= SignedDuration::from_millis(i64::try_from(wait).unwrap_or(i64::MAX));
        broken(found, 5, waited, || format!("{wait} ms after the last attempt ({newest}) have not passed"));
    }
}

/// Invariant 6: nothing automatic in a storm.
fn storm(found: &mut Found, plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) {
    if plan.needs_approval || plan.requested_by != "nimbus" {
        return;
    }
    let Some(uid) = &plan.cluster_uid else { return };
    let here = || {
        let open = snapshot.incidents.iter().map(|i| &i.doc).filter(|i| i.state != IncidentState::Resolved);
        open.filter(|i| i.cluster_uid.as_ref() == Some(uid))
    };
    let declared = here().any(|i| i.kind == IncidentKind::Storm);
    broken(found, 6, !declared, || "a storm is declared in this cluster".to_owned());
    let limits = &snapshot.settings.storm;
    let window = SignedDuration::from_secs(limits.window_s.into());
    let recent =
        here().filter(|i| i.kind != IncidentKind::Storm && now.duration_since(i.created_at) < window).count();
    broken(found, 6, recent < limits.incidents as usize, || {
        format!("{recent} incidents were opened within {} s", limits.window_s)
    });
    let Some(inventory) = snapshot.world.clusters.get(uid) else { return };
    let down: BTreeSet<&str> =
        inventory.nodes.values().filter(|n| n.ready != "True").map(|n| n.meta.name.as_str()).collect();
    let (mut pods, mut ill) = (0_u64, 0_u64);
    for pod in inventory.pods.values() {
        if pod.meta.deleting || pod.phase == "Succeeded" || pod.phase == "Failed" {
            continue;
        }
        pods += 1;
        let fails = pod.containers.iter().any(|c| {
            let stuck = c.reason.contains("ImagePull") || c.reason.starts_with("InvalidImage");
            let stuck = stuck || c.reason.contains("ImageNeverPull") || c.reason == "RegistryUnavailable";
            c.restarts > 0 || c.reason.ends_with("Error") || (stuck && c.state == "waiting")
        });
        ill += u64::from(!pod.ready && (fails || down.contains(pod.node.as_str())));
    }
    let calm = pods < limits.min_pods.into() || ill * 100 < pods * u64::from(limits.pod_percent);
    broken(found, 6, calm, || format!("{ill} of {pods} pods are unhealthy"));
    let nodes = inventory.nodes.len() as u64;
    let down = down.len() as u64;
    let calm = nodes < limits.min_nodes.into() || down * 100 < nodes * u64::from(limits.node_percent);
    broken(found, 6, calm, || format!("{down} of {nodes} nodes are not ready"));
}
