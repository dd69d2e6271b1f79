//! The remedy `raise_autoscaler_maximum`: lets an autoscaler that is held back by its maximum make more replicas, after approval, as many
//! as what it measures asks for, by one bounded step, up to a ceiling, with a pause between two steps, and no more than the nodes that are
//! there certainly have room for.
//!
//! When it refrains is [`refrain`]'s; whether a quota leaves room is the agent's to ask, at the moment of acting. A figure that moves
//! while the approval is read does not make another plan: it stays what was asked for as long as that is within the same bounds.

mod refrain;

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{Alternative, Incident, IncidentKind, Outlook, Plan, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{AutoscalerState, HorizontalPodAutoscaler, Object as _};

pub(super) struct RaiseAutoscalerMaximum;

/// No agent watches for longer.
const HOUR_MS: u32 = 3_600_000;

impl Remedy for RaiseAutoscalerMaximum {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::AutoscalerAtMaximum]
    }

    /// What makes its pods, how they are, and what room the nodes have.
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
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "raises how many replicas an autoscaler may make that is held back by its maximum, as far as the nodes have room"
    }

    fn name(&self) -> &'static str {
        "raise the autoscaler's maximum"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        let object = &incident.object;
        let it = inventory.horizontal_pod_autoscalers.get(object.uid()).filter(|it| !it.meta.deleting);
        let Some(it) = it else {
            return Answer::Wait(format!(
                "{object} no longer exists; the incident is resolved once that is certain"
            ));
        };
        let planned = planned(incident, it, s);
        match it.state() {
            AutoscalerState::WantsMore | AutoscalerState::MayWantMore => {}
            // A figure at its aim, or one that could not be read, for a moment takes nothing back that a person was asked.
            AutoscalerState::Within | AutoscalerState::Unknown if planned.is_some() => {}
            AutoscalerState::Within => {
                return Answer::Wait(format!("{object} is held back no more now; over when that lasts"));
            }
            AutoscalerState::Off | AutoscalerState::Unknown => {
                return Answer::Wait(format!(
                    "{object} does not say that it scales now; nothing is planned from that"
                ));
            }
        }
        match refrain::why(incident, it, planned, inventory, s) {
            Err(answer) => answer,
            Ok(allowed) => raise(it, &allowed, planned, denied(incident, it, s)),
        }
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::RaiseAutoscalerMaximum(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    /// Its controller looks every quarter of a minute and adds step by step; what it adds has to start.
    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms.saturating_mul(3).min(HOUR_MS).max(settings.verify_timeout_ms)
    }
}

/// What may be asked for.
struct Allowed {
    /// Its maximum now.
    from: u32,
    /// What what it measures asks for, which is more.
    wanted: u64,
    /// The most that the step, the ceiling and the nodes let it have, which is more too.
    most: u32,
    /// What bounds it, where that is less than is wanted.
    bounded_by: String,
    /// What makes its pods.
    workload: Workload,
}

/// What is planned for it already from its present maximum.
fn planned(incident: &Incident, it: &HorizontalPodAutoscaler, s: &Snapshot<'_>) -> Option<u32> {
    raises(incident.plan_id.and_then(|id| s.plan(id))?, it)
}

/// What a person denied to let it make from its present maximum: the same is what would be planned again, whatever it measures now, so that
/// nobody is asked again for it.
fn denied(incident: &Incident, it: &HorizontalPodAutoscaler, s: &Snapshot<'_>) -> Option<u32> {
    let digest = incident.denied_digest.as_ref()?;
    let plans = s.plans.iter().map(|plan| &plan.doc).filter(|plan| plan.incident_id == incident.id);
    plans.filter(|plan| plan.is_answered_by(digest)).find_map(|plan| raises(plan, it))
}

/// To how many a plan raises the present maximum of this autoscaler; `None` where it does something else.
fn raises(plan: &Plan, it: &HorizontalPodAutoscaler) -> Option<u32> {
    match plan.action.body()? {
        Body::RaiseAutoscalerMaximum(action) => {
            let is_it = action.autoscaler.as_ref().is_some_and(|target| target.uid == it.meta.uid);
            (is_it && i32::try_from(action.from_replicas) == Ok(it.max_replicas))
                .then_some(action.to_replicas)
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
        | Body::ScaleWorkload(_)
        | Body::RenewCertificate(_) => None,
    }
}

fn raise(it: &HorizontalPodAutoscaler, allowed: &Allowed, kept: Option<u32>, denied: Option<u32>) -> Answer {
    let from = allowed.from;
    let now = u32::try_from(allowed.wanted).unwrap_or(u32::MAX).min(allowed.most);
    let kept = kept.filter(|to| *to > from && *to <= allowed.most);
    // What was denied is not asked for again with another number.
    let to = denied.or(kept).unwrap_or(now);
    let name = format!("{}/{}", it.meta.namespace, it.meta.name);
    let target = format!("{} {}", it.target_kind, it.target_name);
    let more = to.saturating_sub(from);
    let mut changes = vec![
        format!("spec.maxReplicas of {name}: {from} -> {to}"),
        format!(
            "its controller may make up to {more} more pods of {target}, step by step, and takes them away as load goes down"
        ),
        "more pods cost more while they are there, and what is behind them has to bear what they ask of it"
            .to_owned(),
    ];
    // Figures that move are in the evidence; what is said here stays while the approval is read.
    if kept != Some(to) && !allowed.bounded_by.is_empty() {
        changes.push(format!("that is less than would do: {}", allowed.bounded_by));
    }
    changes.extend(of_writer(it, from));
    Answer::Act(Box::new(Draft {
        action: Body::RaiseAutoscalerMaximum(v1::RaiseAutoscalerMaximum {
            autoscaler: Some(it.meta.target()),
            target_kind: it.target_kind.clone(),
            target_name: it.target_name.clone(),
            from_replicas: from,
            to_replicas: to,
        }),
        object: it.object(),
        workload: Some(allowed.workload.clone()),
        summary: format!("raise the maximum of autoscaler {name} from {from} to {to} replicas"),
        changes,
        rationale: format!(
            "it is held at its maximum and measures more than it aims at, all pods of {target} are ready, and the nodes that are there have \
             room for {more} more"
        ),
        outlook: Outlook::undone_by_a_person(
            format!(
                "`kubectl -n {} patch hpa {} --type=merge -p '{{\"spec\":{{\"maxReplicas\":{from}}}}}'` puts the old maximum back, and its \
                 controller takes away the pods beyond it",
                it.meta.namespace, it.meta.name
            ),
            "where none of the pods that are added becomes ready, the old maximum is put back; where some do, it stays, and whether it \
             helped is not known. An autoscaler that is not as this plan saw it, or whose namespace has no quota left, is left alone",
        ),
        ways: vec![
            Alternative::new(
                format!("let it make {to}"),
                true,
                "as many as what it measures asks for, within the bounds that are set",
            ),
            Alternative::new(
                "remove the maximum",
                false,
                "a fault that looks like load would take every node",
            ),
            Alternative::new("scale by hand", false, "its controller would scale back to its maximum"),
            Alternative::new(
                "wait",
                false,
                "it has wanted more for minutes, and what is above its aim is slow or fails",
            ),
        ],
    }))
}

/// Whoever wrote its bounds says the smaller one until that is corrected.
fn of_writer(it: &HorizontalPodAutoscaler, from: u32) -> Option<String> {
    let by = Some(it.bounds_writer.as_str()).filter(|by| !by.is_empty() && !by.starts_with("nimbus"))?;
    Some(format!(
        "its bounds were last written by {by}: write the greater one there as well, as an apply of {from} takes it back"
    ))
}
