//! When the maximum of an autoscaler is not raised, and what is said instead.

use jiff::SignedDuration;
use nimbus_protocol::action::MORE_REPLICAS;

use super::super::Answer;
use super::Allowed;
use crate::causes::autoscaler_at_maximum::{against, pods_of_target, raise_by_hand};
use crate::fit::room::room_for;
use crate::model::{ActionKind, Incident, Job, JobState};
use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::world::{AutoscalerState, HorizontalPodAutoscaler, Inventory, Object as _};

/// Raised so often within [`A_DAY`], a maximum is a person's.
const MOST_A_DAY: usize = 3;
/// See [`MOST_A_DAY`].
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// No clocks of one site are so far apart.
const APART: SignedDuration = SignedDuration::from_hours(1);
/// For so long nobody is asked again where there was no quota or no leave; twice as long after each time more within a day,
/// [`LONGEST`] at most.
const NOT_LET: SignedDuration = SignedDuration::from_hours(1);
/// See [`NOT_LET`].
const LONGEST: SignedDuration = SignedDuration::from_hours(8);
/// What may be asked for, where nothing speaks against it; otherwise the answer to give.
pub(super) fn why(
    incident: &Incident,
    it: &HorizontalPodAutoscaler,
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Result<Allowed, Answer> {
    let name = it.object();
    let by_hand = |why: String| Answer::Recommend(format!("{why}; {}", raise_by_hand(it)));
    if let Some(why) = against(it, inventory) {
        return Err(Answer::Recommend(why));
    }
    if !it.manager.is_empty() {
        return Err(Answer::Recommend(raise_by_hand(it)));
    }
    let is_scaled = it.target_api_version.starts_with("apps/")
        && matches!(it.target_kind.as_str(), "Deployment" | "StatefulSet");
    if !is_scaled {
        return Err(by_hand(format!(
            "{name} scales {} {} of {}, which Nimbus does not know",
            it.target_kind, it.target_name, it.target_api_version
        )));
    }
    let known = it.wanted().filter(|_| it.state() == AutoscalerState::WantsMore);
    let Some((wanted, _)) = known else {
        return Err(by_hand("how many replicas would do is not known".to_owned()));
    };
    tried(incident, it, s)?;
    let Some(from) = u32::try_from(it.max_replicas).ok().filter(|from| *from > 0) else {
        return Err(by_hand(format!("the maximum of {name} cannot be read")));
    };
    // The newest is made from the template of now.
    let newest = pods_of_target(it, inventory).max_by_key(|pod| (pod.meta.created_at, &pod.meta.uid));
    let Some(newest) = newest else {
        return Err(by_hand(format!("no pod of {} {} is known", it.target_kind, it.target_name)));
    };
    let step = s.settings.autoscalers.most(from);
    if step <= from {
        return Err(by_hand(format!(
            "{name} is at the ceiling of {} replicas that the settings have (autoscalers.ceiling_replicas)",
            s.settings.autoscalers.ceiling_replicas
        )));
    }
    let room = room_for(newest, inventory, s.settings, s.now);
    let fits = u32::try_from(room.fits).unwrap_or(u32::MAX);
    let most = step.min(from.saturating_add(fits));
    if most <= from {
        return Err(match room.doubt {
            Some(doubt) => {
                by_hand(format!("whether the nodes have room for more of its pods is not known: {doubt}"))
            }
            None => Answer::Recommend(format!(
                "no node has room for one more pod of {} {} ({}): add nodes, or lower what its pods request, before spec.maxReplicas ({}) \
                 is raised",
                it.target_kind, it.target_name, room.full, it.max_replicas
            )),
        });
    }
    let bounded_by = if most == step {
        format!("the settings let no step be greater (autoscalers.step_percent, ceiling_replicas): {step}")
    } else {
        format!("the nodes that are there have room for {} more", most.saturating_sub(from))
    };
    Ok(Allowed { from, wanted, most, bounded_by, workload: inventory.workload_of(newest) })
}

/// What was tried on this very autoscaler before.
fn tried(incident: &Incident, it: &HorizontalPodAutoscaler, s: &Snapshot<'_>) -> Result<(), Answer> {
    let name = it.object();
    let of_it = |job: &&Job| {
        job.action == ActionKind::RaiseAutoscalerMaximum
            && job.scope == incident.scope
            && job.object.uid() == it.meta.uid
    };
    // What is dated far ahead was dated by a clock that has jumped since, and says nothing of when it was.
    let lately = |at: &jiff::Timestamp| {
        let ago = s.now.duration_since(*at);
        ago < A_DAY && ago > -APART
    };
    let refused: Vec<&Job> = s
        .all_jobs()
        .filter(of_it)
        .filter(|job| job.state == JobState::Refused && job.reason.contains(MORE_REPLICAS))
        .filter(|job| job.finished_at.as_ref().is_some_and(lately))
        .collect();
    if let Some(last) = refused.iter().max_by_key(|job| job.finished_at) {
        let times = i32::try_from(refused.len().min(6)).unwrap_or(6);
        let from =
            later(last.finished_at.unwrap_or(last.created_at), (NOT_LET * (1 << (times - 1))).min(LONGEST));
        if s.now < from {
            return Err(Answer::Recommend(format!(
                "{name} is held back by its maximum, and more replicas may not be made ({}): make room there; asked again from {from:.0} on",
                last.reason
            )));
        }
    }
    let raised: Vec<(&Job, jiff::Timestamp)> = s
        .all_jobs()
        .filter(of_it)
        .filter_map(|job| Some((job, raised_at(job)?)))
        .filter(|(_, at)| lately(at))
        .collect();
    if let Some((last, at)) =
        raised.iter().max_by_key(|(_, at)| *at).filter(|(last, _)| last.state == JobState::Compensated)
    {
        return Err(Answer::Recommend(format!(
            "{name} was let make more at {at:.0}, none of them became ready, and its maximum was put back ({}): see why before \
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

/// When a job raised the maximum, as far as is known; `None` for one that changed nothing.
fn raised_at(job: &Job) -> Option<jiff::Timestamp> {
    match job.state {
        JobState::Succeeded | JobState::Unknown | JobState::Compensated => {
            Some(job.applied_at.or(job.finished_at).unwrap_or(job.created_at))
        }
        JobState::Failed | JobState::Expired | JobState::Running => job.applied_at,
        JobState::Pending | JobState::Dispatched | JobState::Refused => None,
    }
}
