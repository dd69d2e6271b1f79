//! The remedy `raise_memory_limit`: raises the limit of a container that is killed for it, in its Deployment's pod template,
//! after approval, by half once, where a node and nobody else's rules speak against it.
//!
//! It is no cure for a leak: what was raised once and is killed again uses what it is given, and a person is told so. Of a
//! revision that never lasted while an older one is there, going back is weighed first, and the limit is left alone. Whether
//! LimitRanges and quotas leave room is the agent's to ask, at the moment of acting; where they do not, nobody is asked for the
//! same again for a day. What was tried before is in [`tried`].

mod stated;
mod tried;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, quantity, v1};

use self::stated::{Said, said};
use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy, rollback_report};
use crate::audit::from_hex;
use crate::model::{Alternative, Incident, IncidentKind, ObjectRef, Outlook, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Container, Deployment, Inventory, Object as _, Pod, Rollout, manager_name};

pub(super) struct RaiseMemoryLimit;

const MI: u64 = 1 << 20;
/// No agent watches for longer.
const HOUR_MS: u32 = 3_600_000;
/// The least that a step adds, where it stays within twice the limit: less than this says little.
const LEAST_STEP: u64 = 16 * MI;
/// A kill of longer ago than this does not tell of now, where the container runs well since.
const LATELY: SignedDuration = SignedDuration::from_mins(10);

impl Remedy for RaiseMemoryLimit {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::OutOfMemory, IncidentKind::RolloutStuck]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment, ObjectKind::Node]
    }

    fn consent(&self) -> Consent {
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "raises the memory limit of a container that is killed for it by half, once, in its Deployment"
    }

    fn name(&self) -> &'static str {
        "raise the memory limit"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        let Some(workload) = &incident.workload else {
            return Answer::NotApplicable("it belongs to no workload".to_owned());
        };
        match workload {
            Workload::Deployment(_) => {}
            Workload::StatefulSet(_)
            | Workload::DaemonSet(_)
            | Workload::Job(_)
            | Workload::CronJob(_)
            | Workload::Bare(_)
            | Workload::Other(_) => {
                return Answer::Recommend(format!(
                    "a container of {workload} is killed for its memory limit: raise the limit in its pod template, or lower \
                     what it uses; Nimbus raises it in Deployments alone, and a new pod would meet the same limit"
                ));
            }
        }
        let Some(deployment) = inventory.deployments.get(workload.uid()).filter(|d| !d.meta.deleting) else {
            return Answer::Wait(format!(
                "{workload} no longer exists; the incident is resolved once that is certain"
            ));
        };
        of_deployment(deployment, inventory, incident, s)
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::RaiseMemoryLimit(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    /// Longer than Kubernetes' own deadline of a rollout (10 min), and for as long as most containers take to be killed.
    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms.saturating_mul(5).min(HOUR_MS).max(settings.verify_timeout_ms)
    }
}

fn of_deployment(
    deployment: &Deployment,
    inventory: &Inventory,
    incident: &Incident,
    s: &Snapshot<'_>,
) -> Answer {
    let killed = killed(inventory, deployment, s.settings, s.now);
    let Some((pod, container)) = killed.first().copied() else {
        let name = deployment.object();
        let why = format!("no container of {name} that runs now was killed for its memory limit lately");
        return if incident.kind == IncidentKind::OutOfMemory {
            Answer::Wait(why)
        } else {
            Answer::NotApplicable(why)
        };
    };
    if incident.kind != IncidentKind::OutOfMemory && has_older(inventory, deployment) {
        return Answer::NotApplicable("an older revision is there: going back to it comes first".to_owned());
    }
    not_ours(deployment)
        .or_else(|| several(deployment, &killed))
        .or_else(|| tried::before(incident, deployment, container, s))
        .or_else(|| not_now(inventory, deployment))
        .unwrap_or_else(|| raise(deployment, inventory, (pod, container)))
}

/// The containers of the present template that are killed for their memory limit, each with a pod that shows it, in order of
/// their names: killed as often as makes an incident, and lately or not well since. The kubelet tells the last end of a
/// container for as long as its pod lives.
fn killed<'a>(
    inventory: &'a Inventory,
    deployment: &Deployment,
    settings: &Settings,
    now: Timestamp,
) -> Vec<(&'a Pod, &'a Container)> {
    let Some(set) = inventory.present_set(deployment) else { return Vec::new() };
    let lately = |c: &Container| {
        let ended = c.last_finished_at.is_some_and(|at| now.duration_since(at) <= LATELY);
        !c.ready || ended
    };
    let shows = |c: &Container| c.out_of_memory() && c.restarts >= settings.crash_loop_restarts && lately(c);
    let pods = inventory.pods_owned_by(&set.meta.uid).filter(|pod| pod.is_active());
    let each = pods.flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)));
    let mut found: Vec<_> = each.filter(|(_, container)| shows(container)).collect();
    // The same one each time, whichever of the pods is in its back-off.
    found.sort_by_key(|(pod, container)| (container.name.as_str(), pod.meta.name.as_str()));
    found.dedup_by_key(|(_, container)| container.name.as_str());
    found
}

