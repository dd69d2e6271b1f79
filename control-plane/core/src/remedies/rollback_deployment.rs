//! The remedy `rollback_deployment`: returns a Deployment whose newest revision does not work to its last good one, after
//! approval, if such a revision is known and no other tool manages the Deployment.
//!
//! It binds the two pod templates and nothing else: scaling, by an autoscaler or a person, makes no other plan of it and is
//! not undone by it.

use jiff::Timestamp;
use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, to_hex, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy, rollback_report};
use crate::audit::from_hex;
use crate::causes::rollout_stuck::{self, RolloutTrouble};
use crate::model::{Alternative, Incident, IncidentKind, ObjectRef, Outlook, Workload};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Deployment, Inventory, Object as _, ReplicaSet, Rollout, Standing, manager_name};

pub(super) struct RollbackDeployment;

/// Most older revisions that a plan gives its reasons for.
const MAX_SHOWN: usize = 8;

impl Remedy for RollbackDeployment {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::RolloutStuck, IncidentKind::PodCrashLoop]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment]
    }

    fn consent(&self) -> Consent {
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "takes a Deployment whose newest revision does not work back to the last revision that lasted"
    }

    fn name(&self) -> &'static str {
        "roll the Deployment back"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        if incident.kind == IncidentKind::RolloutStuck {
            return stuck(incident, inventory, s);
        }
        let deployment = incident.workload.as_ref().and_then(|owner| inventory.deployments.get(owner.uid()));
        Answer::NotApplicable(match deployment {
            None => "it belongs to no Deployment".to_owned(),
            Some(d) => why_not_the_revision(inventory, d, s.settings, s.now),
        })
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::RollbackDeployment(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms
    }
}

/// A pod crash-loops, and its rollout is not the cause.
fn why_not_the_revision(
    inventory: &Inventory,
    d: &Deployment,
    settings: &Settings,
    now: Timestamp,
) -> String {
    let soak = settings.good_after(d.min_ready_seconds());
    if inventory.ever_lasted(d, soak, now) {
        return "this very revision lasted before: it is not the revision".to_owned();
    }
    if d.rollout() == Rollout::Progressing {
        return "its rollout is under way; a rollback is for one that fails while an older revision lasted"
            .to_owned();
    }
    format!("no older revision is known to have lasted for {} s", soak.as_secs())
}

fn stuck(incident: &Incident, inventory: &Inventory, s: &Snapshot<'_>) -> Answer {
    let (settings, now) = (s.settings, s.now);
    let Some(deployment) = inventory.deployments.get(incident.object.uid()) else {
        return Answer::Wait(format!(
            "{} no longer exists; the incident is resolved once that is certain",
            incident.object
        ));
    };
    let name = &incident.object;
    let trouble = rollout_stuck::trouble(inventory, deployment, settings, Some(now));
    // A pod that was made a moment ago tells nothing yet: it takes no approval back, and nothing is asked anew beside it.
    let lasts = rollout_stuck::unready_since_long(inventory, deployment, settings, Some(now));
    let stays_asked = !lasts && incident.plan_id.is_some();
    if let Some(RolloutTrouble::NoPods(why)) = trouble.as_ref().filter(|_| !stays_asked) {
        return Answer::Recommend(format!(
            "no pod of revision {} of {name} can run: {why}; the pod template is not to blame and is not rolled back; it \
             goes on by itself once that is put right",
            deployment.revision
        ));
    }
    if let Some(why) = rollout_stuck::none_starts(inventory, deployment).filter(|_| !stays_asked) {
        let what = format!(
            "no pod of revision {} of {name} that is not ready can start: {why}",
            deployment.revision
        );
        return if lasts {
            Answer::Recommend(format!(
                "{what}; that is not its pod template's fault, so it is not rolled back meanwhile"
            ))
        } else {
            Answer::Wait(format!("{what}; it was made a moment ago, so whether that lasts is not known yet"))
        };
    }
    if !deployment.manager.is_empty() {
        return Answer::Recommend(format!(
            "{name} is managed by {} ({}): roll it back there, what Nimbus writes would be undone or would fight it",
            manager_name(&deployment.manager),
            deployment.manager_evidence
        ));
    }
    if deployment.paused {
        return Answer::Recommend(format!("{name} was paused by a person: resume or roll it back by hand"));
    }
    if deployment.is_behind() {
        return Answer::Wait(format!("{name} was changed; its status is not about that change yet"));
    }
    // Scaling starts its controller's deadline anew, and its revision is no better for it.
    // Where there is no deadline, nothing but its pods shows it.
    let shown = !deployment.has_no_deadline() || inventory.trouble_of_present(deployment).is_some();
    let planned = is_planned(incident, deployment, s) && !deployment.is_fully_available() && shown;
    match trouble {
        // What was asked beside a pod that was made a moment ago stays asked; it is not carried out meanwhile.
        None | Some(RolloutTrouble::NoPods(_)) if planned => {}
        Some(RolloutTrouble::NoPods(_)) | None => {
            return Answer::Wait(format!(
                "the pods of revision {} come up; resolved once all of them have been ready for long enough",
                deployment.revision
            ));
        }
        Some(RolloutTrouble::Deadline | RolloutTrouble::NeverReady(_)) => {}
        Some(RolloutTrouble::Crashes(what)) => {
            // One that is flapping starts its controller's deadline anew each time, so it is counted here.
            let out = inventory.came_out_at(deployment).unwrap_or(Timestamp::MIN);
            let until = later(out, deployment.progress_deadline());
            if deployment.rollout() == Rollout::Progressing && now < until && !planned {
                return Answer::Wait(format!(
                    "waits for the rollout: {what}; {name} is bringing out revision {} and is within its progress \
                     deadline until {until:.0}",
                    deployment.revision
                ));
            }
        }
    }
    choose(deployment, inventory, settings, now)
}

