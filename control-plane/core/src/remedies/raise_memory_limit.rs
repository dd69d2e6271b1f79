//! The remedy `raise_memory_limit`: raises the limit of a container that is killed for it, in its Deployment's pod template,
//! after approval, by half once, where a node and nobody else's rules speak against it.
//!
//! It is no cure for a leak: what was raised once and is killed again uses what it is given, and a person is told so. Of a
//! revision that never lasted while an older one is there, going back is weighed first, and the limit is left alone. Whether
//! LimitRanges and quotas leave room is the agent's to ask, at the moment of acting.

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, quantity, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::audit::from_hex;
use crate::model::{ActionKind, Alternative, Incident, IncidentKind, JobState, ObjectRef, Outlook, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Container, Deployment, Inventory, Object as _, Pod, Rollout, manager_name};

pub(super) struct RaiseMemoryLimit;

const MI: u64 = 1 << 20;
/// The least that a step adds, where it stays within twice the limit: less than this says little.
const LEAST_STEP: u64 = 16 * MI;

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
        let Some(deployment) = inventory.deployments.get(workload.uid()) else {
            return Answer::Wait(format!(
                "{workload} no longer exists; the incident is resolved once that is certain"
            ));
        };
        let Some((pod, container)) = killed(inventory, deployment) else {
            let why = format!("no pod of {workload} that is there now was killed for its memory limit");
            return if incident.kind == IncidentKind::OutOfMemory {
                Answer::Wait(why)
            } else {
                Answer::NotApplicable(why)
            };
        };
        if incident.kind != IncidentKind::OutOfMemory && has_older(inventory, deployment) {
            return Answer::NotApplicable(
                "an older revision is there: going back to it comes first".to_owned(),
            );
        }
        not_ours(deployment)
            .or_else(|| raised_before(incident, deployment, s))
            .or_else(|| not_now(inventory, deployment))
            .unwrap_or_else(|| raise(deployment, inventory, (pod, container)))
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::RaiseMemoryLimit(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }
}

/// A pod of the present template with a container that was killed for its memory limit. Of several the first by name, so that
/// it is the same one each time.
fn killed<'a>(inventory: &'a Inventory, deployment: &Deployment) -> Option<(&'a Pod, &'a Container)> {
    let set = inventory.present_set(deployment)?;
    let pods = inventory.pods_owned_by(&set.meta.uid).filter(|pod| pod.is_active());
    let each = pods.flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)));
    let killed = each.filter(|(_, container)| container.out_of_memory());
    killed.min_by_key(|(pod, container)| (container.name.clone(), pod.meta.name.clone()))
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

/// Has it a revision with another pod template?
fn has_older(inventory: &Inventory, deployment: &Deployment) -> bool {
    let mut sets = inventory.replica_sets_of(&deployment.meta.uid);
    sets.any(|set| set.template_hash != deployment.template_hash)
}

/// What was raised and is killed again uses what it is given, or needs far more; neither is helped by the same step again.
fn raised_before(incident: &Incident, deployment: &Deployment, s: &Snapshot<'_>) -> Option<Answer> {
    let before = s.all_jobs().filter(|job| {
        job.action == ActionKind::RaiseMemoryLimit
            && took_effect(job.state)
            && job.scope == incident.scope
            && job.workload.as_ref().is_some_and(|workload| workload.uid() == deployment.meta.uid)
    });
    let last = before.max_by_key(|job| (job.finished_at, job.id))?;
    let (name, at) = (deployment.object(), last.finished_at.unwrap_or(last.created_at));
    Some(Answer::Recommend(if last.state == JobState::Succeeded {
        format!(
            "a container of {name} is killed for its memory limit again, and its limit was raised at {at:.0}: it uses what it \
             is given, which is how a leak looks; find what holds the memory, or set the limit that it needs by hand"
        )
    } else {
        format!(
            "a container of {name} is killed for its memory limit, and raising it did not help at {at:.0} ({}: {}): find what \
             holds the memory, or set the limit that it needs by hand",
            last.state, last.reason
        )
    }))
}

/// Did a job of this state change something, as far as is known?
fn took_effect(state: JobState) -> bool {
    match state {
        JobState::Succeeded | JobState::Failed | JobState::Compensated | JobState::Unknown => true,
        JobState::Pending
        | JobState::Dispatched
        | JobState::Running
        | JobState::Refused
        | JobState::Expired => false,
    }
}

/// Another change is under way.
fn not_now(inventory: &Inventory, deployment: &Deployment) -> Option<Answer> {
    let name = deployment.object();
    if deployment.is_behind() {
        return Some(Answer::Wait(format!("{name} was changed; its status is not about that change yet")));
    }
    // A first revision has nothing to go back to: what keeps it from coming out is its limit.
    (deployment.rollout() == Rollout::Progressing && has_older(inventory, deployment)).then(|| {
        Answer::Wait(format!(
            "{name} is bringing out revision {}: its limit is not changed meanwhile",
            deployment.revision
        ))
    })
}

