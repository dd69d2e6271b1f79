//! When a workload is not scaled, and what is said instead.

use super::super::{Answer, earlier, more_pods};
use super::{Looked, Step};
use crate::causes::load_high::shown;
use crate::fit::room::room_for;
use crate::model::{ActionKind, IncidentKind, Job, JobState};
use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::world::Pod;

/// Scaled out so often within a day, a workload wants an autoscaler.
const MOST_A_DAY: usize = 12;

/// The step outwards, where nothing speaks against it; otherwise the answer to give.
pub(super) fn out(of: &Looked<'_>, s: &Snapshot<'_>) -> Result<Step, Answer> {
    let (load, settings, name) = (of.load, &s.settings.load, &of.incident.object);
    let by_hand = |why: &str| Answer::Recommend(format!("{name} is busy, and {why}"));
    let Some(scale_to) = load.scale_to else {
        return Err(Answer::Wait(format!("{name} does not ask to be scaled out any more")));
    };
    if of.planned.is_none() {
        let since = load.since(s.now, |permille| permille >= settings.busy());
        if since.is_none_or(|since| later(since, settings.busy_for()) > s.now) {
            return Err(Answer::Wait(format!(
                "{name} is busy now and then ({}); scaled once that lasts",
                shown(load)
            )));
        }
    }
    somebody_elses(of).map_err(|why| by_hand(&why))?;
    if let Some((_, to)) = load.scaled.filter(|(_, to)| *to > load.replicas) {
        return Err(by_hand(&format!(
            "Nimbus gave it {to} replicas before, and somebody set {} since: Nimbus does not write against that; scale it where that comes from, \
             or take the annotation nimbus.dev/scaled away so that Nimbus scales it again",
            load.replicas
        )));
    }
    is_well(of, s)?;
    let from = load.replicas;
    if from == 0 {
        return Err(Answer::Wait(format!("{name} has no replicas")));
    }
    if from >= scale_to.min(settings.ceiling_replicas) {
        return Err(by_hand(&format!(
            "it has {from} replicas, as many as its label nimbus.dev/scale-to ({scale_to}) and the ceiling of the settings ({}, \
             load.ceiling_replicas) allow: raise them, or make each of its pods do with less",
            settings.ceiling_replicas
        )));
    }
    tried(of, s)?;
    let wanted = settings.suits(from, load.permille().unwrap_or(0)).max(from.saturating_add(1));
    let wanted = of.planned.filter(|planned| *planned > from).unwrap_or(wanted);
    let newest = newest(of).ok_or_else(|| by_hand("no pod of it is known"))?;
    let room = room_for(newest, of.inventory, s.settings, s.now);
    let fits = from.saturating_add(u32::try_from(room.fits).unwrap_or(u32::MAX));
    if fits <= from {
        return Err(match room.doubt {
            Some(doubt) => {
                by_hand(&format!("whether the nodes have room for more of its pods is not known: {doubt}"))
            }
            None => by_hand(&format!(
                "no node has room for one more of its pods ({}): add nodes, or lower what they request",
                room.full
            )),
        });
    }
    let to = wanted.min(settings.most(from)).min(scale_to).min(fits);
    let bounded_by = if to >= wanted {
        String::new()
    } else if to == fits {
        format!("the nodes that are there have room for {} more", fits - from)
    } else if to == scale_to {
        format!("its label nimbus.dev/scale-to says {scale_to}")
    } else {
        format!(
            "the settings let no step be greater (load.step_percent, ceiling_replicas): {}",
            settings.most(from)
        )
    };
    let base = load.scaled_out_from().unwrap_or(from);
    Ok(Step { from, to, base, least: from, bounded_by })
}

/// The step inwards, where nothing speaks against it; otherwise the answer to give.
pub(super) fn inwards(of: &Looked<'_>, s: &Snapshot<'_>) -> Result<Step, Answer> {
    let (load, settings, name) = (of.load, &s.settings.load, &of.incident.object);
    let Some(base) = load.scaled_out_from() else {
        return Err(Answer::Wait(format!(
            "the number of replicas that {name} has is not Nimbus's to take back"
        )));
    };
    if of.planned.is_none() {
        let since = load.since(s.now, |permille| permille <= settings.calm());
        if since.is_none_or(|since| later(since, settings.calm_for()) > s.now) {
            return Err(Answer::Wait(format!(
                "{name} is calm now and then ({}); scaled in once that lasts",
                shown(load)
            )));
        }
    }
    somebody_elses(of)
        .map_err(|why| Answer::Recommend(format!("{name} was scaled out and is calm, and {why}")))?;
    is_well(of, s)?;
    put_back(of, s)?;
    cool(of, s)?;
    let from = load.replicas;
    let least = settings.suits(from, load.permille().unwrap_or(0)).max(base);
    // What was planned when it needed fewer is not what it needs now.
    let planned = of.planned.filter(|planned| *planned < from && *planned >= least);
    let to = planned.unwrap_or_else(|| least.max(from.div_ceil(2)));
    if to >= from {
        return Err(Answer::Wait(format!("{name} needs what it has: {}", shown(load))));
    }
    Ok(Step { from, to, base, least, bounded_by: String::new() })
}

