//! The cause `rollout_stuck`: the newest revision of a Deployment does not work.
//!
//! A revision is judged by what its pods do, not by the deadline alone. Without a readiness probe a pod is ready until it
//! dies, so such a rollout completes, and its deadline never passes. What is wrong with it says [`trouble`].

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::settings::{Settings, later, millis};
use crate::snapshot::Snapshot;
use crate::world::{Deployment, Inventory, Object as _, Pod, Rollout, Standing};

pub(super) struct RolloutStuck;

/// What is wrong with a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RolloutTrouble {
    /// Pods cannot be made, or cannot start, for a reason that is not in the template; in the words of whoever said so.
    NoPods(String),
    /// It is past its progress deadline.
    Deadline,
    /// Its pods crash, soon after it came out; an older revision lasted.
    Crashes(String),
    /// It has no progress deadline, and its pods were never ready for as long as the default one; an older revision lasted.
    NeverReady(String),
}

impl Cause for RolloutStuck {
    fn needs(&self) -> &'static [ObjectKind] {
        pods::NEEDS
    }

    fn depth(&self) -> u8 {
        4
    }

    fn key_word(&self) -> &'static str {
        "rollout"
    }

    /// As if time enough had passed for everything that takes time; whether it has is [`Cause::is_due`]'s.
    fn detect(&self, place: Place<'_>, settings: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let finding = |d: &Deployment| {
            let trouble = trouble(inventory, d, settings, None)?;
            let reference = d.reference();
            let (scope, object) =
                (Scope::Cluster(cluster.to_owned()), ObjectRef::Kubernetes(reference.clone()));
            Some(Finding {
                workload: Some(Workload::Deployment(reference)),
                what: what(d, &trouble),
                ..Finding::new(IncidentKind::RolloutStuck, scope, object, evidence(inventory, d, &trouble))
            })
        };
        inventory.deployments.values().filter_map(finding).collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let Some(inventory) = s.inventory(scope) else { return false };
        let deployment = inventory.deployments.get(object.uid());
        deployment.is_some_and(|d| trouble(inventory, d, s.settings, Some(now)).is_some())
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: {}", finding.subject(), finding.what)
    }

    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity {
        pods::severity(finding, inventory)
    }

    /// A revision that is known to be bad has to last; otherwise the settling time is enough.
    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let found = s
            .inventory(&incident.scope)
            .and_then(|inventory| Some((inventory, inventory.deployments.get(incident.object.uid())?)));
        let doubtful = found.is_some_and(|(inventory, d)| {
            d.desired > 0
                && inventory.trouble_of_present(d).is_some()
                && !lasts(inventory, d, s.settings, now)
        });
        if doubtful { None } else { pods::recovered(s, incident, now) }
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        pods::agreement(s, incident)
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a rollout does not complete: look at its newest pods and events, or roll it back"
    }
}

/// What is wrong with the newest revision of `d` at this moment, if anything is; `None` for the moment means as if whatever
/// takes time had taken it.
pub(crate) fn trouble(
    inventory: &Inventory,
    d: &Deployment,
    settings: &Settings,
    now: Option<Timestamp>,
) -> Option<RolloutTrouble> {
    if d.meta.deleting || d.desired == 0 {
        return None;
    }
    let stuck = d.rollout() == Rollout::Stuck;
    if let Some(why) = no_pods(inventory, d, settings, now, stuck) {
        return Some(RolloutTrouble::NoPods(why));
    }
    if stuck && had_their_time(inventory, d, now) {
        return Some(RolloutTrouble::Deadline);
    }
    let crashes = crashes(inventory, d, settings, now).map(RolloutTrouble::Crashes);
    crashes.or_else(|| never_ready(inventory, d, settings, now).map(RolloutTrouble::NeverReady))
}

/// Why there is no pod, or none that can start, if that is why the rollout does not go on.
fn no_pods(
    inventory: &Inventory,
    d: &Deployment,
    settings: &Settings,
    now: Option<Timestamp>,
    stuck: bool,
) -> Option<String> {
    if stuck && d.progressing_reason == "ReplicaSetCreateError" {
        return Some(format!("{}: {}", d.progressing_reason, d.progressing_message));
    }
    if let Some(more) = d.more.as_ref().filter(|more| !more.replica_failure.is_empty()) {
        // A moment of it is how a surge looks that had to wait for room.
        let lasts = passed(more.replica_failure_since, settings.settle(), now);
        let missing = d.updated < d.desired || d.available < d.desired;
        // A revision whose pods fail does not go free because not all of them could be made.
        let failing = newest_pods(inventory, d).any(Pod::is_unhealthy);
        return (missing && !failing && (stuck || lasts)).then(|| more.replica_failure.clone());
    }
    if stuck { none_starts(inventory, d).or_else(|| none_begins(inventory, d, now)) } else { None }
}

