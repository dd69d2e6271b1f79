//! When the maximum of an autoscaler is not raised, and what is said instead.

use super::super::{Answer, earlier, more_pods};
use super::Allowed;
use crate::causes::autoscaler_at_maximum::{pods_of_target, raise_by_hand, unschedulable, unwell};
use crate::fit::room::room_for;
use crate::model::{ActionKind, Incident, Job, JobState};
use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::world::{AutoscalerState, HorizontalPodAutoscaler, Inventory, Object as _, Pod};

/// Raised so often within a day, a maximum is a person's.
const MOST_A_DAY: usize = 3;

/// What may be asked for, where nothing speaks against it; otherwise the answer to give. `planned` is what is asked for already: pods that are
/// not ready for a moment, or a figure at its aim, take nothing back; it is begun only while all is as it has to be.
pub(super) fn why(
    incident: &Incident,
    it: &HorizontalPodAutoscaler,
    planned: Option<u32>,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Result<Allowed, Answer> {
    let newest = is_ours(it, inventory)?;
    let workload = inventory.workload_of(newest);
    if let Some(why) = unschedulable(it, inventory) {
        return Err(Answer::Recommend(why));
    }
    if let Some(why) = unwell(it, inventory).filter(|_| planned.is_none()) {
        return Err(Answer::Recommend(why));
    }
    if let Some(why) = more_pods::moves(&workload, inventory).filter(|_| planned.is_none()) {
        return Err(Answer::Wait(why));
    }
    if let Some(other) = more_pods::in_trouble(&workload, incident, s) {
        return Err(Answer::Wait(format!("{} comes first: {}", other.title, other.id)));
    }
    let Some(from) = u32::try_from(it.max_replicas).ok().filter(|from| *from > 0) else {
        return Err(by_hand(it, &format!("the maximum of {} cannot be read", it.object())));
    };
    taken_back(it, from)?;
    tried(incident, it, s)?;
    let wanted = match (planned, it.wanted().filter(|_| it.state() == AutoscalerState::WantsMore)) {
        (_, Some((wanted, _))) => wanted,
        (Some(planned), None) => planned.into(),
        (None, None) => return Err(by_hand(it, "how many replicas would do is not known")),
    };
    if planned.is_none()
        && it.state_since.is_none_or(|since| later(since, s.settings.autoscalers.lasting()) > s.now)
    {
        return Err(Answer::Wait(format!(
            "{} comes and goes at its maximum; asked once that lasts",
            it.object()
        )));
    }
    bounded(it, newest, (from, wanted), inventory, s).map(|(most, bounded_by)| Allowed {
        from,
        wanted,
        most,
        bounded_by,
        workload,
    })
}

fn by_hand(it: &HorizontalPodAutoscaler, why: &str) -> Answer {
    Answer::Recommend(format!("{why}; {}", raise_by_hand(it)))
}

/// The newest pod of what it scales, which is made from the template of now, where Nimbus may raise it at all.
fn is_ours<'a>(it: &'a HorizontalPodAutoscaler, inventory: &'a Inventory) -> Result<&'a Pod, Answer> {
    if !it.manager.is_empty() {
        return Err(Answer::Recommend(raise_by_hand(it)));
    }
    let is_scaled = it.target_api_version.starts_with("apps/")
        && matches!(it.target_kind.as_str(), "Deployment" | "StatefulSet");
    if !is_scaled {
        return Err(by_hand(
            it,
            &format!(
                "{} scales {} {} of {}, which Nimbus does not know",
                it.object(),
                it.target_kind,
                it.target_name,
                it.target_api_version
            ),
        ));
    }
    if it.never_scales_up {
        return Err(by_hand(
            it,
            &format!(
                "{} makes no more by its own behavior.scaleUp.selectPolicy, which is Disabled",
                it.object()
            ),
        ));
    }
    let newest = pods_of_target(it, inventory).max_by_key(|pod| (pod.meta.created_at, &pod.meta.uid));
    newest.ok_or_else(|| by_hand(it, &format!("no pod of {} {} is known", it.target_kind, it.target_name)))
}

/// Somebody wrote a smaller maximum than Nimbus did: two that write against each other help nobody.
fn taken_back(it: &HorizontalPodAutoscaler, from: u32) -> Result<(), Answer> {
    let Some(raised) = it.raised_to.filter(|raised| *raised > from) else { return Ok(()) };
    let by = if it.bounds_writer.is_empty() { "somebody" } else { it.bounds_writer.as_str() };
    Err(Answer::Recommend(format!(
        "Nimbus raised the maximum of {} to {raised} before, and {by} took it back to {from}: Nimbus does not write against that; raise \
         spec.maxReplicas there, or take the annotation nimbus.dev/raised-maximum away so that Nimbus asks again",
        it.object()
    )))
}

/// The most that the step, the ceiling and the nodes let it have, which is more than `from`, and what bounds it.
fn bounded(
    it: &HorizontalPodAutoscaler,
    newest: &Pod,
    (from, wanted): (u32, u64),
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Result<(u32, String), Answer> {
    let step = s.settings.autoscalers.most(from);
    if step <= from {
        return Err(by_hand(
            it,
            &format!(
                "{} is at the ceiling of {} replicas that the settings have (autoscalers.ceiling_replicas)",
                it.object(),
                s.settings.autoscalers.ceiling_replicas
            ),
        ));
    }
    let room = room_for(newest, inventory, s.settings, s.now);
    let fits = u32::try_from(room.fits).unwrap_or(u32::MAX);
    let most = step.min(from.saturating_add(fits));
    if most <= from {
        return Err(match room.doubt {
            Some(doubt) => by_hand(
                it,
                &format!("whether the nodes have room for more of its pods is not known: {doubt}"),
            ),
            None => Answer::Recommend(format!(
                "no node has room for one more pod of {} {} ({}): add nodes, or lower what its pods request, before spec.maxReplicas ({}) \
                 is raised",
                it.target_kind, it.target_name, room.full, it.max_replicas
            )),
        });
    }
    let bounded_by = if u64::from(most) >= wanted {
        String::new()
    } else if most == step {
        format!("the settings let no step be greater (autoscalers.step_percent, ceiling_replicas): {step}")
    } else {
        format!("the nodes that are there have room for {} more", most.saturating_sub(from))
    };
    Ok((most, bounded_by))
}

/// What was tried on this very autoscaler before.
fn tried(incident: &Incident, it: &HorizontalPodAutoscaler, s: &Snapshot<'_>) -> Result<(), Answer> {
    let name = it.object();
    let of_it = |job: &&Job| {
        job.action == ActionKind::RaiseAutoscalerMaximum
            && job.scope == incident.scope
            && job.object.uid() == it.meta.uid
    };
    more_pods::not_let(&name, s.all_jobs().filter(of_it), s.now)?;
    let raised: Vec<(&Job, jiff::Timestamp)> = s
        .all_jobs()
        .filter(of_it)
        .filter_map(|job| Some((job, earlier::changed_at(job)?)))
        .filter(|(_, at)| earlier::lately(*at, more_pods::A_DAY, s.now))
        .collect();
    let last = raised.iter().max_by_key(|(_, at)| *at);
    if let Some((last, at)) = last.filter(|(last, _)| last.state == JobState::Compensated) {
        return Err(Answer::Recommend(format!(
            "{name} was let make more at {at:.0}, no more pods were seen to become ready, and its maximum was put back ({}): see why before \
             spec.maxReplicas is raised by hand; asked again a day after that",
            last.reason
        )));
    }
    if raised.len() >= MOST_A_DAY {
        return Err(Answer::Recommend(format!(
            "the maximum of {name} was raised {} times within a day and holds it back again: see whether what it measures is load that \
             replicas take off, and raise spec.maxReplicas ({}) by hand",
            raised.len(),
            it.max_replicas
        )));
    }
    let from = raised.iter().map(|(_, at)| later(*at, s.settings.autoscalers.cool_down())).max();
    match from.filter(|from| s.now < *from) {
        Some(from) => Err(Answer::Wait(format!(
            "the maximum of {name} was raised lately and holds it back again: the next step is planned from {from:.0} on, as the settings \
             say (autoscalers.cool_down_s)"
        ))),
        None => Ok(()),
    }
}
