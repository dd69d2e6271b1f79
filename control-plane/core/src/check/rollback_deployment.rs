//! The independent check of `rollback_deployment` plans: the Deployment and the revision to return to must still be as
//! planned.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, to_hex, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::{Plan, Revision};
use crate::snapshot::Snapshot;
use crate::world::{Begun, Container, Inventory, Pod, TemplateFact};

impl ActionRules for v1::RollbackDeployment {
    fn authority(&self) -> Authority {
        Authority::Approver
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment]
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
        let (Some(deployment), Some(to)) = (&self.deployment, &self.to_replica_set) else {
            return require(found, 3, false, || "the plan names no Deployment or no ReplicaSet".to_owned());
        };
        check(self, found, inventory, deployment, to);
        require_lasting(self, found, snapshot, inventory, deployment, to);
        require_startable(found, snapshot, inventory, deployment, to);
    }

    fn check_at_dispatch(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}

fn check(
    action: &v1::RollbackDeployment,
    found: &mut Violations,
    inventory: &Inventory,
    deployment: &v1::Target,
    to_replica_set: &v1::Target,
) {
    let (current, to) = (to_hex(&action.current_template_hash), to_hex(&action.to_template_hash));
    let Some(now) = inventory.deployments.get(&deployment.uid) else {
        require(found, 3, false, || format!("deployment {} no longer exists", deployment.name));
        return;
    };
    // No generation is bound where the agent says what else it needs: the templates are what was approved.
    let free = action.generation == 0 && now.more.is_some();
    require(found, 3, free || now.generation == action.generation, || {
        format!("generation {} of {} expected, found {}", action.generation, deployment.name, now.generation)
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
            && set.revision == action.to_revision
            && set.template_hash == to
            && !set.meta.deleting
    });
    require(found, 3, fits, || {
        format!("ReplicaSet {} of revision {} is not there", to_replica_set.name, action.to_revision)
    });
    require(found, 9, now.manager.is_empty(), || {
        format!("{} is managed by {}", deployment.name, now.manager)
    });
    require(found, 9, !now.paused, || format!("{} was paused by a person", deployment.name));
}

/// The revision to return to lasted, by what was noted or by the times of its own pods; the present one never did, and is
/// known to fail.
fn require_lasting(
    action: &v1::RollbackDeployment,
    found: &mut Violations,
    snapshot: &Snapshot<'_>,
    inventory: &Inventory,
    deployment: &v1::Target,
    to_replica_set: &v1::Target,
) {
    let Some(now) = inventory.deployments.get(&deployment.uid) else { return };
    let (current, to) = (to_hex(&action.current_template_hash), to_hex(&action.to_template_hash));
    let ready_for = u64::from(now.more.as_ref().map_or(0, |more| more.min_ready_seconds)) * 1_000;
    let soak = u64::from(snapshot.settings.good_after_ms).max(ready_for);
    let noted = |hash: &str| {
        let history = inventory.histories.get(&deployment.uid)?;
        history.revisions.iter().find(|one| one.template_hash == hash)
    };
    let noted_good = noted(&to).is_some_and(|one| one.held_ms >= soak);
    let out = noted(&to).and_then(|one| one.came_out_at);
    // Since the clock here jumped, what pods say of their times is by another one.
    let jumped = inventory.clock_jumped_at.is_some()
        || inventory.histories.get(&deployment.uid).is_some_and(|history| history.clock_jumped_at.is_some());
    // A pod's times are the cluster's clock's: none is before its revision was seen to come out.
    let long_ago = |at: Option<Timestamp>| {
        let at = at.map(|at| out.map_or(at, |out| at.max(out)));
        let since = at.map(|at| snapshot.now.duration_since(at).as_millis());
        since.is_some_and(|ms| ms >= i128::from(soak))
    };
    let steady = |pod: &&Pod| {
        let quiet = |c: &Container| c.restarts == 0 || long_ago(c.last_finished_at);
        pod.ready && long_ago(pod.ready_since) && pod.containers.iter().all(quiet)
    };
    let is_its = |pod: &&Pod| {
        let ended = pod.meta.deleting || pod.phase == "Succeeded" || pod.phase == "Failed";
        pod.meta.owner_uid == to_replica_set.uid && !ended
    };
    let mut pods = inventory.pods.values().filter(is_its).peekable();
    // What is left of one that had trouble is what did not fail.
    let had_trouble = noted(&to).is_some_and(|one| one.trouble.is_some());
    let shown_good = !jumped && !had_trouble && pods.peek().is_some() && pods.all(|pod| steady(&pod));
    require(found, 3, noted_good || shown_good, || {
        format!("nothing shows that revision {} lasted for {soak} ms", action.to_revision)
    });
    let lasted_itself = noted(&current).is_some_and(|one| one.longest_ms >= soak);
    require(found, 3, !lasted_itself, || {
        format!("revision {} of {} lasted before", now.revision, deployment.name)
    });
    let late = now.progressing == "False" && now.progressing_reason == "ProgressDeadlineExceeded";
    // Past its deadline once, and its deadline began anew, as it does with each flap and each scaling: a pod of it that was made
    // before is not ready still, or no longer. Since the clock here jumped, when it was made is by another one.
    let older = template_of(inventory, &to_replica_set.uid);
    let still = |one: &Revision| {
        let late_at = one.late_at.filter(|_| !jumped);
        late_at.is_some_and(|late| any_pod_is_late(inventory, deployment, (current.as_str(), older), late))
    };
    let failed = noted(&current).is_some_and(|one| one.trouble.is_some() || still(one));
    let never = never_ready(inventory, deployment, &current, snapshot);
    require(found, 3, late || failed || never, || {
        format!("nothing shows that revision {} of {} fails", now.revision, deployment.name)
    });
}