/// Why none of the newest revision's pods that are not ready gets as far as a container, of one that had its time; `None` where
/// one does.
fn none_begins(inventory: &Inventory, d: &Deployment, now: Option<Timestamp>) -> Option<String> {
    let late =
        |pod: &&Pod| inventory.waits_to_begin(pod) && passed(pod.meta.created_at, d.progress_deadline(), now);
    let pod = newest_pods(inventory, d).filter(|pod| !pod.ready).find(late)?;
    let all = newest_pods(inventory, d).filter(|pod| !pod.ready).all(|pod| inventory.is_held_up(pod));
    all.then(|| {
        let why = pods::none_begun(pod, Some(d.progress_deadline()));
        format!("pod {}/{} on {}: {why}", pod.meta.namespace, pod.meta.name, pod.node)
    })
}

/// Why none of the newest revision's pods that are not ready can start, of one of them; `None` where there is none, or one can.
pub(crate) fn none_starts(inventory: &Inventory, d: &Deployment) -> Option<String> {
    let mut unready = newest_pods(inventory, d).filter(|pod| !pod.ready).peekable();
    let pod = unready.peek().copied()?;
    let why = inventory.cannot_start(pod)?;
    let all = unready.all(|pod| inventory.cannot_start(pod).is_some());
    all.then(|| format!("pod {}/{}: {why}", pod.meta.namespace, pod.meta.name))
}

/// Was every one of the newest revision's pods that is not ready made some time ago?
pub(crate) fn unready_since_long(
    inventory: &Inventory,
    d: &Deployment,
    settings: &Settings,
    now: Option<Timestamp>,
) -> bool {
    let mut unready = newest_pods(inventory, d).filter(|pod| !pod.ready);
    unready.all(|pod| passed(pod.meta.created_at, settings.settle(), now))
}

/// Had the pods of the newest revision the time that its deadline gives them? Not where they could be made or start only now,
/// as after a quota was raised or a Secret was made: the deadline passed without them.
fn had_their_time(inventory: &Inventory, d: &Deployment, now: Option<Timestamp>) -> bool {
    let long_ago = |since: Option<Timestamp>| passed(since, d.progress_deadline(), now);
    let failed = |pod: &Pod| {
        let time = || long_ago(pod.meta.created_at.max(pod.held_up_until)) && !inventory.waits_to_begin(pod);
        !pod.ready && (pod.is_unhealthy() || time())
    };
    // One that became ready only now is how a rollout goes on, before its status says so.
    let comes_up = |pod: &Pod| !pod.ready || !long_ago(pod.ready_since);
    newest_pods(inventory, d).any(failed) || !newest_pods(inventory, d).any(comes_up)
}

/// The pods of the newest revision that still have to run.
fn newest_pods<'a>(inventory: &'a Inventory, d: &Deployment) -> impl Iterator<Item = &'a Pod> {
    let set = inventory.present_set(d).map_or("", |set| set.meta.uid.as_str());
    inventory.pods_of(&d.meta.uid).filter(move |pod| pod.meta.owner_uid == set)
}

/// How the newest revision fails, if it does so soon after it came out, never lasted, and an older one did.
///
/// Between two crashes its pods are ready for a moment: that changes nothing until the revision lasts.
fn crashes(
    inventory: &Inventory,
    d: &Deployment,
    settings: &Settings,
    now: Option<Timestamp>,
) -> Option<String> {
    let found = inventory.trouble_of_present(d)?;
    let soon = later(inventory.came_out_at(d)?, millis(settings.rollout_suspect_ms));
    let again = |pod: &Pod| pod.containers.iter().any(|c| c.restarts >= settings.crash_loop_restarts);
    if found.first_at > soon || !newest_pods(inventory, d).any(again) {
        return None;
    }
    let well_again = now.is_some_and(|now| lasts(inventory, d, settings, now));
    let soak = settings.good_after(d.min_ready_seconds());
    // What held is noted when it ends: whether this one lasted before it failed needs no clock.
    let lasted_itself = inventory.ever_lasted(d, soak, Timestamp::MIN);
    let guilty = !well_again && !lasted_itself && an_older_one_lasted(inventory, d, soak, now);
    guilty.then(|| found.what.clone())
}