/// Who else decides how many pods it has, or what they ask for.
fn somebody_elses(of: &Looked<'_>) -> Result<(), String> {
    let load = of.load;
    if !load.manager.is_empty() {
        let who = crate::world::manager_name(&load.manager);
        return Err(format!("{who} keeps how many pods it has ({}): scale it there", load.manager_evidence));
    }
    if !load.vertical.is_empty() {
        return Err(format!(
            "a VerticalPodAutoscaler sets what its pods ask for ({}): how busy they are by that is its own measure",
            load.vertical
        ));
    }
    let scales = |it: &&crate::world::HorizontalPodAutoscaler| {
        it.meta.namespace == load.meta.namespace
            && it.target_kind == load.kind
            && it.target_name == load.meta.name
    };
    match of.inventory.horizontal_pod_autoscalers.values().find(scales) {
        Some(it) => Err(format!(
            "HorizontalPodAutoscaler {} decides how many pods it has: take the label nimbus.dev/scale-to away",
            it.meta.name
        )),
        None => Ok(()),
    }
}

/// Is all of it out, ready, and without another trouble?
fn is_well(of: &Looked<'_>, s: &Snapshot<'_>) -> Result<(), Answer> {
    // A pod that is not ready for a moment takes nothing back that was asked for; nothing is begun in such a moment.
    if of.planned.is_none() {
        if !of.load.settled || of.load.ready < of.load.replicas {
            return Err(Answer::Wait(format!(
                "{} is not out: {} of {} pods are ready, or a rollout is under way",
                of.incident.object, of.load.ready, of.load.replicas
            )));
        }
        if let Some(why) = more_pods::moves(of.workload, of.inventory) {
            return Err(Answer::Wait(why));
        }
    }
    match more_pods::in_trouble(of.workload, of.incident, s) {
        Some(other) => Err(Answer::Wait(format!("{} comes first: {}", other.title, other.id))),
        None => Ok(()),
    }
}

/// Its newest pod, which is made from the template of now.
fn newest<'a>(of: &Looked<'a>) -> Option<&'a Pod> {
    let its = of
        .inventory
        .pods_of_namespace(&of.load.meta.namespace)
        .filter(|pod| pod.is_active() && of.inventory.workload_of(pod).uid() == of.load.meta.uid);
    its.max_by_key(|pod| (pod.meta.created_at, &pod.meta.uid))
}

/// The jobs that scaled it within a day, and when.
fn scaled<'s>(of: &Looked<'_>, s: &Snapshot<'s>) -> Vec<(&'s Job, jiff::Timestamp)> {
    its_jobs(of, s)
        .filter_map(|job| Some((job, earlier::changed_at(job)?)))
        .filter(|(_, at)| earlier::lately(*at, more_pods::A_DAY, s.now))
        .collect()
}

fn its_jobs<'s>(of: &Looked<'_>, s: &Snapshot<'s>) -> impl Iterator<Item = &'s Job> + use<'s> {
    let (scope, uid) = (of.incident.scope.clone(), of.load.meta.uid.clone());
    s.all_jobs().filter(move |job| {
        job.action == ActionKind::ScaleWorkload && job.scope == scope && job.object.uid() == uid
    })
}

/// Was it scaled a moment ago?
fn cool(of: &Looked<'_>, s: &Snapshot<'_>) -> Result<(), Answer> {
    let from = scaled(of, s).iter().map(|(_, at)| later(*at, s.settings.load.cool_down())).max();
    match from.filter(|from| s.now < *from) {
        Some(from) => Err(Answer::Wait(format!(
            "{} was scaled lately: the next step is planned from {from:.0} on, as the settings say (load.cool_down_s)",
            of.incident.object
        ))),
        None => Ok(()),
    }
}

/// Was it scaled this way within a day, and put back? What was tried the other way says nothing of this one.
fn put_back(of: &Looked<'_>, s: &Snapshot<'_>) -> Result<(), Answer> {
    let scaled = scaled(of, s);
    let inwards = of.incident.kind == IncidentKind::ScaledOut;
    // Of one of an earlier version it is not known which way it was.
    let this_way = |job: &Job| job.scales_in.is_none_or(|was| was == inwards);
    let its = scaled.iter().filter(|(job, _)| this_way(job));
    match its.max_by_key(|(_, at)| *at).filter(|(last, _)| last.state == JobState::Compensated) {
        Some((last, at)) => Err(Answer::Recommend(format!(
            "{} was scaled at {at:.0}, which did not help, and got back what it had ({}): see why before it is scaled by hand; tried again a \
             day after that",
            of.incident.object, last.reason
        ))),
        None => Ok(()),
    }
}

/// What was tried on this very workload before.
fn tried(of: &Looked<'_>, s: &Snapshot<'_>) -> Result<(), Answer> {
    let name = &of.incident.object;
    more_pods::not_let(name, its_jobs(of, s), s.now)?;
    put_back(of, s)?;
    let scaled = scaled(of, s);
    if scaled.len() >= MOST_A_DAY {
        return Err(Answer::Recommend(format!(
            "{name} was scaled {} times within a day and is busy again: a HorizontalPodAutoscaler is for that",
            scaled.len()
        )));
    }
    cool(of, s)
}
