//! The remedy `restart_pod`: replaces a crash-looping pod where a new one can differ from it, and nothing asks to leave it
//! alone.
//!
//! Restarting a container is what the kubelet does already. A new pod differs by its node, or by a fresh start (init
//! containers, volumes of its own, a dependency that came back). Its siblings tell which (`siblings`), its own past whether
//! it could ever run (`past`), what they refer to whether something was written lately (`shared`), and the scheduler's rules
//! where else it fits (`elsewhere`). Its node is held back only where it is suspect.

mod elsewhere;
mod owners;
mod past;
mod revision;
mod shared;
mod siblings;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::action::Body;
use nimbus_protocol::kind::HELD;
use nimbus_protocol::v1;

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{
    ActionKind, Alternative, Incident, IncidentKind, Job, JobState, Outlook, Target, Workload,
};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Container, Inventory, Object as _, Pod};
use elsewhere::Elsewhere;
use past::Past;
use siblings::Suspect;

/// How a change ends that tells what an eviction destroys.
pub(crate) const LOST: &str = "is lost to the new pod";

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
        "evicts a crash-looping pod that was well before, so that its controller creates a new one; its node is held back \
         only where the same template is well elsewhere"
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
            Some(Workload::Deployment(owner)) => owners::of_deployment(incident, &owner.uid, inventory, s),
            Some(Workload::StatefulSet(owner)) => owners::of_stateful_set(incident, &owner.uid, inventory, s),
            Some(Workload::DaemonSet(owner)) => owners::of_daemon_set(incident, &owner.uid, inventory),
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

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        let Body::RestartPod(action) = action else { return None };
        Some(Footprint { node: Some(&action.node), holds: action.avoid_node })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms
    }
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

/// What speaks against replacing a pod whatever its siblings say: a mark, or that a new one would not differ.
fn left_alone(pod: &Pod, container: &Container) -> Option<Answer> {
    let name = format!("{}/{}", pod.meta.namespace, pod.meta.name);
    let Some(facts) = &pod.facts else {
        return Some(Answer::Wait(format!(
            "unknown: the agent does not say whether {name} asks not to be disturbed; upgrade it"
        )));
    };
    if let Some(mark) = facts.do_not_disturb.first() {
        return Some(Answer::Recommend(format!(
            "{name} asks not to be disturbed ({mark}), so it is left for a person; it goes on once that is over"
        )));
    }
    let titled = container.titled();
    if container.finishes() && container.probed {
        return Some(Answer::Recommend(format!(
            "{titled} of {name} ends with exit code 0 each time, and it has a liveness or startup probe: where the probe \
             fails, the kubelet ends it, and a process that stops cleanly looks as if it had finished; look for `Unhealthy` \
             among the pod's events and correct the probe or what it asks; if there is none, it finishes: run it as a Job"
        )));
    }
    if container.finishes() {
        return Some(Answer::Recommend(format!(
            "{titled} of {name} ends with exit code 0 each time: it finishes, it does not crash, and a new pod would finish \
             too; run it as a Job or a CronJob, or give it a process that stays"
        )));
    }
    match past::of(pod, container) {
        Past::Well => None,
        Past::NeverReady => Some(Answer::Recommend(format!(
            "{name} has never been ready since it was made, and a new pod of the same template would not differ; look at \
             the logs of {titled} and at what it needs"
        ))),
        Past::NeverLasted(run) => Some(Answer::Recommend(format!(
            "{name} has never lasted since it was made: {titled} ran for {} s and ended, and a new pod of the same \
             template would not differ; look at its logs and at what it needs",
            run.as_secs()
        ))),
        Past::NotKnown => Some(Answer::Wait(format!(
            "unknown: whether {name} was ever ready is not said; a pod that never was is not replaced"
        ))),
    }
}

/// What may be done about a pod.
#[derive(Debug, Clone, Copy)]
struct Leeway {
    /// A new one may come to another node, so that holding its node back may help.
    may_hold: bool,
    /// Something is planned already.
    planned: bool,
}

