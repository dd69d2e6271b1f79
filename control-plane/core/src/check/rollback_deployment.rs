//! The independent check of `rollback_deployment` plans: the Deployment and the revision to return to must still be as
//! planned.

use nimbus_protocol::{ObjectKind, to_hex, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;
use crate::world::Inventory;

impl ActionRules for v1::RollbackDeployment {
    fn authority(&self) -> Authority {
        Authority::Approver
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[ObjectKind::ReplicaSet, ObjectKind::Deployment]
    }

    fn node(&self) -> Option<&str> {
        None
    }

    fn cordons(&self) -> bool {
        false
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(inventory) = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default())
        else {
            return require(found, 3, false, || format!("nothing is known of cluster {}", plan.scope));
        };
        let (Some(deployment), Some(to)) = (&self.deployment, &self.to_replica_set) else {
            return require(found, 3, false, || "the order names no Deployment or no ReplicaSet".to_owned());
        };
        check(self, found, inventory, deployment, to);
    }

    fn check_at_dispatch(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}

fn check(
    order: &v1::RollbackDeployment,
    found: &mut Violations,
    inventory: &Inventory,
    deployment: &v1::Target,
    to_replica_set: &v1::Target,
) {
    let (current, to) = (to_hex(&order.current_template_hash), to_hex(&order.to_template_hash));
    let Some(now) = inventory.deployments.get(&deployment.uid) else {
        require(found, 3, false, || format!("deployment {} no longer exists", deployment.name));
        return;
    };
    require(found, 3, now.generation == order.generation, || {
        format!("generation {} of {} expected, found {}", order.generation, deployment.name, now.generation)
    });
    require(found, 3, now.template_hash == current && !now.meta.deleting, || {
        format!("the pod template of {} is another one", deployment.name)
    });
    require(found, 3, to != current && !to.is_empty(), || {
        "a rollback has to change the pod template".to_owned()
    });
    let target = inventory.replica_sets.get(&to_replica_set.uid);
    let fits = target.is_some_and(|set| {
        set.meta.owner_uid == deployment.uid
            && set.revision == order.to_revision
            && set.template_hash == to
            && !set.meta.deleting
    });
    require(found, 3, fits, || {
        format!("ReplicaSet {} of revision {} is not there", to_replica_set.name, order.to_revision)
    });
    let good = inventory
        .histories
        .get(&deployment.uid)
        .is_some_and(|history| history.good.iter().any(|one| one.template_hash == to));
    let evidence = good || target.is_some_and(|set| set.ready_replicas > 0);
    require(found, 3, evidence, || format!("nothing shows that revision {} is good", order.to_revision));
    require(found, 9, now.manager.is_empty(), || {
        format!("{} is managed by {}", deployment.name, now.manager)
    });
    require(found, 9, !now.paused, || format!("{} was paused by a person", deployment.name));
}