/// Somebody else has the say over the pod template.
fn not_ours(deployment: &Deployment) -> Option<Answer> {
    let name = deployment.object();
    if !deployment.manager.is_empty() {
        return Some(Answer::Recommend(format!(
            "a container of {name} is killed for its memory limit, and {name} is managed by {} ({}): raise the limit there, \
             what Nimbus writes would be undone or would fight it",
            manager_name(&deployment.manager),
            deployment.manager_evidence
        )));
    }
    if !deployment.meta.owner_uid.is_empty() {
        return Some(Answer::Recommend(format!(
            "a container of {name} is killed for its memory limit, and {name} is made by {} {}: raise the limit there, what \
             Nimbus writes would be undone",
            deployment.meta.owner_kind, deployment.meta.owner_name
        )));
    }
    deployment.paused.then(|| {
        Answer::Recommend(format!(
            "a container of {name} is killed for its memory limit, and {name} was paused by a person: resume it, or raise the \
             limit by hand"
        ))
    })
}

/// With one of them raised, the others would keep its pods from becoming available.
fn several(deployment: &Deployment, killed: &[(&Pod, &Container)]) -> Option<Answer> {
    let names: Vec<&str> = killed.iter().map(|(_, container)| container.name.as_str()).collect();
    (names.len() > 1).then(|| {
        Answer::Recommend(format!(
            "containers {} of {} are killed for their memory limits: raise them together, or lower what they use; Nimbus raises \
             the limit of one container alone",
            names.join(", "),
            deployment.object()
        ))
    })
}

/// Has it a revision with another pod template?
fn has_older(inventory: &Inventory, deployment: &Deployment) -> bool {
    let mut sets = inventory.replica_sets_of(&deployment.meta.uid);
    sets.any(|set| set.template_hash != deployment.template_hash)
}

/// Another change is under way.
fn not_now(inventory: &Inventory, deployment: &Deployment) -> Option<Answer> {
    let name = deployment.object();
    if deployment.is_behind() {
        return Some(Answer::Wait(format!("{name} was changed; its status is not about that change yet")));
    }
    // A first revision has nothing to go back to: what keeps it from coming out is its limit.
    (deployment.rollout() != Rollout::Complete && has_older(inventory, deployment)).then(|| {
        Answer::Wait(format!(
            "{name} is bringing out revision {}: its limit is not changed meanwhile",
            deployment.revision
        ))
    })
}

/// Half more, of at least [`LEAST_STEP`], in whole MiB and at most twice; `None` where that is no step.
fn next(limit: u64) -> Option<u64> {
    let wanted = limit.saturating_add((limit / 2).max(LEAST_STEP)).checked_next_multiple_of(MI)?;
    let most = limit.saturating_mul(2) / MI * MI;
    Some(wanted.min(most)).filter(|to| *to > limit)
}

fn raise(deployment: &Deployment, inventory: &Inventory, (pod, container): (&Pod, &Container)) -> Answer {
    let (name, titled) = (deployment.object(), container.titled());
    let killed = format!("{titled} of {name} is killed for its memory limit");
    if !container.role.is_empty() {
        return Answer::Recommend(format!(
            "{killed}: raise its limit in the pod template by hand; Nimbus does not change init containers and sidecars"
        ));
    }
    let (limit, request) = match stated::amounts(deployment, container, &killed) {
        Ok(amounts) => amounts,
        Err(why) => return Answer::Recommend(why),
    };
    let Some(to) = next(limit) else {
        return Answer::Recommend(format!(
            "{killed} of {}, which is too small for a step: set one that fits what it does",
            quantity::binary(limit)
        ));
    };
    if let Some(why) = no_node(inventory, pod, (limit, to, request)) {
        return Answer::Recommend(format!("{killed} of {}, and {why}", quantity::binary(limit)));
    }
    act(deployment, inventory, container, (limit, to, request))
}

/// Why no node that the pod may go to could hold it with the higher limit; `None` where one could, by what it has for pods in all:
/// what others use of it is not judged, and pods that find no room are why a raise is undone.
fn no_node(
    inventory: &Inventory,
    pod: &Pod,
    (limit, to, request): (u64, u64, Option<u64>),
) -> Option<String> {
    let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let open = inventory.nodes.values().filter(|node| node.takes_new_pods() && node.is_ready());
    let theirs = open.filter_map(|node| Some((node, node.facts.as_ref()?)));
    let takes = theirs
        .filter(|(node, facts)| placement.is_none_or(|place| place.refused_by(node, facts).is_none()))
        .map(|(_, facts)| facts.memory_bytes);
    let largest = takes.max().and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
    let Some(largest) = largest else {
        return Some(
            "how much memory the nodes have that it may go to is not known: no higher limit is planned without that"
                .to_owned(),
        );
    };
    let has = quantity::binary(largest);
    if to > largest / 2 {
        return Some(format!(
            "{} would be more than half of what the largest node that it may go to has for pods ({has}): lower what it uses, or \
             give it larger nodes",
            quantity::binary(to)
        ));
    }
    let asks = placement.and_then(|place| u64::try_from(place.memory_bytes).ok()).unwrap_or(0);
    // A request that is not said is the limit.
    let grows = if request.is_none_or(|request| request == limit) { to - limit } else { 0 };
    (asks.saturating_add(grows) > largest).then(|| {
        format!(
            "its pods would ask for {} then, more than the largest node that they may go to has ({has})",
            quantity::binary(asks.saturating_add(grows))
        )
    })
}

