//! The independent check of `raise_autoscaler_maximum` plans: the autoscaler is nobody else's and as it was planned on, it measures more
//! than it aims at, all its pods are ready, nodes have what one more of them asks for, and the step is bounded, below the ceiling and not
//! too soon.

use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, earlier, require, room};
use crate::model::{ActionKind, Plan};
use crate::snapshot::Snapshot;
use crate::world::{HorizontalPodAutoscaler, Inventory, Pod};

const DAY_S: i64 = 86_400;

impl ActionRules for v1::RaiseAutoscalerMaximum {
    fn authority(&self) -> Authority {
        Authority::Approver
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[
            ObjectKind::HorizontalPodAutoscaler,
            ObjectKind::Pod,
            ObjectKind::ReplicaSet,
            ObjectKind::Deployment,
            ObjectKind::StatefulSet,
            ObjectKind::Node,
        ]
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
        let Some(target) = &self.autoscaler else {
            return require(found, 3, false, || "the plan names no autoscaler".to_owned());
        };
        require(found, 3, plan.object.uid() == target.uid, || {
            format!("the plan is about {}, and would raise {}", plan.object, target.name)
        });
        let Some(now) = inventory.horizontal_pod_autoscalers.get(&target.uid) else {
            return require(found, 3, false, || format!("autoscaler {} no longer exists", target.name));
        };
        require_same(self, found, now);
        let (from, to) = (u64::from(self.from_replicas), u64::from(self.to_replicas));
        require(found, 3, to > from && to <= from * 2, || {
            format!("a step from {from} to {to} replicas is none, or too great a one")
        });
        let ceiling = u64::from(snapshot.settings.autoscalers.ceiling_replicas);
        require(found, 3, to <= ceiling, || format!("{to} replicas are more than the ceiling of {ceiling}"));
    }

    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
        let target = self.autoscaler.clone().unwrap_or_default();
        let name = &target.name;
        let now = inventory.and_then(|all| Some((all, all.horizontal_pod_autoscalers.get(&target.uid)?)));
        require(found, 3, now.is_some_and(|(_, it)| wants_more(it)), || {
            format!("{name} does not say that it is held at its maximum by a metric above its aim")
        });
        let pods = now.map(|(all, it)| pods(it, all)).unwrap_or_default();
        let ready = pods.iter().filter(|pod| pod.ready).count();
        let enough = u32::try_from(ready).is_ok_and(|ready| ready >= self.from_replicas);
        require(found, 3, enough && ready == pods.len(), || {
            format!(
                "{ready} of the {} pods that {name} scales are ready, of {}",
                pods.len(),
                self.from_replicas
            )
        });
        let has_room = inventory.is_some_and(|all| room::for_one_of(&pods, all));
        require(found, 3, has_room, || format!("no node has what one more pod of {name} asks for"));
        room::nobody_else_adds(found, plan, snapshot);
        require(found, 3, inventory.is_some_and(|all| is_out(self, all)), || {
            format!("{} {} is bringing out a revision, or is paused", self.target_kind, self.target_name)
        });
        let ago = earlier::ago(snapshot, ActionKind::RaiseAutoscalerMaximum, &target.uid, DAY_S);
        require(found, 5, ago.len() < 3, || {
            format!("the maximum of {name} was raised {} times within a day", ago.len())
        });
        let least = i64::from(snapshot.settings.autoscalers.cool_down_s);
        require(found, 5, ago.iter().all(|ago| *ago >= least), || {
            format!("the maximum of {name} was raised within the last {least} s")
        });
    }
}

fn require_same(action: &v1::RaiseAutoscalerMaximum, found: &mut Violations, now: &HorizontalPodAutoscaler) {
    let name = &now.meta.name;
    require(found, 3, !now.meta.deleting, || format!("autoscaler {name} is on its way out"));
    require(found, 3, i64::from(now.max_replicas) == i64::from(action.from_replicas), || {
        format!("autoscaler {name} may make {} and not {} replicas", now.max_replicas, action.from_replicas)
    });
    let scales_it = now.target_kind == action.target_kind && now.target_name == action.target_name;
    let is_known = now.target_api_version.starts_with("apps/")
        && matches!(now.target_kind.as_str(), "Deployment" | "StatefulSet");
    require(found, 3, scales_it && is_known, || {
        format!(
            "autoscaler {name} scales {} {} of {}",
            now.target_kind, now.target_name, now.target_api_version
        )
    });
    require(found, 9, now.manager.is_empty(), || format!("autoscaler {name} is managed by {}", now.manager));
    require(found, 9, now.raised_to.is_none_or(|to| i64::from(to) <= i64::from(now.max_replicas)), || {
        format!("somebody took back what autoscaler {name} was raised to: {:?}", now.raised_to)
    });
    require(found, 3, !now.never_scales_up, || format!("autoscaler {name} never scales up"));
    require(found, 9, now.min_replicas < now.max_replicas, || {
        format!("both bounds of autoscaler {name} are {}: somebody pinned it", now.max_replicas)
    });
}

/// Does it say of now that it would make more than it may?
fn wants_more(it: &HorizontalPodAutoscaler) -> bool {
    let says =
        it.able_to_scale == "True" && it.scaling_active == "True" && it.limited_reason == "TooManyReplicas";
    let is_of_now = it.observed_generation == 0 || it.observed_generation >= it.generation;
    says && is_of_now && it.metrics.iter().any(|metric| metric.of_aim_permille.is_some_and(|of| of > 1_000))
}

/// The pods of what it scales that have not ended.
fn pods<'a>(it: &HorizontalPodAutoscaler, inventory: &'a Inventory) -> Vec<&'a Pod> {
    let set_of = |pod: &Pod| match pod.meta.owner_kind.as_str() {
        "StatefulSet" => Some(("StatefulSet", pod.meta.owner_name.clone())),
        "ReplicaSet" => {
            let set = inventory.replica_sets.get(&pod.meta.owner_uid)?;
            (set.meta.owner_kind == "Deployment").then(|| ("Deployment", set.meta.owner_name.clone()))
        }
        _ => None,
    };
    let all = inventory.pods.values().filter(|pod| pod.meta.namespace == it.meta.namespace);
    all.filter(|pod| !pod.meta.deleting && pod.phase != "Succeeded" && pod.phase != "Failed")
        .filter(|pod| {
            set_of(pod).is_some_and(|(kind, name)| kind == it.target_kind && name == it.target_name)
        })
        .collect()
}

/// Is what it scales as it was specified, with no pod of before and none missing?
fn is_out(action: &v1::RaiseAutoscalerMaximum, inventory: &Inventory) -> bool {
    let namespace = action.autoscaler.as_ref().map_or("", |target| target.namespace.as_str());
    room::is_out(&action.target_kind, inventory, |meta| {
        meta.namespace == namespace && meta.name == action.target_name
    })
}
