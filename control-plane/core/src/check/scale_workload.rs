//! The independent check of `scale_workload` plans: the workload is nobody else's and as it was planned on, its pods are all ready and measured,
//! it is busy and gets no more than its label, the ceiling and a node allow, or it is calm and gets back no fewer than it had; and not too
//! soon.

use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, earlier, require, room};
use crate::model::{ActionKind, Plan};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Pod, WorkloadLoad};

const DAY_S: i64 = 86_400;

impl ActionRules for v1::ScaleWorkload {
    fn authority(&self) -> Authority {
        Authority::Rule
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
        let Some(target) = &self.workload else {
            return require(found, 3, false, || "the plan names no workload".to_owned());
        };
        require(found, 3, plan.object.uid() == target.uid, || {
            format!("the plan is about {}, and would scale {}", plan.object, target.name)
        });
        let Some(load) = inventory.loads.get(&target.uid) else {
            return require(found, 3, false, || format!("how busy {} is is not told", target.name));
        };
        require_same(self, found, load, inventory);
        let (from, to, base) =
            (u64::from(self.from_replicas), u64::from(self.to_replicas), u64::from(self.base_replicas));
        if to > from {
            let percent = u64::from(snapshot.settings.load.step_percent);
            require(found, 3, to <= from + (from * percent / 100).clamp(1, from.max(1)), || {
                format!("a step from {from} to {to} replicas is too great a one")
            });
            let ceiling = u64::from(snapshot.settings.load.ceiling_replicas);
            let label = u64::from(load.scale_to.unwrap_or(0));
            require(found, 3, to <= ceiling && to <= label, || {
                format!("{to} replicas are more than the ceiling of {ceiling} or the {label} of its label")
            });
        } else {
            require(found, 3, to < from && to >= base && base > 0, || {
                format!("a step from {from} to {to} replicas is none, or goes below the {base} that it had")
            });
            let own = load.scaled == Some((self.base_replicas, self.from_replicas));
            require(found, 9, own, || {
                format!("the {from} replicas of {} are not Nimbus's: {:?}", target.name, load.scaled)
            });
        }
    }

    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
        let target = self.workload.clone().unwrap_or_default();
        let name = &target.name;
        let load = inventory.and_then(|all| all.loads.get(&target.uid));
        let busy = load.and_then(|load| percent(load, snapshot.now));
        let settings = &snapshot.settings.load;
        let is_out = self.to_replicas > self.from_replicas;
        let fits = busy.is_some_and(|busy| {
            if is_out { busy >= settings.busy_percent.into() } else { busy <= settings.calm_percent.into() }
        });
        let lasted = load.and_then(|load| {
            load.since(snapshot.now, |permille| {
                if is_out {
                    permille / 10 >= settings.busy_percent.into()
                } else {
                    permille / 10 <= settings.calm_percent.into()
                }
            })
        });
        let least = i64::from(if is_out { settings.busy_s } else { settings.calm_s });
        require(
            found,
            3,
            lasted.is_some_and(|since| snapshot.now.as_second() - since.as_second() >= least),
            || format!("{name} has not been so for {least} s: since {lasted:?}"),
        );
        require(found, 3, fits, || {
            format!("{name} uses {busy:?} % of the CPU that it asks for, as far as is known now")
        });
        let is_out_and_ready = inventory.is_some_and(|all| {
            load.is_some_and(|load| load.settled && load.ready >= load.replicas)
                && room::is_out(&self.kind, all, |meta| meta.uid == target.uid)
        });
        require(found, 3, is_out_and_ready, || format!("not all pods of {name} are out and ready"));
        // What is used now, on as many as are left, is not busy.
        let (from, to) = (u64::from(self.from_replicas), u64::from(self.to_replicas));
        let bears = busy.is_some_and(|busy| busy * from < u64::from(settings.busy_percent) * to.max(1));
        require(found, 3, is_out || bears, || {
            format!("{to} replicas of {name} would be busy with what {from} do now: {busy:?} %")
        });
        if is_out {
            let pods = inventory.map(|all| pods(self, all)).unwrap_or_default();
            require(found, 3, inventory.is_some_and(|all| room::for_one_of(&pods, all)), || {
                format!("no node has what one more pod of {name} asks for")
            });
            room::nobody_else_adds(found, plan, snapshot);
        }
        let ago = earlier::ago(snapshot, ActionKind::ScaleWorkload, &target.uid, DAY_S);
        require(found, 5, !is_out || ago.len() < 12, || {
            format!("{name} was scaled {} times within a day", ago.len())
        });
        let least = i64::from(settings.cool_down_s);
        require(found, 5, ago.iter().all(|ago| *ago >= least), || {
            format!("{name} was scaled within the last {least} s")
        });
    }
}

fn require_same(
    action: &v1::ScaleWorkload,
    found: &mut Violations,
    load: &WorkloadLoad,
    inventory: &Inventory,
) {
    let name = &load.meta.name;
    let is_there = match action.kind.as_str() {
        "Deployment" => inventory.deployments.get(&load.meta.uid).is_some_and(|one| !one.meta.deleting),
        "StatefulSet" => inventory.stateful_sets.get(&load.meta.uid).is_some_and(|one| !one.meta.deleting),
        _ => false,
    };
    require(found, 3, is_there && load.kind == action.kind, || {
        format!("{} {name} is not there, or on its way out", action.kind)
    });
    require(found, 3, load.replicas == action.from_replicas, || {
        format!("{name} has {} and not {} replicas", load.replicas, action.from_replicas)
    });
    let had = load.scaled.filter(|(_, to)| *to == load.replicas).map_or(load.replicas, |(from, _)| from);
    require(found, 3, had == action.base_replicas, || {
        format!("{name} had {had} replicas before it was scaled out, and not {}", action.base_replicas)
    });
    let fought = load.scaled.is_some_and(|(_, to)| to > load.replicas);
    require(found, 9, !fought, || {
        format!("somebody set {} replicas of {name} after Nimbus: {:?}", load.replicas, load.scaled)
    });
    require(found, 9, load.manager.is_empty() && load.vertical.is_empty(), || {
        format!("{name} is managed by {}{}", load.manager, load.vertical)
    });
    let scaled = inventory.horizontal_pod_autoscalers.values().any(|it| {
        it.meta.namespace == load.meta.namespace && it.target_kind == action.kind && it.target_name == *name
    });
    require(found, 9, !scaled, || format!("an autoscaler decides how many pods {name} has"));
}

/// Percent of the CPU that its pods ask for that they use, where all were measured within three minutes.
fn percent(load: &WorkloadLoad, now: jiff::Timestamp) -> Option<u64> {
    let fresh = (now.as_second() - load.at.as_second()).abs() <= 180;
    let whole = load.pods > 0 && load.pods == load.measured && load.asked_milli > 0;
    (fresh && whole).then(|| {
        let percent = u128::from(load.used_milli) * 100 / u128::from(load.asked_milli.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    })
}

/// Its pods that have not ended.
fn pods<'a>(action: &v1::ScaleWorkload, inventory: &'a Inventory) -> Vec<&'a Pod> {
    let uid = action.workload.as_ref().map_or("", |target| target.uid.as_str());
    let owned = |pod: &&Pod| {
        let owner = pod.meta.owner_uid.as_str();
        owner == uid || inventory.replica_sets.get(owner).is_some_and(|set| set.meta.owner_uid == uid)
    };
    inventory
        .pods
        .values()
        .filter(owned)
        .filter(|pod| pod.phase != "Succeeded" && pod.phase != "Failed")
        .collect()
}
