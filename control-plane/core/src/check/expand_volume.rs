//! The independent check of `expand_volume` plans: the claim is nobody else's and as it was planned on, a kubelet measured its
//! volume to be nearly full, its class lets it grow, and the step is bounded, below the ceiling and not too soon.

use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, earlier, require};
use crate::model::{ActionKind, Plan};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, PersistentVolumeClaim};

const WEEK_S: i64 = 604_800;

impl ActionRules for v1::ExpandVolume {
    fn authority(&self) -> Authority {
        Authority::Approver
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[ObjectKind::PersistentVolumeClaim]
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
        let Some(target) = &self.claim else {
            return require(found, 3, false, || "the plan names no claim".to_owned());
        };
        require(found, 3, plan.object.uid() == target.uid, || {
            format!("the plan is about {}, and would expand {}", plan.object, target.name)
        });
        let Some(now) = inventory.persistent_volume_claims.get(&target.uid) else {
            return require(found, 3, false, || format!("claim {} no longer exists", target.name));
        };
        require_same(self, found, now);
        let mut classes =
            inventory.storage_classes.values().filter(|one| one.meta.name == self.storage_class);
        let are_listed = inventory.has_every(ObjectKind::StorageClass);
        let grows = are_listed
            && classes.next().is_some_and(|class| class.allows_expansion)
            && classes.next().is_none();
        require(found, 3, grows, || {
            format!("StorageClass {} is not known to let volumes grow", self.storage_class)
        });
        let twice = u128::from(self.from_bytes) * 2;
        require(found, 3, self.to_bytes > self.from_bytes && u128::from(self.to_bytes) <= twice, || {
            format!("a step from {} to {} bytes is none, or too great a one", self.from_bytes, self.to_bytes)
        });
        let ceiling = u128::from(snapshot.settings.volumes.ceiling_gib) * 1_073_741_824;
        require(found, 3, u128::from(self.to_bytes) <= ceiling, || {
            format!("{} bytes are more than the ceiling of {ceiling}", self.to_bytes)
        });
    }

    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
        let name = self.claim.as_ref().map_or("", |claim| claim.name.as_str());
        let full = inventory.is_some_and(|all| is_measured_full(self, all, snapshot.now));
        let of_operator = inventory.is_some_and(|all| is_of_operator(self, all));
        require(found, 9, !of_operator, || {
            format!("claim {name} was made for a StatefulSet that an operator keeps")
        });
        require(found, 3, full, || format!("no figure of now shows the volume of {name} to be nearly full"));
        let uid = self.claim.as_ref().map_or("", |claim| claim.uid.as_str());
        let ago = earlier::ago(snapshot, ActionKind::ExpandVolume, uid, WEEK_S);
        require(found, 5, ago.len() < 2, || {
            format!("the volume of {name} was expanded {} times within a week", ago.len())
        });
        let least = i64::from(snapshot.settings.volumes.cool_down_s);
        require(found, 5, ago.iter().all(|ago| *ago >= least), || {
            format!("the volume of {name} was expanded within the last {least} s")
        });
    }
}

/// Was the claim made for a pod of a StatefulSet whose pod template an operator writes, or that one owns?
fn is_of_operator(action: &v1::ExpandVolume, inventory: &Inventory) -> bool {
    let Some(target) = &action.claim else { return false };
    inventory.stateful_sets.values().any(|set| {
        let ordinal =
            target.name.rsplit_once('-').filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
        set.manager == "operator"
            && set.meta.namespace == target.namespace
            && ordinal.is_some_and(|(of, _)| of.ends_with(&format!("-{}", set.meta.name)))
    })
}

fn require_same(action: &v1::ExpandVolume, found: &mut Violations, now: &PersistentVolumeClaim) {
    let name = &now.meta.name;
    require(found, 3, !now.meta.deleting && now.phase == "Bound", || {
        format!("claim {name} is {} or on its way out", now.phase)
    });
    require(found, 3, now.requested == Some(action.from_bytes), || {
        format!("claim {name} asks for {:?} and not for {} bytes", now.requested, action.from_bytes)
    });
    require(found, 3, now.storage_class == action.storage_class, || {
        format!("claim {name} is of class {:?}", now.storage_class)
    });
    require(found, 9, now.manager.is_empty(), || format!("claim {name} is managed by {}", now.manager));
    let settled = now.resizing.is_empty() && now.resize_error.is_empty();
    let has_it = now.capacity.is_some_and(|has| has >= action.from_bytes && has < action.to_bytes);
    require(found, 3, settled && has_it, || {
        format!(
            "claim {name} has {:?} bytes and is on its way to another size: {}{}",
            now.capacity, now.resizing, now.resize_error
        )
    });
}

/// Does a kubelet's figure that is not older than a quarter of an hour show that it does not have room again, which is 85 % of its
/// bytes in use? From 90 % on there is an incident, which stands until then.
fn is_measured_full(action: &v1::ExpandVolume, inventory: &Inventory, now: jiff::Timestamp) -> bool {
    let Some(target) = &action.claim else { return false };
    let Some(claim) = inventory.persistent_volume_claims.get(&target.uid) else { return false };
    let is_filesystem = claim.volume_mode.is_empty() || claim.volume_mode == "Filesystem";
    let is_written =
        claim.access_modes.is_empty() || claim.access_modes.iter().any(|mode| mode != "ReadOnlyMany");
    let of_claim = u128::from(claim.capacity.unwrap_or(action.from_bytes));
    let made = claim.meta.created_at.map_or(i64::MIN, jiff::Timestamp::as_second);
    let fresh = inventory
        .measured
        .iter()
        .filter(|(_, node)| now.as_second() - node.at.as_second() <= 900 && node.at.as_second() >= made);
    let of_it = fresh.flat_map(|(_, node)| node.volumes.iter().map(|volume| (node.at, volume)));
    let of_it: Vec<_> = of_it
        .filter(|(_, volume)| volume.namespace == target.namespace && volume.claim == target.name)
        .collect();
    // Of one file system that several kubelets measured the last word counts.
    let last = of_it.iter().map(|(at, _)| *at).max();
    let is_full = of_it.iter().filter(|(at, _)| Some(*at) == last).any(|(_, volume)| {
        let (Some(all), Some(left)) = (volume.filesystem.capacity, volume.filesystem.available) else {
            return false;
        };
        // A file system of about the claim's size: neither one that is shared, nor one that did not grow with it.
        let (size, left) = (u128::from(all), u128::from(left));
        let is_its_own = size * 100 >= of_claim * 70 && size * 100 <= of_claim * 106;
        !volume.on_node_filesystem && is_its_own && size > 0 && left <= size && left * 100 <= size * 15
    });
    is_filesystem && is_written && is_full
}
