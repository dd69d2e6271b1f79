//! A crash-looping pod: a new one where it can differ from the old one.
//!
//! Restarting a container is what the kubelet does already. A new pod differs by its node, or by a fresh start
//! (init containers, volumes of its own, a dependency that came back); the plan says which.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::action::Body;
use nimbus_protocol::v1;

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{Alternative, Incident, IncidentKind, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Container, Deployment, Inventory, Node, Pod, ReplicaSet, Rollout};

pub(super) struct RestartPod;

impl Remedy for RestartPod {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::PodCrashLoop, IncidentKind::RolloutStuck]
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment, ObjectKind::Node]
    }

    fn consent(&self) -> Consent {
        Consent::Rule
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "evicts a crash-looping pod so that its ReplicaSet makes a new one, on another node if one is open"
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
            Some(Workload::Bare(_)) | None => Answer::Recommend(format!(
                "{} belongs to no controller: nobody would make a new one, so it is left for a person",
                incident.object
            )),
            Some(
                other @ (Workload::StatefulSet(_)
                | Workload::DaemonSet(_)
                | Workload::Job(_)
                | Workload::CronJob(_)
                | Workload::Other(_)),
            ) => Answer::Recommend(format!(
                "{} belongs to {other}: only pods of a Deployment are replaced, so it is left for a person",
                incident.object
            )),
        }
    }

    fn footprint<'a>(&self, order: &'a Body) -> Option<Footprint<'a>> {
        match order {
            Body::RestartPod(order) => Some(Footprint { node: Some(&order.node) }),
            Body::RollbackDeployment(_) | Body::RestoreFile(_) | Body::AcceptBaseline(_) => None,
        }
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }
}

fn of_deployment(incident: &Incident, owner: &str, inventory: &Inventory, settings: &Settings) -> Answer {
    let Some(deployment) = inventory.deployments.get(owner) else {
        let workload = incident.workload.as_ref().map(ToString::to_string).unwrap_or_default();
        return Answer::Wait(format!("{workload} is no more; the incident is resolved once that is certain"));
    };
    let name = deployment.meta.reference(ObjectKind::Deployment);
    let Some((pod, container)) = target(incident, inventory, owner, settings) else {
        let wait = settings.settle().as_secs();
        return Answer::Wait(format!(
            "no pod crash-loops at this moment; resolved once all pods of {name} have been ready for {wait} s"
        ));
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
    place(deployment, pod, container, set, inventory, settings)
}

/// The pod to replace: the incident's own while it is there and not well, otherwise the one that restarts most.
///
/// Between two crashes a container runs for a moment; that it waits right now is no condition here (the agent
/// reads it again before it acts).
fn target<'a>(
    incident: &Incident,
    inventory: &'a Inventory,
    owner: &str,
    settings: &Settings,
) -> Option<(&'a Pod, &'a Container)> {
    let crashing = |pod: &'a Pod| {
        if pod.meta.deleting || pod.ready {
            return None;
        }
        let worn = pod.containers.iter().filter(|c| !c.ready && c.restarts >= settings.crash_loop_restarts);
        worn.max_by_key(|c| (c.restarts, std::cmp::Reverse(c.name.clone()))).map(|c| (pod, c))
    };
    let own = inventory.pods.get(incident.object.uid()).and_then(crashing);
    own.or_else(|| {
        let all = inventory.pods_of(owner).filter_map(crashing);
        all.max_by_key(|(pod, c)| (c.restarts, std::cmp::Reverse(pod.meta.name.clone())))
    })
}

/// Where the new pod can be, and so how it may differ.
fn place(
    deployment: &Deployment,
    pod: &Pod,
    container: &Container,
    set: &ReplicaSet,
    inventory: &Inventory,
    settings: &Settings,
) -> Answer {
    let open: Vec<&Node> = inventory.nodes.values().filter(|node| node.is_open()).collect();
    let own = inventory.node(&pod.node);
    let other = open.iter().find(|node| node.meta.name != pod.node && !node.control_plane);
    let own_is_open = own.is_some_and(Node::is_open);
    let (avoid_node, why) = match other {
        None if !own_is_open => {
            return Answer::Wait(format!(
                "no node is open for a new pod of {}/{}: {} is closed or not ready, and there is no other",
                deployment.meta.namespace, deployment.meta.name, pod.node
            ));
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
        Some(node) if !own_is_open => {
            (false, format!("another node: {} is closed already, {} is open", pod.node, node.meta.name))
        }
        Some(node) => (
            true,
            format!(
                "another node: {} stays closed until the new pod is bound, {} is open",
                pod.node, node.meta.name
            ),
        ),
    };
    let name = format!("{}/{}", pod.meta.namespace, pod.meta.name);
    Answer::Act(Box::new(Draft {
        action: Body::RestartPod(v1::RestartPod {
            pod: Some(pod.meta.target()),
            owner: Some(set.meta.target()),
            node: pod.node.clone(),
            avoid_node,
            container: container.name.clone(),
            min_restarts: settings.crash_loop_restarts,
        }),
        object: pod.meta.object(ObjectKind::Pod),
        workload: Some(Workload::Deployment(deployment.meta.reference(ObjectKind::Deployment))),
        summary: format!("evict pod {name} from {}; ReplicaSet {} makes a new one", pod.node, set.meta.name),
        changes: vec![
            format!("pod {name} on {} is evicted (PodDisruptionBudgets are honoured)", pod.node),
            format!(
                "ReplicaSet {} makes its replacement, revision {} as before",
                set.meta.name, set.revision
            ),
            if avoid_node {
                format!(
                    "{} is cordoned by Nimbus until the replacement is bound, then opened again",
                    pod.node
                )
            } else {
                "no node is cordoned".to_owned()
            },
        ],
        rationale: format!("a new pod can differ from the old one: {why}"),
        ways: ways(pod, avoid_node),
    }))
}

fn ways(pod: &Pod, avoid_node: bool) -> Vec<Alternative> {
    let elsewhere = if avoid_node {
        "the fault may be the node's: a new pod elsewhere tells"
    } else {
        "no other worker node is ready and open, or this one need not be closed for it"
    };
    let same = match (avoid_node, pod.ready_since.is_none()) {
        (true, _) => "another node is open and differs more",
        (false, true) => "it was never ready; a fresh start is the one thing that can differ",
        (false, false) => "it was ready once; a fresh start may bring that back",
    };
    vec![
        Alternative::new("evict the pod and keep its node closed for the replacement", avoid_node, elsewhere),
        Alternative::new("evict the pod, any node", !avoid_node, same),
        Alternative::new(
            "restart the container",
            false,
            "the kubelet does that already, and it did not help",
        ),
    ]
}