/// Was a pod of the present template made before this moment, and is it not ready? One that still waits to begin says nothing.
fn any_pod_is_late(
    inventory: &Inventory,
    deployment: &v1::Target,
    (current, older): (&str, &[TemplateFact]),
    late: Timestamp,
) -> bool {
    let its = |pod: &&Pod| {
        let set = inventory.replica_sets.get(&pod.meta.owner_uid);
        set.is_some_and(|set| set.meta.owner_uid == deployment.uid && set.template_hash == current)
    };
    let ended = |pod: &Pod| pod.meta.deleting || pod.phase == "Succeeded" || pod.phase == "Failed";
    let made_before = |pod: &Pod| pod.meta.created_at.is_none_or(|made| made < late);
    let unready = |pod: &Pod| !pod.ready && !ended(pod) && made_before(pod);
    let waits = |pod: &Pod| {
        let own = asks_anew(template_of(inventory, &pod.meta.owner_uid), older);
        waits_to_start(pod, inventory, own, None)
    };
    inventory.pods.values().filter(its).any(|pod| unready(pod) && !waits(pod))
}

/// What the pod template of a ReplicaSet says, as far as it is told.
fn template_of<'a>(inventory: &'a Inventory, set: &str) -> &'a [TemplateFact] {
    inventory.replica_sets.get(set).map(|set| set.template.as_slice()).unwrap_or_default()
}

/// Does the newer template itself ask something of the kubelet that the older one does not? That may be what cannot be made.
fn asks_anew(newer: &[TemplateFact], older: &[TemplateFact]) -> bool {
    const KINDS: [&str; 8] =
        [".hostPath.type", ".nfs.", ".csi.", ".iscsi.", ".cephfs.", ".rbd.", ".glusterfs.", ".fc."];
    let asks = |path: &str| {
        path == "runtimeClassName"
            || (path.starts_with("volumes[") && KINDS.iter().any(|kind| path.contains(kind)))
    };
    // A type that is not said is written as an empty one.
    let unsaid = |fact: &TemplateFact| fact.path.ends_with(".hostPath.type") && fact.value.is_empty();
    newer.iter().any(|fact| asks(&fact.path) && !unsaid(fact) && !older.contains(fact))
}

/// Does a pod wait for what is not its template's fault: for room, or for a ConfigMap or Secret that is not there; or was nothing
/// of it begun in a minute, where its template does not ask for anything of its `own` that may be why? Without a moment it had
/// its minute.
fn waits_to_start(pod: &Pod, inventory: &Inventory, own: bool, now: Option<Timestamp>) -> bool {
    let told = pod.facts.as_ref().and_then(|facts| facts.begun);
    // With init containers it says PodInitializing, and an older agent does not tell whether one of them runs.
    let seems = |c: &Container| c.restarts > 0 || c.state != "waiting" || c.reason != "ContainerCreating";
    let begun = told.map_or_else(|| pod.containers.iter().any(seems), |told| told == Begun::Yes);
    let age = |now: Timestamp| pod.meta.created_at.map(|at| now.duration_since(at).as_secs());
    let young = now.and_then(age).is_some_and(|secs| secs < 60);
    // An Event names what its volumes need. It stays when that is there: what was begun waits for it no longer.
    let unmade = |c: &Container| {
        c.state == "waiting" && (c.reason == "ContainerCreating" || c.reason == "PodInitializing")
    };
    let for_a_volume = || {
        let mut events = inventory.pod_events.values().filter(|event| event.meta.owner_uid == pod.meta.uid);
        events.any(|event| !event.message.is_empty())
    };
    !pod.unschedulable.is_empty()
        || pod.containers.iter().any(Container::lacks_what_it_refers_to)
        || (told != Some(Begun::Yes) && pod.containers.iter().any(unmade) && for_a_volume())
        || (!young && !begun && !own)
}