/// What the template says of a container's memory.
enum Said {
    Nothing,
    Bytes(u64),
    Unread(String),
    /// The agent is older, or the template has more than is told.
    NotTold,
}

/// What stands in a told template for all that is not told of it.
const REST: &str = "(everything else)";

fn said(deployment: &Deployment, container: &str, what: &str) -> Said {
    let path = format!("containers[{container}].resources.{what}.memory");
    let template = deployment.more.as_ref().map(|more| more.template.as_slice()).unwrap_or_default();
    let Some(fact) = template.iter().find(|fact| fact.path == path) else {
        let is_whole = !template.is_empty() && template.iter().all(|fact| fact.path != REST);
        return if is_whole { Said::Nothing } else { Said::NotTold };
    };
    let bytes = quantity::scaled(&fact.value, 1).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.map_or_else(|| Said::Unread(fact.value.clone()), Said::Bytes)
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
    let not_told = || {
        Answer::Recommend(format!(
            "{killed}, and what its pod template says of that is not told by its agent: raise the limit, or lower what it uses, \
             by hand"
        ))
    };
    let limit = match said(deployment, &container.name, "limits") {
        Said::Bytes(limit) => limit,
        Said::NotTold => return not_told(),
        Said::Unread(found) => {
            return Answer::Recommend(format!(
                "{killed}, and its limit in the pod template cannot be read: {found:?}"
            ));
        }
        Said::Nothing => {
            return Answer::Recommend(format!(
                "{killed}, and its pod template says none: it comes from a LimitRange of namespace {}, the pod as a whole has \
                 one, or its node ran out of memory; say one in the template, or look at the node",
                deployment.meta.namespace
            ));
        }
    };
    let request = match said(deployment, &container.name, "requests") {
        Said::Bytes(request) => Some(request),
        Said::Nothing => None,
        Said::NotTold => return not_told(),
        Said::Unread(found) => {
            return Answer::Recommend(format!(
                "{killed}, and its request in the pod template cannot be read: {found:?}"
            ));
        }
    };
    let Some(to) = next(limit) else {
        return Answer::Recommend(format!(
            "{killed} of {}, which is too small for a step: set one that fits what it does",
            quantity::binary(limit)
        ));
    };
    let largest = inventory.nodes.values().filter(|node| node.takes_new_pods() && node.is_ready());
    let largest = largest.filter_map(|node| node.facts.as_ref()).map(|facts| facts.memory_bytes).max();
    let Some(largest) = largest.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0) else {
        return Answer::Recommend(format!(
            "{killed}, and how much memory its nodes have is not known: no higher limit is planned without that"
        ));
    };
    let request_too = request == Some(limit);
    let asks = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref()).map(|place| place.memory_bytes);
    let asks = asks.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
    // A request that is not said is the limit.
    let grows = if request_too || request.is_none() { to - limit } else { 0 };
    if to > largest / 2 || asks.saturating_add(grows) > largest {
        return Answer::Recommend(format!(
            "{killed} of {}, and {} would be more than half of what the largest node has for pods ({}): lower what it uses, or \
             give it larger nodes",
            quantity::binary(limit),
            quantity::binary(to),
            quantity::binary(largest)
        ));
    }
    act(deployment, container, (limit, to, request))
}

fn act(
    deployment: &Deployment,
    container: &Container,
    (limit, to, request): (u64, u64, Option<u64>),
) -> Answer {
    let name = format!("{}/{}", deployment.meta.namespace, deployment.meta.name);
    let (was, becomes) = (quantity::binary(limit), quantity::binary(to));
    let request_too = request == Some(limit);
    let reference = deployment.reference();
    let mut changes =
        vec![format!("template containers[{}].resources.limits.memory: {was} -> {becomes}", container.name)];
    changes.push(match request {
        Some(_) if request_too => format!(
            "template containers[{}].resources.requests.memory: {was} -> {becomes} (it is the limit, and stays so)",
            container.name
        ),
        Some(request) => format!("its request stays {}", quantity::binary(request)),
        None => format!("its request is not said, so it is the limit: {was} -> {becomes}"),
    });
    changes
        .push(format!("every pod of it is replaced, by its own strategy: {} are wanted", deployment.desired));
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
        changes,
        rationale: format!(
            "the kernel ends container {} for its limit of {was}, and a new pod would meet the same one. Half more is one step; \
             killed again at {becomes}, it looks like a leak and is not raised further",
            container.name
        ),
        outlook: outlook(deployment, container, &was),
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

fn outlook(deployment: &Deployment, container: &Container, was: &str) -> Outlook {
    let (namespace, name) = (&deployment.meta.namespace, &deployment.meta.name);
    Outlook::undone_by_a_person(
        format!(
            "`kubectl -n {namespace} set resources deployment/{name} -c {} --limits=memory={was}` puts the old limit back; its \
             request, where it was raised too, with `--requests=memory={was}`",
            container.name
        ),
        format!(
            "a Deployment that is not as this plan saw it, and a namespace whose LimitRange or quota leaves no room, are left \
             alone. Where the pods with the higher limit do not become available, the agent puts {was} back, and a person is \
             asked before the next try"
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
