//! The remedy `rollback_deployment`: returns a Deployment that passed its progress deadline to its last good revision,
//! after approval, if such a revision is known and no other tool manages the Deployment.

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy, report};
use crate::audit::from_hex;
use crate::model::{Alternative, Incident, IncidentKind, ObjectRef, Workload};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Deployment, Inventory, Object as _, ReplicaSet};

pub(super) struct RollbackDeployment;

impl Remedy for RollbackDeployment {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::RolloutStuck, IncidentKind::PodCrashLoop]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[ObjectKind::ReplicaSet, ObjectKind::Deployment]
    }

    fn consent(&self) -> Consent {
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "takes a Deployment past its progress deadline back to the last revision that was seen available"
    }

    fn name(&self) -> &'static str {
        "roll the Deployment back"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        if incident.kind == IncidentKind::RolloutStuck {
            return stuck(incident, inventory);
        }
        let deployment = incident.workload.as_ref().and_then(|owner| inventory.deployments.get(owner.uid()));
        let why = match deployment {
            None => "it belongs to no Deployment",
            Some(d) if inventory.was_good(&d.meta.uid, &d.template_hash) => {
                "this very revision was fully available before: it is not the revision"
            }
            Some(_) => "its rollout is complete; a rollback is for a rollout past its deadline",
        };
        Answer::NotApplicable(why.to_owned())
    }

    fn footprint<'a>(&self, order: &'a Body) -> Option<Footprint<'a>> {
        matches!(order, Body::RollbackDeployment(_)).then_some(Footprint { node: None, closes: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }
}

fn stuck(incident: &Incident, inventory: &Inventory) -> Answer {
    let Some(deployment) = inventory.deployments.get(incident.object.uid()) else {
        return Answer::Wait(format!(
            "{} no longer exists; the incident is resolved once that is certain",
            incident.object
        ));
    };
    let name = &incident.object;
    if !deployment.manager.is_empty() {
        return Answer::Recommend(format!(
            "{name} is managed by {} ({}): roll it back there, what Nimbus writes would be undone or would fight it",
            deployment.manager, deployment.manager_evidence
        ));
    }
    if deployment.paused {
        return Answer::Recommend(format!("{name} was paused by a person: resume or roll it back by hand"));
    }
    if deployment.observed_generation < deployment.generation {
        return Answer::Wait(format!("{name} was changed; its status is not about that change yet"));
    }
    if inventory.was_good(&deployment.meta.uid, &deployment.template_hash) {
        return Answer::Recommend(format!(
            "the present pod template of {name} was fully available before: it is not the revision that is bad; \
             look for room, quotas, admission or a dependency"
        ));
    }
    let mut older: Vec<Candidate<'_>> = inventory
        .replica_sets_of(&deployment.meta.uid)
        .filter(|set| set.template_hash != deployment.template_hash && !set.template_hash.is_empty())
        .map(|set| Candidate {
            set,
            remembered: inventory.was_good(&deployment.meta.uid, &set.template_hash),
        })
        .collect();
    older.sort_by_key(|c| std::cmp::Reverse((c.rank(), c.set.revision)));
    match older.first() {
        Some(best) if best.rank() > 0 => act(deployment, best, &older),
        Some(_) => Answer::Recommend(format!(
            "no evidence of a good revision of {name}: none of its {} older revisions has ready pods now or was \
             seen fully available; choose one by hand",
            older.len()
        )),
        None => Answer::Recommend(format!(
            "{name} has no older revision to go back to; the revision itself has to be corrected"
        )),
    }
}

/// An older revision and what speaks for it.
struct Candidate<'a> {
    set: &'a ReplicaSet,
    remembered: bool,
}

impl Candidate<'_> {
    /// Ready pods now advance more than a memory; both advance most.
    fn rank(&self) -> u8 {
        2 * u8::from(self.set.ready_replicas > 0) + u8::from(self.remembered)
    }

    fn evidence(&self) -> String {
        match (self.set.ready_replicas, self.remembered) {
            (0, false) => "no ready pods now, and it was never seen fully available".to_owned(),
            (0, true) => "it was seen fully available".to_owned(),
            (n, false) => format!("{n} of its pods are ready now"),
            (n, true) => format!("{n} of its pods are ready now, and it was seen fully available"),
        }
    }
}

fn act(deployment: &Deployment, best: &Candidate<'_>, older: &[Candidate<'_>]) -> Answer {
    let to = best.set;
    let name = format!("{}/{}", deployment.meta.namespace, deployment.meta.name);
    let mut ways: Vec<Alternative> = older
        .iter()
        .take(5)
        .map(|c| {
            let chosen = c.set.meta.uid == to.meta.uid;
            let why =
                if chosen { c.evidence() } else { format!("{}; {}", c.evidence(), "another one is better") };
            Alternative::new(format!("roll back to revision {}", c.set.revision), chosen, why)
        })
        .collect();
    ways.push(Alternative::new(
        "wait",
        false,
        "it is past its progress deadline and will not come up by itself",
    ));
    let reference = deployment.reference();
    Answer::Act(Box::new(Draft {
        action: Body::RollbackDeployment(v1::RollbackDeployment {
            deployment: Some(deployment.meta.target()),
            generation: deployment.generation,
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
        changes: report::rollback(deployment, to),
        rationale: format!("revision {} is the last good one: {}", to.revision, best.evidence()),
        ways,
    }))
}
