//! The remedy `restart_pod`: replaces a crash-looping pod where the replacement can run under different conditions.
//!
//! Restarting a container is what the kubelet does already. A new pod differs by its node, or by a fresh start
//! (init containers, volumes of its own, a dependency that came back); the plan says which.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::action::Body;
use nimbus_protocol::v1;

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{Alternative, Incident, IncidentKind, KubeRef, Target, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Container, Inventory, Node, Object as _, Pod, Rollout};

pub(super) struct RestartPod;

impl Remedy for RestartPod {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::PodCrashLoop, IncidentKind::RolloutStuck]
    }

    fn needs(&self, incident: &Incident) -> &'static [ObjectKind] {
        match incident.workload {
            Some(Workload::StatefulSet(_)) => &[ObjectKind::Pod, ObjectKind::StatefulSet, ObjectKind::Node],
            Some(
                Workload::Deployment(_)
                | Workload::DaemonSet(_)
                | Workload::Job(_)
                | Workload::CronJob(_)
                | Workload::Bare(_)
                | Workload::Other(_),
            )
            | None => &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment, ObjectKind::Node],
        }
    }

    fn consent(&self) -> Consent {
        Consent::Rule
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "evicts a crash-looping pod so that its controller creates a new one, on another node if one is schedulable"
    }

    fn name(&self) -> &'static str {
        "restart its pods"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        if incident.kind == IncidentKind::RolloutStuck {
            return Answer::NotApplicable("new pods of the same revision would fail the same way".to_owned());
        }
        match &incident.workload {
            Some(Workload::Deployment(owner)) => of_deployment(incident, &owner.uid, inventory, s.settings),
            Some(Workload::StatefulSet(owner)) => {
                of_stateful_set(incident, &owner.uid, inventory, s.settings)
            }
            Some(Workload::DaemonSet(owner)) => of_daemon_set(incident, &owner.uid, inventory),
            Some(Workload::Bare(_)) | None => Answer::Recommend(format!(
                "{} belongs to no controller: nobody would make a new one, so it is left for a person",
                incident.object
            )),
            Some(other @ (Workload::Job(_) | Workload::CronJob(_) | Workload::Other(_))) => {
                Answer::Recommend(format!(
                    "{} belongs to {other}: only pods of a Deployment or a StatefulSet are replaced, so it is left for a person",
                    incident.object
                ))
            }
        }
    }

    fn footprint<'a>(&self, order: &'a Body) -> Option<Footprint<'a>> {
        let Body::RestartPod(order) = order else { return None };
        Some(Footprint { node: Some(&order.node), closes: order.avoid_node })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }
}

fn of_deployment(incident: &Incident, owner: &str, inventory: &Inventory, settings: &Settings) -> Answer {
    let Some(deployment) = inventory.deployments.get(owner) else {
        let workload = incident.workload.as_ref().map(ToString::to_string).unwrap_or_default();
        return Answer::Wait(format!(
            "{workload} no longer exists; the incident is resolved once that is certain"
        ));
    };
    let name = deployment.reference();
    let Some((pod, container)) = target(incident, inventory.pods_of(owner), settings) else {
        return nothing_crash_loops(&name, settings);
    };
    let Some(set) = inventory.replica_set_of(pod) else {
        return Answer::Wait(format!("the ReplicaSet of {} has not been seen yet", incident.object));
    };
    if deployment.rollout() == Rollout::Progressing {
        return Answer::Wait(format!(
            "waits for the rollout: {name} is bringing out revision {} and is within its progress deadline; a \
             restart would only disturb it",
            deployment.revision
        ));
    }
    let controller = Controller {
        object: set.meta.target(),
        kind: ObjectKind::ReplicaSet,
        revision: set.revision.to_string(),
        workload: Workload::Deployment(name),
    };
    match where_to(&controller, pod, inventory) {
        Ok((avoid_node, why)) => replace(controller, pod, container, avoid_node, &why, settings),
        Err(wait) => wait,
    }
}

/// A StatefulSet's pod is made again under the same name and with the same volumes, which may hold it to its node: no node
/// is closed for it.
fn of_stateful_set(incident: &Incident, owner: &str, inventory: &Inventory, settings: &Settings) -> Answer {
    let Some(set) = inventory.stateful_sets.get(owner) else {
        let workload = incident.workload.as_ref().map(ToString::to_string).unwrap_or_default();
        return Answer::Wait(format!(
            "{workload} no longer exists; the incident is resolved once that is certain"
        ));
    };
    let name = set.reference();
    let Some((pod, container)) = target(incident, inventory.pods_owned_by(owner), settings) else {
        return nothing_crash_loops(&name, settings);
    };
    if set.is_updating() {
        return Answer::Wait(format!(
            "waits for the update: {name} is bringing out revision {}; a restart would only disturb it",
            set.update_revision
        ));
    }
    if pod.controller_revision.is_empty() || pod.controller_revision != set.update_revision {
        let own = match pod.controller_revision.as_str() {
            "" => "a revision that its agent does not say",
            own => own,
        };
        return Answer::Wait(format!(
            "a new pod would be of revision {}, and {} is of {own}: that would be an update, and no restart",
            set.update_revision, incident.object
        ));
    }
    let controller = Controller {
        object: set.meta.target(),
        kind: ObjectKind::StatefulSet,
        revision: set.update_revision.clone(),
        workload: Workload::StatefulSet(name),
    };
    let why = "fresh start: its init containers start anew, its own volumes stay, and they may hold it to this node";
    replace(controller, pod, container, false, why, settings)
}