/// What to do about a crash-looping pod of a controller that would make another one.
fn propose_for(
    controller: Controller,
    (pod, container): (&Pod, &Container),
    Leeway { may_hold, planned }: Leeway,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Answer {
    if let Some(answer) = left_alone(pod, container) {
        return answer;
    }
    if let Some((at, written)) = shared::lately_written(pod, inventory, s.now)
        && probed_since(at, &controller.workload, s)
    {
        return Answer::Recommend(format!(
            "{}: a pod of it was replaced since, as a probe, and another one fails; {written}: look at what changed in it; a \
             new pod would read the same",
            controller.workload
        ));
    }
    let mut elsewhere = None;
    let (hold, why) = match siblings::suspect(pod, siblings::of(pod, inventory), inventory, s) {
        Suspect::Shared(what) => {
            return Answer::Recommend(format!(
                "{}: {what}; {}",
                controller.workload,
                shared::advice(pod, inventory, s)
            ));
        }
        Suspect::Several(what) if tried_in_vain(&controller.workload, s) => {
            return Answer::Recommend(format!(
                "{}: {what}, and replacing one did not help; {}",
                controller.workload,
                shared::advice(pod, inventory, s)
            ));
        }
        Suspect::Several(what) => (false, format!("fresh start, as a probe: {what}")),
        Suspect::Together(what) => match where_to_probe(pod, &controller.workload, inventory, s) {
            Ok(place) => {
                elsewhere = Some(place);
                (false, format!("fresh start, as a probe: {what}"))
            }
            Err(why) => {
                return Answer::Recommend(format!(
                    "{}: {what}, {why}; {}",
                    controller.workload,
                    shared::advice_on_one_node(pod, inventory, s)
                ));
            }
        },
        Suspect::Pod(what) => (false, format!("fresh start: {what}")),
        // A plan that is there stays: a sibling that comes and goes is no reason to make it again and again.
        Suspect::Soon { on, left, alone } if !alone || (may_hold && !planned) => {
            return Answer::Wait(format!(
                "a pod of the same template is ready on {on} since a moment ago: whether {} is to blame is seen \
                 in {} s",
                pod.node,
                left.as_secs() + 1
            ));
        }
        Suspect::Soon { .. } => (
            false,
            "fresh start: no other pod of its template tells yet whether its node is to blame".to_owned(),
        ),
        Suspect::Node { well_on } if may_hold => match may_be_held(pod, inventory, s) {
            Ok(other) => (
                true,
                format!(
                    "another node: the same template is well on {well_on} and only fails on {}; it fits on {other}",
                    pod.node
                ),
            ),
            Err(why) => (
                false,
                format!(
                    "{} is suspect, as the same template is well on {well_on}; it is not held back: {why}",
                    pod.node
                ),
            ),
        },
        Suspect::Node { well_on } => (
            false,
            format!(
                "fresh start: its init containers start anew; {} is suspect, as it is well on {well_on}, but its own \
                 volumes stay and may hold it there",
                pod.node
            ),
        ),
    };
    if !hold && elsewhere.is_none() {
        elsewhere = Some(elsewhere::elsewhere(pod, inventory, s));
    }
    let own_takes_pods = inventory.node(&pod.node).is_some_and(crate::world::Node::takes_new_pods);
    if let (Some(Elsewhere::Nowhere(why)), false) = (&elsewhere, own_takes_pods) {
        return Answer::Wait(format!(
            "no node is schedulable for a new pod of {}: {} takes none, and of the others {why}",
            controller.workload, pod.node
        ));
    }
    let place = elsewhere.map_or_else(String::new, |elsewhere| where_it_goes(elsewhere, &pod.node));
    replace(controller, pod, container, hold, &format!("{why}{place}"), s.settings)
}

/// What a plan that holds no node says of where the new pod of one on `node` may go.
fn where_it_goes(elsewhere: Elsewhere, node: &str) -> String {
    match elsewhere {
        Elsewhere::On(other) => format!("; the scheduler chooses the node, {other} would fit as well"),
        Elsewhere::Nowhere(why) => format!("; it comes back to {node}, no other node is promised: {why}"),
        Elsewhere::NotKnown(why) => {
            format!("; whether it fits on another node than {node} is not known: {why}")
        }
    }
}

/// Why the node of a pod that fails there alone may not be held back; the name of a node that would take it if it may.
fn may_be_held(pod: &Pod, inventory: &Inventory, s: &Snapshot<'_>) -> Result<String, String> {
    let well = siblings::well_elsewhere(pod, siblings::of(pod, inventory), inventory, s);
    if let Some(why) = shared::clears_the_node(pod, inventory, &well) {
        return Err(why);
    }
    // One and the same of them has to run the same images and have read the same content.
    let alike = siblings::of_the_same_images(pod, &well);
    if alike.is_empty() {
        return Err(siblings::another_image(pod, &well));
    }
    match shared::clears_the_node(pod, inventory, &alike) {
        Some(why) => Err(why),
        None => elsewhere::may_be_held(pod, inventory, s),
    }
}

/// Did this job do something to the pods of the workload that may have put them right? Scaling only follows its load.
fn is_of(job: &Job, workload: &Workload) -> bool {
    let same = job.workload.as_ref().is_some_and(|other| other.uid() == workload.uid());
    same && job.action != ActionKind::ScaleWorkload
}

/// Was a pod of this workload replaced since then, or is one about to be?
fn probed_since(then: Timestamp, workload: &Workload, s: &Snapshot<'_>) -> bool {
    s.all_jobs().any(|job| {
        let same = is_of(job, workload);
        same && job.created_at >= then && job.applied_at.is_some()
    })
}

/// Where a pod could go that is replaced as a probe, where several fail on one node and none is well; if none is, why. One that
/// comes to another node tells whether this one is to blame, and only the first one tells it.
fn where_to_probe(
    pod: &Pod,
    workload: &Workload,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Result<Elsewhere, &'static str> {
    let replaced = s.all_jobs().any(|job| {
        let same = is_of(job, workload);
        same && job.applied_at.is_some() && job.attempts_reset_at.is_none()
    });
    if replaced || tried_in_vain(workload, s) {
        return Err("and replacing one did not help");
    }
    match elsewhere::elsewhere(pod, inventory, s) {
        other @ Elsewhere::On(_) => Ok(other),
        Elsewhere::Nowhere(_) | Elsewhere::NotKnown(_) => {
            Err("and no other node is known to take a new one, which would tell more")
        }
    }
}

/// Was a pod of this workload replaced and it did not help?
fn tried_in_vain(workload: &Workload, s: &Snapshot<'_>) -> bool {
    s.all_jobs().any(|job| {
        let same = is_of(job, workload);
        let in_vain = match job.state {
            JobState::Failed | JobState::Compensated | JobState::Unknown | JobState::Expired => true,
            JobState::Succeeded
            | JobState::Refused
            | JobState::Pending
            | JobState::Dispatched
            | JobState::Running => false,
        };
        same && in_vain && job.attempts_reset_at.is_none()
    })
}

fn replace(
    controller: Controller,
    pod: &Pod,
    container: &Container,
    hold: bool,
    why: &str,
    settings: &Settings,
) -> Answer {
    let name = format!("{}/{}", pod.meta.namespace, pod.meta.name);
    let Controller { object, kind, revision, workload } = controller;
    let node = if hold {
        format!(
            "{} is held back by the taint {HELD} until the replacement is bound; pods on it stay",
            pod.node
        )
    } else {
        "no node is held back".to_owned()
    };
    let mut changes = vec![
        format!("pod {name} on {} is evicted (PodDisruptionBudgets are honoured)", pod.node),
        format!("{kind} {} creates its replacement, revision {revision} as before", object.name),
        node,
    ];
    let lost = pod.facts.iter().flat_map(|facts| &facts.lost_volumes);
    changes.extend(lost.map(|volume| format!("what is in {volume} of {name} {LOST}")));
    Answer::Act(Box::new(Draft {
        summary: format!("evict pod {name} from {}; {kind} {} creates a new one", pod.node, object.name),
        changes,
        outlook: outlook(pod, hold, settings),
        rationale: format!("a new pod can differ from the old one: {why}"),
        ways: ways(hold),
        object: pod.object(),
        workload: Some(workload),
        action: Body::RestartPod(v1::RestartPod {
            pod: Some(pod.meta.target()),
            owner: Some(object),
            node: pod.node.clone(),
            avoid_node: hold,
            container: container.name.clone(),
            min_restarts: settings.crash_loop_restarts,
            owner_kind: kind.as_str().to_owned(),
        }),
    }))
}

/// What follows an eviction that was refused, or that did not help.
fn outlook(pod: &Pod, hold: bool, settings: &Settings) -> Outlook {
    let let_go = if hold { format!(" {} is let go again in every case.", pod.node) } else { String::new() };
    let attempts = settings.attempts;
    Outlook::not_undone(
        "an evicted pod cannot be brought back; the pod that replaced it stays",
        format!(
            "an eviction that is refused changes nothing and is tried again later. Where the new pod fails too, it stays, and \
             Nimbus tries at most {attempts} times in all, with a longer wait each time; then a person has to look.{let_go}"
        ),
    )
}

fn ways(hold: bool) -> Vec<Alternative> {
    let (why_kept, why_any) = if hold {
        (
            "only this node's pods fail while the same template is well elsewhere",
            "it could come back to the same node",
        )
    } else {
        (
            "nothing shows that its node is to blame, or it may not be held",
            "the least intrusive way; where it lands is told",
        )
    };
    vec![
        Alternative::new("evict the pod and hold its node back for the replacement", hold, why_kept),
        Alternative::new("evict the pod, any node", !hold, why_any),
        Alternative::new(
            "restart the container",
            false,
            "the kubelet does that already, and it did not help",
        ),
    ]
}