/// Is a rollback of its present pod template planned already?
fn is_planned(incident: &Incident, deployment: &Deployment, s: &Snapshot<'_>) -> bool {
    let plan = incident.plan_id.and_then(|id| s.plan(id));
    plan.and_then(|plan| plan.action.body()).is_some_and(|body| match body {
        Body::RollbackDeployment(action) => to_hex(&action.current_template_hash) == deployment.template_hash,
        Body::RestartPod(_)
        | Body::RestoreFile(_)
        | Body::AcceptBaseline(_)
        | Body::UncordonNode(_)
        | Body::WithdrawBaseline(_)
        | Body::RaiseMemoryLimit(_)
        | Body::RestartUnit(_)
        | Body::ExpandVolume(_)
        | Body::RaiseAutoscalerMaximum(_)
        | Body::ScaleWorkload(_)
        | Body::RenewCertificate(_) => false,
    })
}

/// The revision to go back to, if there is one.
fn choose(deployment: &Deployment, inventory: &Inventory, settings: &Settings, now: Timestamp) -> Answer {
    let (soak, name) = (settings.good_after(deployment.min_ready_seconds()), deployment.object());
    if inventory.ever_lasted(deployment, soak, now) {
        return Answer::Recommend(format!(
            "the present pod template of {name} lasted before: it is not the revision that is bad; look for room, quotas, \
             admission or a dependency"
        ));
    }
    if matches!(inventory.standing(deployment, &deployment.template_hash, soak, now), Standing::Untried) {
        return Answer::Recommend(format!(
            "no pod of revision {} of {name} was ever made: it was never tried, so it is not rolled back; look at the \
             events of its ReplicaSet",
            deployment.revision
        ));
    }
    let mut older: Vec<Candidate<'_>> = inventory
        .replica_sets_of(&deployment.meta.uid)
        .filter(|set| set.template_hash != deployment.template_hash && !set.template_hash.is_empty())
        .map(|set| Candidate {
            set,
            standing: inventory.standing(deployment, &set.template_hash, soak, now),
            missing: rollback_report::missing_config_map(
                &deployment.meta.namespace,
                &set.template,
                inventory,
            ),
        })
        .collect();
    older.sort_by_key(|c| std::cmp::Reverse((c.set.revision, c.set.meta.name.clone())));
    if older.is_empty() {
        return Answer::Recommend(format!(
            "{name} has no older revision to go back to; the revision itself has to be corrected"
        ));
    }
    if let Some(best) = older.iter().find(|candidate| candidate.lasted() && candidate.missing.is_none()) {
        return act(deployment, best, &older, inventory);
    }
    let found: Vec<String> = older.iter().take(MAX_SHOWN).map(Candidate::sentence).collect();
    Answer::Recommend(format!(
        "no evidence of a good revision of {name}: none of its {} older revisions is known to have lasted for {} s and to have \
         all that it needs ({}); choose one by hand",
        older.len(),
        soak.as_secs(),
        found.join("; ")
    ))
}

/// An older revision and how it stands.
struct Candidate<'a> {
    set: &'a ReplicaSet,
    standing: Standing,
    /// A ConfigMap that it needs and that is not there: no pod of it would start.
    missing: Option<String>,
}

