//! The remedy `scale_workload`: gives a workload more pods that asks for it by its label `nimbus.dev/scale-to` and has been busy for a while,
//! and takes them back once it has been calm for a while. Nobody is asked: the label states the bound, and rules may narrow it.
//!
//! When it refrains is [`refrain`]'s. How many it gets follows from how busy it is: so many that it is between busy and calm afterwards,
//! by one bounded step, no more than its label, the ceiling and the nodes that are there let it have, and no fewer than it had before it was
//! scaled out.

mod refrain;

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{Alternative, Incident, IncidentKind, Outlook, Plan, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{Verdict, verdict};
use crate::world::{Inventory, Object as _, WorkloadLoad};

pub(super) struct ScaleWorkload;

/// No agent watches for longer.
const HOUR_MS: u32 = 3_600_000;

impl Remedy for ScaleWorkload {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::LoadHigh, IncidentKind::ScaledOut]
    }

    /// What makes its pods, who else scales it, and what room the nodes have.
    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[
            ObjectKind::HorizontalPodAutoscaler,
            ObjectKind::Pod,
            ObjectKind::ReplicaSet,
            ObjectKind::Deployment,
            ObjectKind::StatefulSet,
            ObjectKind::Node,
        ]
    }

    fn consent(&self) -> Consent {
        Consent::Rule
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "gives a busy workload more pods, as far as its label nimbus.dev/scale-to and the nodes allow, and takes them back once it is calm"
    }

    fn name(&self) -> &'static str {
        "scale the workload"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        let uid = incident.object.uid();
        let Some(workload) = workload(inventory, uid) else {
            return Answer::Wait(format!(
                "{} no longer exists; the incident is resolved once that is certain",
                incident.object
            ));
        };
        let Some(load) = inventory.loads.get(uid) else {
            return Answer::Wait(format!("nobody tells how busy {} is", incident.object));
        };
        let (planned, denied) = (planned(incident, load, s), denied(incident, load, s));
        let of = Looked { incident, load, workload: &workload, inventory, planned };
        if let Some(to) = denied {
            // The same is what would be planned again, however busy it is now, so that nobody is asked again for it.
            return Answer::Act(Box::new(draft(&of, &Step::kept(load, to), to)));
        }
        if load.permille_now(s.now).is_none() {
            // What is not measured for a moment takes nothing back that was asked for; nothing is begun in such a moment, nor asked for
            // anew.
            let is_asked =
                s.approvals.iter().any(|one| one.doc.incident_id == incident.id && one.doc.is_live());
            return match planned.filter(|_| is_asked) {
                Some(to) => Answer::Act(Box::new(draft(&of, &Step::kept(load, to), to))),
                None => Answer::Wait(format!(
                    "how busy {} is is not known now: its pods are not all measured; nothing is planned from that",
                    incident.object
                )),
            };
        }
        let scaled = if incident.kind == IncidentKind::ScaledOut {
            refrain::inwards(&of, s)
        } else {
            refrain::out(&of, s)
        };
        match scaled {
            Err(answer) => answer,
            Ok(step) => within_rules(&of, &step, s),
        }
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::ScaleWorkload(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    /// What it adds has to start.
    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms.saturating_mul(2).min(HOUR_MS).max(settings.verify_timeout_ms)
    }
}

/// What is looked at.
struct Looked<'a> {
    incident: &'a Incident,
    load: &'a WorkloadLoad,
    workload: &'a Workload,
    inventory: &'a Inventory,
    /// How many are planned for it already.
    planned: Option<u32>,
}

/// A step that may be taken.
struct Step {
    from: u32,
    /// The number that suits it best.
    to: u32,
    /// What it had before it was scaled out.
    base: u32,
    /// Fewer than these it may not have inwards: what it had, and what it needs by what is measured now.
    least: u32,
    /// What bounds it, where more would do.
    bounded_by: String,
}

impl Step {
    /// What was planned from what it has, as it was.
    fn kept(load: &WorkloadLoad, to: u32) -> Self {
        let base = load.scaled_out_from().unwrap_or(load.replicas);
        Self { from: load.replicas, to, base, least: to, bounded_by: String::new() }
    }
}

/// The Deployment or StatefulSet of this UID.
fn workload(inventory: &Inventory, uid: &str) -> Option<Workload> {
    let deployment = inventory.deployments.get(uid).filter(|one| !one.meta.deleting);
    let set = || inventory.stateful_sets.get(uid).filter(|one| !one.meta.deleting);
    deployment
        .map(|one| Workload::Deployment(one.reference()))
        .or_else(|| set().map(|one| Workload::StatefulSet(one.reference())))
}

/// How many are planned for it already, from what it has now.
fn planned(incident: &Incident, load: &WorkloadLoad, s: &Snapshot<'_>) -> Option<u32> {
    scales(incident.plan_id.and_then(|id| s.plan(id))?, load)
}

