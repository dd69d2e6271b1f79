//! The independent check of `uncordon_node` plans: only a cordon or taint of Nimbus is removed, and none whose job is still
//! running.

use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;

impl ActionRules for v1::UncordonNode {
    fn authority(&self) -> Authority {
        Authority::Approver
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[ObjectKind::Node]
    }

    fn node(&self) -> Option<&str> {
        self.node.as_ref().map(|node| node.name.as_str())
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
        let uid = self.node.as_ref().map_or("", |node| node.uid.as_str());
        let Some(node) = inventory.and_then(|inventory| inventory.nodes.get(uid)) else {
            return require(found, 3, false, || format!("node {uid:?} no longer exists"));
        };
        let same = self.node().is_some_and(|name| name == node.meta.name) && !node.meta.deleting;
        require(found, 3, same && (self.held || node.unschedulable), || {
            format!("node {} is schedulable, is being deleted or is another one", node.meta.name)
        });
        let held = node.facts.as_ref().map_or("", |facts| facts.held_by.as_str());
        let by = if self.held { held } else { node.cordoned_by.as_str() };
        require(found, 9, !self.cordoned_by.is_empty() && by == self.cordoned_by, || {
            format!("what keeps {} from new pods is not of job {:?}", node.meta.name, self.cordoned_by)
        });
    }

    fn check_at_dispatch(&self, found: &mut Violations, _: &Plan, snapshot: &Snapshot<'_>) {
        let out = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|job| &job.doc);
        let in_use =
            out.filter(|job| !job.state.is_final()).any(|job| job.id.to_string() == self.cordoned_by);
        require(found, 9, !in_use, || {
            format!("job {} is in flight and needs the node closed", self.cordoned_by)
        });
    }
}