fn act(
    deployment: &Deployment,
    inventory: &Inventory,
    container: &Container,
    (limit, to, request): (u64, u64, Option<u64>),
) -> Answer {
    let name = format!("{}/{}", deployment.meta.namespace, deployment.meta.name);
    let (was, becomes) = (quantity::binary(limit), quantity::binary(to));
    let request_too = request == Some(limit);
    let reference = deployment.reference();
    Answer::Act(Box::new(Draft {
        action: Body::RaiseMemoryLimit(v1::RaiseMemoryLimit {
            deployment: Some(deployment.meta.target()),
            current_template_hash: from_hex(&deployment.template_hash).unwrap_or_default(),
            container: container.name.clone(),
            from_bytes: limit,
            to_bytes: to,
            request_too,
        }),
        workload: Some(Workload::Deployment(reference.clone())),
        object: ObjectRef::Kubernetes(reference),
        summary: format!(
            "raise the memory limit of container {} of {name} from {was} to {becomes}",
            container.name
        ),
        changes: changes(
            deployment,
            inventory,
            container,
            (&was, &becomes, request.map(|r| (r, request_too))),
        ),
        rationale: format!(
            "container {} is killed for its memory, its template gives it {was}, and a new pod would meet the same limit. Half \
             more is one step; killed again at {becomes}, it looks like a leak and is not raised further",
            container.name
        ),
        outlook: outlook(deployment, container, &was, request_too),
        ways: vec![
            Alternative::new(
                format!("raise the limit to {becomes}"),
                true,
                "it was not raised in the last seven days",
            ),
            Alternative::new("restart its pods", false, "a new pod would meet the same limit"),
            Alternative::new("wait", false, "its back-off ends in the same limit each time"),
        ],
    }))
}

fn changes(
    deployment: &Deployment,
    inventory: &Inventory,
    container: &Container,
    (was, becomes, request): (&str, &str, Option<(u64, bool)>),
) -> Vec<String> {
    let name = &container.name;
    let mut lines = vec![format!("template containers[{name}].resources.limits.memory: {was} -> {becomes}")];
    lines.push(match request {
        Some((_, true)) => format!(
            "template containers[{name}].resources.requests.memory: {was} -> {becomes} (it is the limit, and stays so)"
        ),
        Some((request, false)) => format!("its request stays {}", quantity::binary(request)),
        None => format!("its request is not said, so it is the limit: {was} -> {becomes}"),
    });
    let at_once = deployment.more.as_ref().is_some_and(|more| more.strategy == "Recreate");
    lines.push(if at_once {
        format!(
            "all of its pods are ended at once and made again (Recreate): {} are wanted",
            deployment.desired
        )
    } else {
        format!(
            "every pod of it is replaced, one after the other as its strategy says: {} are wanted",
            deployment.desired
        )
    });
    lines.extend(rollback_report::marked(deployment, inventory));
    lines.push(rollback_report::comes_back(deployment, &format!("the limit of {was}")));
    lines
}

fn outlook(deployment: &Deployment, container: &Container, was: &str, request_too: bool) -> Outlook {
    let (namespace, name) = (&deployment.meta.namespace, &deployment.meta.name);
    // A request above the limit is refused: both go back in one command.
    let requests = if request_too { format!(" --requests=memory={was}") } else { String::new() };
    Outlook::undone_by_a_person(
        format!(
            "`kubectl -n {namespace} set resources deployment/{name} -c {} --limits=memory={was}{requests}` puts the old limit back",
            container.name
        ),
        format!(
            "a Deployment that is not as this plan saw it, a pod with another limit than its template, and a namespace whose \
             LimitRange or quota leaves no room, are left alone. Where a pod with the higher limit is killed as well, none can be \
             made, one finds no node or crash-loops for minutes, or the rollout passes its deadline while it is watched, the agent \
             puts {was} back, and nobody is asked for the same step again. A rollout that is only slow goes on; and what took longer \
             to be killed than it is watched is not called helped"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_half_more_in_whole_mebibytes_and_never_more_than_twice() {
        for (limit, to) in [
            (64 * MI, Some(96 * MI)),
            (100 * MI, Some(150 * MI)),
            (20 * MI, Some(36 * MI)),
            (10 * MI, Some(20 * MI)),
            (100_000_000, Some(144 * MI)),
            (MI / 4, None),
            (0, None),
            (u64::MAX, None),
        ] {
            assert_eq!(next(limit), to, "{limit}");
        }
    }
}