/// How the newest revision fails, if it has no deadline that could pass, and none of its pods was ever ready in the time that is
/// given where nothing else is said, while an older one lasted.
fn never_ready(
    inventory: &Inventory,
    d: &Deployment,
    settings: &Settings,
    now: Option<Timestamp>,
) -> Option<String> {
    if !d.has_no_deadline() || d.is_behind() || d.paused {
        return None;
    }
    let fails = |pod: &Pod| {
        let late = passed(pod.meta.created_at.max(pod.held_up_until), d.progress_deadline(), now);
        !pod.ready
            && pod.seen_ready_ms.is_none()
            && !pod.node.is_empty()
            && late
            && !inventory.is_held_up(pod)
    };
    let mut pods = newest_pods(inventory, d).peekable();
    let pod = *pods.peek()?;
    let soak = settings.good_after(d.min_ready_seconds());
    let guilty = pods.all(fails)
        && !inventory.ever_lasted(d, soak, Timestamp::MIN)
        && an_older_one_lasted(inventory, d, soak, now);
    guilty.then(|| {
        format!(
            "its pod {} was not ready once in {} s, and it has no progress deadline that could pass",
            pod.meta.name,
            d.progress_deadline().as_secs()
        )
    })
}

/// Has the newest revision lasted by now, whatever its trouble was?
fn lasts(inventory: &Inventory, d: &Deployment, settings: &Settings, now: Timestamp) -> bool {
    let soak = settings.good_after(d.min_ready_seconds());
    matches!(inventory.standing(d, &d.template_hash, soak, now), Standing::Lasted(_))
}

fn an_older_one_lasted(
    inventory: &Inventory,
    d: &Deployment,
    soak: SignedDuration,
    now: Option<Timestamp>,
) -> bool {
    let now = now.unwrap_or(Timestamp::MAX);
    let lasted = |hash: &str| {
        hash != d.template_hash && matches!(inventory.standing(d, hash, soak, now), Standing::Lasted(_))
    };
    let remembered = inventory.histories.get(&d.meta.uid).into_iter().flat_map(|h| &h.revisions);
    let mut remembered = remembered.map(|one| one.template_hash.as_str());
    let mut there = inventory.replica_sets_of(&d.meta.uid).map(|set| set.template_hash.as_str());
    remembered.any(lasted) || there.any(lasted)
}

/// Has so much time passed since then? Where it is not known since when, or what time it is, it has.
fn passed(since: Option<Timestamp>, time: SignedDuration, now: Option<Timestamp>) -> bool {
    since.zip(now).is_none_or(|(since, now)| later(since, time) <= now)
}

fn what(d: &Deployment, trouble: &RolloutTrouble) -> String {
    match trouble {
        RolloutTrouble::NoPods(_) => "its pods cannot be made or cannot start".to_owned(),
        RolloutTrouble::Deadline => "the new revision does not become available".to_owned(),
        RolloutTrouble::Crashes(_) => format!("the pods of its new revision {} crash", d.revision),
        RolloutTrouble::NeverReady(_) => {
            format!("the pods of its new revision {} do not become ready", d.revision)
        }
    }
}

fn evidence(inventory: &Inventory, d: &Deployment, trouble: &RolloutTrouble) -> Vec<String> {
    let name = format!("deployment {}/{}", d.meta.namespace, d.meta.name);
    let counts =
        format!("{} of {} pods are of this revision, {} are available", d.updated, d.desired, d.available);
    match trouble {
        RolloutTrouble::NoPods(why) => vec![format!("{name}: {why}"), counts],
        RolloutTrouble::Deadline => {
            let mut evidence = vec![
                format!(
                    "{name}: revision {} is past its progress deadline ({})",
                    d.revision, d.progressing_reason
                ),
                counts,
            ];
            if !d.progressing_message.is_empty() {
                evidence.push(d.progressing_message.clone());
            }
            evidence
        }
        RolloutTrouble::Crashes(what) => {
            let out = inventory.came_out_at(d).map_or_else(String::new, |at| format!(" ({at:.0})"));
            vec![
                format!("{name}: revision {} failed soon after it came out{out}: {what}", d.revision),
                "an older revision lasted".to_owned(),
                counts,
            ]
        }
        RolloutTrouble::NeverReady(what) => vec![
            format!("{name}: revision {}: {what}", d.revision),
            "an older revision lasted".to_owned(),
            counts,
        ],
    }
}
