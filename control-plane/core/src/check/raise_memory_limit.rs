//! The independent check of `raise_memory_limit` plans: the Deployment is nobody else's and as it was planned on, a container
//! of it is killed for its limit, and the new limit is one bounded step that a node can hold.

use nimbus_protocol::{ObjectKind, quantity, to_hex, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::{ActionKind, JobState, Plan};
use crate::snapshot::Snapshot;
use crate::world::{Deployment, Inventory};

impl ActionRules for v1::RaiseMemoryLimit {
    fn authority(&self) -> Authority {
        Authority::Approver
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment, ObjectKind::Node]
    }

    fn node(&self) -> Option<&str> {
        None
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(inventory) = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default())
        else {
            return require(found, 3, false, || format!("nothing is known of cluster {}", plan.scope));
        };
        let Some(target) = &self.deployment else {
            return require(found, 3, false, || "the plan names no Deployment".to_owned());
        };
        let Some(now) = inventory.deployments.get(&target.uid) else {
            return require(found, 3, false, || format!("deployment {} no longer exists", target.name));
        };
        require_same(self, found, now);
        require_bounded(self, found, inventory, now);
        require_killed(self, found, inventory, now, snapshot);
        let older = inventory
            .replica_sets
            .values()
            .any(|set| set.meta.owner_uid == target.uid && set.template_hash != now.template_hash);
        let endless = now.more.as_ref().is_some_and(|more| more.progress_deadline_seconds == 0);
        let without_a_word = endless && now.progressing.is_empty() && now.updated >= now.desired;
        let complete = without_a_word
            || (now.progressing == "True" && now.progressing_reason == "NewReplicaSetAvailable");
        require(found, 3, complete || !older, || {
            format!("{} is not out, and it has an older revision to go back to", target.name)
        });
        let again = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|job| &job.doc).any(|job| {
            job.action == ActionKind::RaiseMemoryLimit
                && (job.applied_at.is_some()
                    || matches!(job.state, JobState::Succeeded | JobState::Unknown | JobState::Compensated))
                && job.object.uid() == target.uid
                && job.raised.as_ref().is_some_and(|raised| raised.container == self.container)
        });
        require(found, 5, !again, || {
            format!("the limit of container {} of {} was raised before", self.container, target.name)
        });
    }

    fn check_at_dispatch(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}

fn require_same(action: &v1::RaiseMemoryLimit, found: &mut Violations, now: &Deployment) {
    let name = &now.meta.name;
    require(
        found,
        3,
        now.template_hash == to_hex(&action.current_template_hash) && !now.meta.deleting,
        || format!("the pod template of {name} is another one"),
    );
    require(found, 9, now.manager.is_empty(), || format!("{name} is managed by {}", now.manager));
    require(found, 9, now.meta.owner_uid.is_empty(), || {
        format!("{name} is made by {} {}", now.meta.owner_kind, now.meta.owner_name)
    });
    require(found, 9, !now.paused, || format!("{name} was paused by a person"));
    let template = now.more.as_ref().map_or(&[][..], |more| more.template.as_slice());
    let amount = |of: &str| {
        let wanted = format!("containers[{}].resources.{of}.memory", action.container);
        let told = template.iter().find(|fact| fact.path == wanted);
        told.map(|fact| quantity::scaled(&fact.value, 1).and_then(|bytes| u64::try_from(bytes).ok()))
    };
    require(found, 3, amount("limits") == Some(Some(action.from_bytes)), || {
        format!("{name} does not say a limit of {} bytes", action.from_bytes)
    });
    let equal = amount("requests") == Some(Some(action.from_bytes));
    require(found, 3, equal == action.request_too, || {
        format!("the request of {name} is not what the plan is about")
    });
}

/// At most twice, and at most half of what the largest node that takes pods has.
fn require_bounded(
    action: &v1::RaiseMemoryLimit,
    found: &mut Violations,
    inventory: &Inventory,
    now: &Deployment,
) {
    let step =
        action.to_bytes > action.from_bytes && action.to_bytes - action.from_bytes <= action.from_bytes;
    require(found, 3, step, || {
        format!("a step from {} to {} bytes is none, or too great a one", action.from_bytes, action.to_bytes)
    });
    let offers = inventory.nodes.values().filter(|node| node.ready == "True" && !node.unschedulable);
    let held = offers.filter_map(|node| node.facts.as_ref()).any(|facts| {
        u64::try_from(facts.memory_bytes).is_ok_and(|bytes| action.to_bytes.saturating_mul(2) <= bytes)
    });
    require(found, 3, held, || {
        format!(
            "no node is known to hold pods of {} with a limit of {} bytes",
            now.meta.name, action.to_bytes
        )
    });
}

/// A pod of the present template has that container, and it was killed for its memory.
fn require_killed(
    action: &v1::RaiseMemoryLimit,
    found: &mut Violations,
    inventory: &Inventory,
    now: &Deployment,
    snapshot: &Snapshot<'_>,
) {
    let least = snapshot.settings.crash_loop_restarts;
    let lately = |at: jiff::Timestamp| snapshot.now.duration_since(at).as_secs() <= 600;
    let present = |set: &str| {
        inventory
            .replica_sets
            .get(set)
            .is_some_and(|set| set.meta.owner_uid == now.meta.uid && set.template_hash == now.template_hash)
    };
    let killed =
        inventory.pods.values().filter(|pod| !pod.meta.deleting && present(&pod.meta.owner_uid)).any(|pod| {
            pod.containers.iter().any(|one| {
                let ended = one.last_reason == "OOMKilled" || one.reason == "OOMKilled";
                let still = !one.ready || one.last_finished_at.is_some_and(lately);
                one.name == action.container && one.role.is_empty() && ended && one.restarts >= least && still
            })
        });
    require(found, 3, killed, || {
        format!(
            "nothing shows that container {} of {} is killed for its memory",
            action.container, now.meta.name
        )
    });
}