/// How many a person denied it, from what it has now.
fn denied(incident: &Incident, load: &WorkloadLoad, s: &Snapshot<'_>) -> Option<u32> {
    let digest = incident.denied_digest.as_ref()?;
    let plans = s.plans.iter().map(|plan| &plan.doc).filter(|plan| plan.incident_id == incident.id);
    plans.filter(|plan| plan.is_answered_by(digest)).find_map(|plan| scales(plan, load))
}

/// To how many a plan scales this workload from what it has; `None` where it does something else.
fn scales(plan: &Plan, load: &WorkloadLoad) -> Option<u32> {
    match plan.action.body()? {
        Body::ScaleWorkload(action) => {
            let is_it = action.workload.as_ref().is_some_and(|target| target.uid == load.meta.uid);
            (is_it && action.from_replicas == load.replicas).then_some(action.to_replicas)
        }
        Body::RestartPod(_)
        | Body::RollbackDeployment(_)
        | Body::RestoreFile(_)
        | Body::AcceptBaseline(_)
        | Body::UncordonNode(_)
        | Body::WithdrawBaseline(_)
        | Body::RaiseMemoryLimit(_)
        | Body::RestartUnit(_)
        | Body::ExpandVolume(_)
        | Body::RaiseAutoscalerMaximum(_)
        | Body::RenewCertificate(_) => None,
    }
}

/// The step as rules let it be: where they bound how many it may have, as many as they allow.
fn within_rules(of: &Looked<'_>, step: &Step, s: &Snapshot<'_>) -> Answer {
    let wanted = draft(of, step, step.to);
    let allowed = |draft: &Draft| {
        !matches!(verdict(&draft.intended(), Consent::Rule, of.incident, s), Verdict::Leave(_))
    };
    if allowed(&wanted) {
        return Answer::Act(Box::new(wanted));
    }
    // Outwards fewer than would do, inwards fewer than by half, and never fewer than it had or needs.
    let least = if step.to > step.from { step.from.saturating_add(1) } else { step.least };
    let fewer = (least..step.to).rev().map(|to| draft(of, step, to)).find(allowed);
    Answer::Act(Box::new(fewer.unwrap_or(wanted)))
}

fn draft(of: &Looked<'_>, step: &Step, to: u32) -> Draft {
    let (load, from) = (of.load, step.from);
    let name = format!("{}/{}", load.meta.namespace, load.meta.name);
    let resource = load.kind.to_lowercase();
    let back =
        format!("`kubectl -n {} scale {resource}/{} --replicas={from}`", load.meta.namespace, load.meta.name);
    let is_out = to > from;
    let mut changes = vec![format!("spec.replicas of {} {name}: {from} -> {to}", load.kind)];
    if is_out {
        changes.push("more pods cost more while they are there, and what is behind them has to bear what they ask of it".to_owned());
        changes.push(format!("once it is calm it gets the {} that it had", step.base));
        if !step.bounded_by.is_empty() {
            changes.push(format!("more would do: {}", step.bounded_by));
        }
    } else {
        changes.push(format!(
            "its controller takes {} pods away, which of a StatefulSet are those of the highest numbers",
            from - to
        ));
    }
    let (summary, rationale, if_it_fails) = if is_out {
        (
            format!("scale {} {name} out from {from} to {to}", load.kind),
            "its pods have used most of the CPU that they ask for for a while, it asks to be scaled out by its label, and the nodes that are \
             there have room",
            "where none of the pods that are added becomes ready, it gets back what it had; where some do, it keeps them, and whether it helped \
             is not known. One that is not as this plan saw it, or whose namespace has no quota left, is left alone",
        )
    } else {
        (
            format!("scale {} {name} in from {from} to {to}", load.kind),
            "it was scaled out by Nimbus, nobody has set another number since, and it has been calm for a while",
            "where not all of those that are left are ready afterwards, it gets back what it had. One that is not as this plan saw it is left \
             alone",
        )
    };
    Draft {
        action: Body::ScaleWorkload(v1::ScaleWorkload {
            workload: Some(load.meta.target()),
            kind: load.kind.clone(),
            from_replicas: from,
            to_replicas: to,
            base_replicas: step.base,
        }),
        object: of.incident.object.clone(),
        workload: Some(of.workload.clone()),
        summary,
        changes,
        rationale: rationale.to_owned(),
        outlook: Outlook::undone_by_a_person(format!("{back} gives it what it had"), if_it_fails),
        ways: vec![
            Alternative::new(
                format!("let it have {to}"),
                true,
                "so that it is neither busy nor calm afterwards",
            ),
            Alternative::new(
                "make a HorizontalPodAutoscaler for it",
                false,
                "it is the better way for load that comes and goes every day, and a person's to make",
            ),
            Alternative::new(
                "wait",
                false,
                if is_out { "it has been busy for minutes" } else { "pods that do nothing cost money" },
            ),
        ],
    }
}