impl Candidate<'_> {
    fn lasted(&self) -> bool {
        match self.standing {
            Standing::Lasted(_) => true,
            Standing::Bad(_)
            | Standing::Untried
            | Standing::Unproven(_)
            | Standing::SeenAvailable
            | Standing::Unknown => false,
        }
    }

    /// Why it cannot be gone back to, however it stood.
    fn cannot(&self) -> String {
        self.missing.as_ref().map_or_else(String::new, |name| {
            format!(", but ConfigMap {name}, which its pods need, is not there: make it again first")
        })
    }

    fn evidence(&self) -> String {
        let ready = match self.set.ready_replicas {
            0 => String::new(),
            n => format!(", and {n} of its pods are ready now"),
        };
        match &self.standing {
            Standing::Lasted(held) => {
                let held = held.as_secs();
                format!("all its pods were available for {held} s without a restart{ready}")
            }
            Standing::Bad(trouble) => format!("known to be bad: {} ({:.0}){ready}", trouble.what, trouble.at),
            Standing::Untried => "never tried: no pod of it was ever seen".to_owned(),
            Standing::Unproven(held) => {
                format!(
                    "it did not last: its pods were all available for {} s at most{ready}",
                    held.as_secs().max(0)
                )
            }
            Standing::SeenAvailable => {
                format!("it was seen available by an earlier version, for how long is not known{ready}")
            }
            Standing::Unknown => format!("nothing is known of it{ready}"),
        }
    }

    /// Without figures that grow: a reason that stays the same reads the same.
    fn sentence(&self) -> String {
        let why = match &self.standing {
            Standing::Lasted(_) => "it lasted".to_owned(),
            Standing::Unproven(_) => "it did not last".to_owned(),
            Standing::Bad(trouble) => trouble.what.clone(),
            Standing::Untried => "never tried".to_owned(),
            Standing::SeenAvailable => "seen available, for how long is not known".to_owned(),
            Standing::Unknown => "nothing is known of it".to_owned(),
        };
        format!("revision {}: {why}{}", self.set.revision, self.cannot())
    }
}

fn outlook(deployment: &Deployment, to: &ReplicaSet) -> Outlook {
    let (namespace, name) = (&deployment.meta.namespace, &deployment.meta.name);
    let (now, then) = (deployment.revision, to.revision);
    Outlook::undone_by_a_person(
        format!(
            "`kubectl -n {namespace} rollout undo deployment/{name} --to-revision={now}` brings revision {now} back, as long \
             as its ReplicaSet is in the Deployment's history"
        ),
        format!(
            "a Deployment that is not as this plan saw it is left alone. Where revision {then} does not become available \
             either, its template stays, revision {now} is not put back, and the next try is decided on as this one was"
        ),
    )
}

fn act(
    deployment: &Deployment,
    best: &Candidate<'_>,
    older: &[Candidate<'_>],
    inventory: &Inventory,
) -> Answer {
    let to = best.set;
    let name = format!("{}/{}", deployment.meta.namespace, deployment.meta.name);
    let mut ways: Vec<Alternative> = older
        .iter()
        .take(MAX_SHOWN)
        .map(|c| {
            let chosen = c.set.meta.uid == to.meta.uid;
            let newer = if !chosen && c.lasted() && c.missing.is_none() {
                format!("; revision {} is newer", to.revision)
            } else {
                String::new()
            };
            let why = format!("{}{}{newer}", c.evidence(), c.cannot());
            Alternative::new(format!("roll back to revision {}", c.set.revision), chosen, why)
        })
        .collect();
    ways.push(Alternative::new("wait", false, "its pods fail and will not come up by themselves"));
    let reference = deployment.reference();
    // An agent that does not report this binds the generation, and with it the number of pods.
    let generation = if deployment.more.is_some() { 0 } else { deployment.generation };
    Answer::Act(Box::new(Draft {
        action: Body::RollbackDeployment(v1::RollbackDeployment {
            deployment: Some(deployment.meta.target()),
            generation,
            current_template_hash: from_hex(&deployment.template_hash).unwrap_or_default(),
            to_replica_set: Some(to.meta.target()),
            to_revision: to.revision,
            to_template_hash: from_hex(&to.template_hash).unwrap_or_default(),
        }),
        workload: Some(Workload::Deployment(reference.clone())),
        object: ObjectRef::Kubernetes(reference),
        summary: format!(
            "roll {name} back from revision {} to revision {}",
            deployment.revision, to.revision
        ),
        changes: rollback_report::changes(deployment, to, inventory),
        outlook: outlook(deployment, to),
        rationale: format!("revision {} is the last good one: {}", to.revision, best.evidence()),
        ways,
    }))
}