fn only_begins(reason: &str) -> bool {
    matches!(reason, "" | "ContainerCreating" | "PodInitializing")
}

/// Where there is no deadline that could pass: was no pod of the present template ready even once in ten minutes?
fn never_ready(
    inventory: &Inventory,
    deployment: &v1::Target,
    current: &str,
    snapshot: &Snapshot<'_>,
) -> bool {
    let Some(now) = inventory.deployments.get(&deployment.uid) else { return false };
    let endless = now.more.as_ref().is_some_and(|more| more.progress_deadline_seconds == 0);
    let its = |pod: &&Pod| {
        let set = inventory.replica_sets.get(&pod.meta.owner_uid);
        let present =
            set.is_some_and(|set| set.meta.owner_uid == deployment.uid && set.template_hash == current);
        present && !pod.meta.deleting && pod.phase != "Succeeded" && pod.phase != "Failed"
    };
    let mut pods = inventory.pods.values().filter(its).peekable();
    let age = |pod: &Pod| pod.meta.created_at.map(|at| snapshot.now.duration_since(at).as_secs());
    let old = |pod: &Pod| age(pod).is_none_or(|secs| secs >= 600);
    endless && pods.peek().is_some() && pods.all(|pod| !pod.ready && pod.seen_ready_ms.is_none() && old(pod))
}

/// The present template is to blame: its pods could be made and started. And what the older one needs is there.
fn require_startable(
    found: &mut Violations,
    snapshot: &Snapshot<'_>,
    inventory: &Inventory,
    deployment: &v1::Target,
    to_replica_set: &v1::Target,
) {
    let Some(now) = inventory.deployments.get(&deployment.uid) else { return };
    let present = inventory.replica_sets.values().filter(|set| {
        set.meta.owner_uid == deployment.uid && set.template_hash == now.template_hash && !set.meta.deleting
    });
    let present: Vec<&str> = present.map(|set| set.meta.uid.as_str()).collect();
    let unready: Vec<&Pod> = inventory
        .pods
        .values()
        .filter(|pod| present.contains(&pod.meta.owner_uid.as_str()) && !pod.ready && !pod.meta.deleting)
        .filter(|pod| pod.phase != "Succeeded" && pod.phase != "Failed")
        .collect();
    let template = template_of(inventory, &to_replica_set.uid);
    let own = present.first().is_some_and(|set| asks_anew(template_of(inventory, set), template));
    let waits = |pod: &&Pod| waits_to_start(pod, inventory, own, Some(snapshot.now));
    let none_starts = !unready.is_empty() && unready.iter().all(waits);
    require(found, 3, !none_starts, || {
        format!(
            "no pod of revision {} of {} could start: its template is not to blame",
            now.revision, deployment.name
        )
    });
    let refused = now.more.as_ref().is_some_and(|more| !more.replica_failure.is_empty());
    // One that only begins says nothing.
    let fails =
        unready.iter().any(|pod| pod.containers.iter().any(|c| c.restarts > 0 || !only_begins(&c.reason)));
    require(found, 3, !refused || fails, || {
        format!("pods of {} are not made at all: its template is not to blame", deployment.name)
    });
    for fact in template {
        let Some(above) = fact.path.strip_suffix(".name").filter(|above| {
            above.ends_with("configMap")
                || above.ends_with("configMapRef")
                || above.ends_with("configMapKeyRef")
        }) else {
            continue;
        };
        let optional = format!("{above}.optional");
        let optional = template.iter().any(|f| f.path == optional && f.value == "true");
        let there = inventory
            .config_maps
            .values()
            .any(|map| map.meta.namespace == now.meta.namespace && map.meta.name == fact.value);
        let known = inventory.is_listed(ObjectKind::ConfigMap) && !fact.value.is_empty();
        require(found, 3, optional || there || !known, || {
            format!("ConfigMap {}, which the older template needs, is not there", fact.value)
        });
    }
}
