//! A rollout past its deadline: back to the last good revision, if there is evidence of one and nobody else keeps
//! the Deployment in its state.

use super::planner::{Proposal, Remedy, option};
use super::report;
use crate::model::{Action, Incident, Option_};
use crate::world::{Deployment, Inventory, ReplicaSet};

pub(super) fn propose(incident: &Incident, inventory: &Inventory) -> Proposal {
    let Some(deployment) = inventory.deployments.get(&incident.object.uid) else {
        return Proposal::Wait(format!("{} is no more; resolved once that has settled", incident.object));
    };
    let name = &incident.object;
    if !deployment.manager.is_empty() {
        return Proposal::Recommend(format!(
            "{name} is managed by {} ({}): roll it back there, what Nimbus writes would be undone or would fight it",
            deployment.manager, deployment.manager_evidence
        ));
    }
    if deployment.paused {
        return Proposal::Recommend(format!("{name} was paused by a person: resume or roll it back by hand"));
    }
    if deployment.observed_generation < deployment.generation {
        return Proposal::Wait(format!("{name} was changed; its status is not about that change yet"));
    }
    if was_good(inventory, deployment, &deployment.template_hash) {
        return Proposal::Recommend(format!(
            "the present pod template of {name} was fully available before: it is not the revision that is bad; \
             look for room, quotas, admission or a dependency"
        ));
    }
    let mut older: Vec<Candidate<'_>> = inventory
        .replica_sets_of(&deployment.meta.uid)
        .filter(|set| set.template_hash != deployment.template_hash && !set.template_hash.is_empty())
        .map(|set| Candidate { set, remembered: was_good(inventory, deployment, &set.template_hash) })
        .collect();
    older.sort_by_key(|c| std::cmp::Reverse((c.rank(), c.set.revision)));
    match older.first() {
        Some(best) if best.rank() > 0 => act(deployment, best, &older),
        Some(_) => Proposal::Recommend(format!(
            "no evidence of a good revision of {name}: none of its {} older revisions has ready pods now or was \
             seen fully available; choose one by hand",
            older.len()
        )),
        None => Proposal::Recommend(format!(
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
    /// Ready pods now weigh more than a memory; both weigh most.
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

fn was_good(inventory: &Inventory, deployment: &Deployment, hash: &str) -> bool {
    let good = inventory.good.get(&deployment.meta.uid);
    good.is_some_and(|good| good.iter().any(|one| one.template_hash == hash))
}

fn act(deployment: &Deployment, best: &Candidate<'_>, older: &[Candidate<'_>]) -> Proposal {
    let to = best.set;
    let name = format!("{}/{}", deployment.meta.namespace, deployment.meta.name);
    let mut considered: Vec<Option_> = older
        .iter()
        .take(5)
        .map(|c| {
            let chosen = c.set.meta.uid == to.meta.uid;
            let why =
                if chosen { c.evidence() } else { format!("{}; {}", c.evidence(), "another one is better") };
            option(&format!("roll back to revision {}", c.set.revision), chosen, why)
        })
        .collect();
    considered.push(option(
        "restart its pods",
        false,
        "new pods of the same revision would fail the same way",
    ));
    considered.push(option("wait", false, "it is past its progress deadline and will not come up by itself"));
    let object = deployment.meta.object("Deployment");
    Proposal::Act(Box::new(Remedy {
        action: Action::RollbackDeployment {
            deployment: deployment.meta.target(),
            generation: deployment.generation,
            current_template_hash: deployment.template_hash.clone(),
            to_replica_set: to.meta.target(),
            to_revision: to.revision,
            to_template_hash: to.template_hash.clone(),
        },
        owner: Some(object.clone()),
        object,
        needs_approval: true,
        summary: format!(
            "roll {name} back from revision {} to revision {}",
            deployment.revision, to.revision
        ),
        changes: report::rollback(deployment, to),
        rationale: format!("revision {} is the last good one: {}", to.revision, best.evidence()),
        considered,
    }))
}