/// A DaemonSet's new pod comes to the same node: nothing about it could differ.
fn of_daemon_set(incident: &Incident, owner: &str, inventory: &Inventory) -> Answer {
    let pod = inventory.pods.get(incident.object.uid());
    let node = pod.map_or("its node", |pod| pod.node.as_str());
    let elsewhere = match inventory.daemon_sets.get(owner) {
        Some(set) => format!("it is ready on {} of {} nodes", set.ready, set.desired),
        None => "on how many other nodes it is ready is not known".to_owned(),
    };
    Answer::Recommend(format!(
        "{} belongs to a DaemonSet: a new pod would come to the same node; {elsewhere}; look at {node} and at the pod's \
         logs there",
        incident.object
    ))
}

fn nothing_crash_loops(name: &KubeRef, settings: &Settings) -> Answer {
    let wait = settings.settle().as_secs();
    Answer::Wait(format!(
        "no pod crash-loops at this moment; resolved once all pods of {name} have been ready for {wait} s"
    ))
}

/// The controller that creates the replacement of a pod.
struct Controller {
    object: Target,
    kind: ObjectKind,
    revision: String,
    workload: Workload,
}

/// The pod to replace: the incident's own while it is there and not well, otherwise the one that restarts most.
///
/// Between two crashes a container runs for a moment; that it waits right now is no condition here (the agent
/// reads it again before it acts).
fn target<'a>(
    incident: &Incident,
    pods: impl Iterator<Item = &'a Pod>,
    settings: &Settings,
) -> Option<(&'a Pod, &'a Container)> {
    let crashing = |pod: &'a Pod| {
        if pod.meta.deleting || pod.ready {
            return None;
        }
        let worn = pod.containers.iter().filter(|c| !c.ready && c.restarts >= settings.crash_loop_restarts);
        worn.max_by_key(|c| (c.restarts, std::cmp::Reverse(c.name.clone()))).map(|c| (pod, c))
    };
    let own = |pod: &Pod| pod.meta.uid == incident.object.uid();
    let all = pods.filter_map(crashing);
    all.max_by_key(|(pod, c)| (own(pod), c.restarts, std::cmp::Reverse(pod.meta.name.clone())))
}

/// Whether its node is to be closed for the new pod, and how that one may differ; or why nothing can be done now.
fn where_to(controller: &Controller, pod: &Pod, inventory: &Inventory) -> Result<(bool, String), Answer> {
    let open: Vec<&Node> = inventory.nodes.values().filter(|node| node.is_open()).collect();
    let own = inventory.node(&pod.node);
    let other = open.iter().find(|node| node.meta.name != pod.node && !node.control_plane);
    let own_is_open = own.is_some_and(Node::is_open);
    Ok(match other {
        None if !own_is_open => {
            return Err(Answer::Wait(format!(
                "no node is schedulable for a new pod of {}: {} is cordoned or not ready, and there is no other",
                controller.workload, pod.node
            )));
        }
        None => {
            (false, "fresh init on the same node: its init containers and own volumes start anew".to_owned())
        }
        Some(node) if own.is_some_and(|own| own.control_plane) => (
            false,
            format!(
                "fresh init; it may land on {} too, but a control-plane node is not closed for it",
                node.meta.name
            ),
        ),
        Some(node) if !own_is_open => (
            false,
            format!("another node: {} is cordoned already, {} is schedulable", pod.node, node.meta.name),
        ),
        Some(node) => (
            true,
            format!(
                "another node: {} stays cordoned until the new pod is bound, {} is schedulable",
                pod.node, node.meta.name
            ),
        ),
    })
}

fn replace(
    controller: Controller,
    pod: &Pod,
    container: &Container,
    avoid_node: bool,
    why: &str,
    settings: &Settings,
) -> Answer {
    let name = format!("{}/{}", pod.meta.namespace, pod.meta.name);
    let Controller { object, kind, revision, workload } = controller;
    let cordon = if avoid_node {
        format!("{} is cordoned by Nimbus until the replacement is bound, then uncordoned", pod.node)
    } else {
        "no node is cordoned".to_owned()
    };
    Answer::Act(Box::new(Draft {
        summary: format!("evict pod {name} from {}; {kind} {} creates a new one", pod.node, object.name),
        changes: vec![
            format!("pod {name} on {} is evicted (PodDisruptionBudgets are honoured)", pod.node),
            format!("{kind} {} creates its replacement, revision {revision} as before", object.name),
            cordon,
        ],
        rationale: format!("a new pod can differ from the old one: {why}"),
        ways: ways(pod, avoid_node),
        object: pod.object(),
        workload: Some(workload),
        action: Body::RestartPod(v1::RestartPod {
            pod: Some(pod.meta.target()),
            owner: Some(object),
            node: pod.node.clone(),
            avoid_node,
            container: container.name.clone(),
            min_restarts: settings.crash_loop_restarts,
            owner_kind: kind.as_str().to_owned(),
        }),
    }))
}

fn ways(pod: &Pod, avoid_node: bool) -> Vec<Alternative> {
    let elsewhere = if avoid_node {
        "the fault may be the node's: a new pod elsewhere tells"
    } else {
        "no other worker node is ready and open, or this one need not be closed for it"
    };
    let same = match (avoid_node, pod.ready_since.is_none()) {
        (true, _) => "another node is schedulable and differs more",
        (false, true) => "it was never ready; a fresh start is the one thing that can differ",
        (false, false) => "it was ready once; a fresh start may bring that back",
    };
    vec![
        Alternative::new(
            "evict the pod and keep its node cordoned for the replacement",
            avoid_node,
            elsewhere,
        ),
        Alternative::new("evict the pod, any node", !avoid_node, same),
        Alternative::new(
            "restart the container",
            false,
            "the kubelet does that already, and it did not help",
        ),
    ]
}
