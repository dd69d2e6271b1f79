//! The independent check of `restart_pod` plans: the pod must still crash-loop, be able to differ, and be nobody's to leave
//! alone, and holding its node back must be safe.

use std::collections::BTreeMap;

use nimbus_protocol::kind::{
    ANTI_AFFINITY, HELD, HELD_EFFECT, MOST_NEIGHBOURS, MOST_OF_A_NODE, MOST_TOLERATIONS,
};
use nimbus_protocol::{ObjectKind, v1};

use super::siblings::{is_proven, moment_of, siblings};
use super::{ActionRules, Authority, Location, Violations, lasting, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;
use crate::world::{
    Inventory, Meta, Node, NodeFacts, Placement, Pod, Requirement, StatefulSet, Taint, Toleration,
};

impl ActionRules for v1::RestartPod {
    fn authority(&self) -> Authority {
        Authority::Rule
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        match self.owner_kind.as_str() {
            "StatefulSet" => &[ObjectKind::Pod, ObjectKind::StatefulSet, ObjectKind::Node],
            _ => &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment, ObjectKind::Node],
        }
    }

    fn node(&self) -> Option<&str> {
        Some(&self.node)
    }

    fn holds(&self) -> bool {
        self.avoid_node
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(inventory) = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default())
        else {
            return require(found, 3, false, || format!("nothing is known of cluster {}", plan.scope));
        };
        let (Some(pod), Some(owner)) = (&self.pod, &self.owner) else {
            return require(found, 3, false, || "the plan names no pod or no owner".to_owned());
        };
        check(self, found, (inventory, snapshot), pod, owner);
    }

    /// Invariant 3, the condition itself: at the moment of going out the container waits in its back-off.
    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
        let uid = self.pod.as_ref().map_or("", |pod| pod.uid.as_str());
        let pod = inventory.and_then(|inventory| inventory.pods.get(uid));
        let waits = pod.is_some_and(|pod| {
            pod.containers
                .iter()
                .any(|c| c.name == self.container && c.state == "waiting" && c.reason == "CrashLoopBackOff")
        });
        require(found, 3, waits, || {
            format!("container {} does not wait in CrashLoopBackOff right now", self.container)
        });
    }
}

fn check(
    action: &v1::RestartPod,
    found: &mut Violations,
    (inventory, snapshot): (&Inventory, &Snapshot<'_>),
    pod: &v1::Target,
    owner: &v1::Target,
) {
    let (node, container) = (&action.node, &action.container);
    let Some(now) = inventory.pods.get(&pod.uid) else {
        require(found, 3, false, || format!("pod {} ({}) no longer exists", pod.name, pod.uid));
        return;
    };
    let same = now.meta.name == pod.name && now.meta.namespace == pod.namespace && !now.meta.deleting;
    require(found, 3, same, || format!("pod {} is being deleted or is another one", pod.name));
    require(found, 3, &now.node == node, || format!("pod on {node} expected, found on {}", now.node));
    require(found, 3, !now.ready, || format!("pod {} is ready", pod.name));
    let restarts = now.containers.iter().find(|c| &c.name == container).map(|c| c.restarts);
    require(found, 3, restarts.is_some_and(|r| r >= action.min_restarts), || {
        format!("container {container} with {} restarts expected, found {restarts:?}", action.min_restarts)
    });
    let known = match action.owner_kind.as_str() {
        "" | "ReplicaSet" => {
            let set = inventory.replica_sets.get(&owner.uid);
            set.is_some_and(|set| inventory.deployments.get(&set.meta.owner_uid).is_some())
        }
        "StatefulSet" => inventory.stateful_sets.get(&owner.uid).is_some(),
        _ => false,
    };
    require(found, 9, known && now.meta.owner_uid == owner.uid, || {
        format!("pod {} is not of a ReplicaSet of a Deployment, nor of a StatefulSet", pod.name)
    });
    if action.owner_kind == "StatefulSet" {
        let set = inventory.stateful_sets.get(&owner.uid);
        let next = set.and_then(|set| next_revision(set, &pod.name));
        let same = next.is_some_and(|next| !next.is_empty() && *next == now.controller_revision);
        require(found, 3, same, || {
            format!("pod {} of revision {next:?} expected, found {:?}", pod.name, now.controller_revision)
        });
        let bad = set.is_some_and(|set| is_of_a_bad_revision(set, now, (inventory, snapshot)));
        require(found, 3, !bad, || {
            format!(
                "revision {:?} of pod {} fails since soon after it came out, and never lasted",
                now.controller_revision, pod.name
            )
        });
    }
    undisturbed(found, inventory, now, owner);
    could_ever_run(found, now, container);
    siblings(found, action, (inventory, snapshot), now);
    lasting::revision(found, (inventory, snapshot), now, container);
    if action.avoid_node {
        held(found, node, (inventory, snapshot), now);
    }
}

/// Of which revision a StatefulSet would make this pod anew: below its partition it keeps the current one.
fn next_revision<'a>(set: &'a StatefulSet, pod: &str) -> Option<&'a String> {
    let (of, ordinal) = pod.rsplit_once('-')?;
    let ordinal = ordinal.parse::<u64>().ok().filter(|_| of == set.meta.name)?;
    let first_updated = u64::from(set.first_ordinal) + u64::from(set.partition);
    Some(if ordinal >= first_updated { &set.update_revision } else { &set.current_revision })
}

/// Is the pod of the newest revision of its StatefulSet, which was seen to come out and failed within the
/// stated time after its first pod was made, and of which no pod was ever ready for as long as a good one is?
fn is_of_a_bad_revision(set: &StatefulSet, pod: &Pod, (inventory, s): (&Inventory, &Snapshot<'_>)) -> bool {
    let (Some(out), Some(failed)) = (set.came_out_at, set.failed_at) else { return false };
    let good = s.settings.good_after_ms;
    let began = set.first_pod_at.unwrap_or(out);
    // What ran for so long before anybody looked may have been good then.
    let watched = out.duration_since(began).as_millis() <= i128::from(good);
    let newest = |one: &Pod| one.controller_revision == set.update_revision;
    let steady = |other: &Pod| {
        let ready_for = other.ready_since.map(|since| s.now.duration_since(since).as_millis());
        other.meta.owner_uid == set.meta.uid
            && newest(other)
            && other.ready
            && !other.meta.deleting
            && ready_for.is_some_and(|ms| ms >= i128::from(good))
    };
    let told = || inventory.clock_jumped_at.is_none() && inventory.pods.values().any(steady);
    newest(pod)
        && watched
        && failed.duration_since(began).as_millis() <= i128::from(s.settings.rollout_suspect_ms)
        && set.ready_ms < u64::from(good)
        && !told()
}

/// Invariant 9: nobody asked to leave the pod or what owns it alone.
fn undisturbed(found: &mut Violations, inventory: &Inventory, pod: &Pod, owner: &v1::Target) {
    let marks = pod.facts.as_ref().map(|facts| &facts.do_not_disturb);
    require(found, 9, marks.is_some_and(Vec::is_empty), || {
        format!("pod {} asks not to be disturbed, or that is not known: {marks:?}", pod.meta.name)
    });
    let set = inventory.replica_sets.get(&owner.uid);
    let deployment = set.and_then(|set| inventory.deployments.get(&set.meta.owner_uid));
    let stateful = inventory.stateful_sets.get(&owner.uid);
    let leaves = set.is_some_and(|set| set.meta.deleting)
        || deployment.is_some_and(|deployment| deployment.meta.deleting || deployment.paused)
        || stateful.is_some_and(|set| set.meta.deleting);
    require(found, 9, !leaves, || format!("what owns pod {} is being deleted or paused", pod.meta.name));
}

/// Invariant 3: one that never was ready, or that finishes, is not replaced.
fn could_ever_run(found: &mut Violations, pod: &Pod, container: &str) {
    let taken = pod.facts.as_ref().and_then(|facts| facts.started_at);
    let changed =
        taken.zip(pod.ready_since).is_some_and(|(taken, at)| at.duration_since(taken).as_secs() > 1);
    require(found, 3, changed, || format!("pod {} was never ready, or that is not known", pod.meta.name));
    let ended = pod.containers.iter().find(|c| c.name == container);
    // Where each run makes it ready, one of them has to have lasted: for 10 s, or for much longer than the last one.
    let run = ended.and_then(|c| Some((c.last_started_at?, c.last_finished_at?)));
    let by_running = run.zip(pod.ready_since).filter(|((_, end), at)| at >= end);
    let lasted = by_running.is_none_or(|((began, end), _)| {
        let last = u64::try_from(end.duration_since(began).as_millis()).unwrap_or(0);
        let longer = last.saturating_mul(2).saturating_add(2_000).min(10_000);
        last >= 10_000 || pod.seen_ready_ms.is_some_and(|longest| longest >= longer)
    });
    require(found, 3, lasted, || format!("no run of container {container} of pod {} lasted", pod.meta.name));
    let well = ended.is_some_and(|c| c.last_exit_code == 0 && c.last_reason == "Completed");
    require(found, 3, !well, || format!("container {container} ends with exit code 0: it finishes"));
}

/// Invariant 7: the node is nobody else's, and another open one takes the pod.
fn held(found: &mut Violations, node: &str, (inventory, s): (&Inventory, &Snapshot<'_>), pod: &Pod) {
    let on = inventory.nodes.values().find(|n| n.meta.name == node);
    require(found, 7, on.is_some_and(|n| !n.control_plane), || {
        format!("node {node} would be held; it is of the control plane or not known")
    });
    let free = on.is_some_and(|n| {
        let unmarked = n.facts.as_ref().is_some_and(|facts| facts.marks.is_empty());
        unmarked && n.ready == "True" && !n.unschedulable && !n.meta.deleting && !is_shaky(n, s)
    });
    require(found, 7, free, || {
        format!(
            "node {node} is not ready or flaps, or somebody else marked or cordoned it, or that is not known"
        )
    });
    // A pod that tolerates the taint of Nimbus, whichever job's it is, or may, would come to the node all the
    // same.
    let asked = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let ours = |t: &Toleration| {
        let named = t.key == HELD || (t.key.is_empty() && t.operator == "Exists");
        named && (t.effect.is_empty() || t.effect == HELD_EFFECT)
    };
    let kept_out = asked.is_none_or(|asked| {
        asked.tolerations.len() < MOST_TOLERATIONS && !asked.tolerations.iter().any(ours)
    });
    require(found, 7, kept_out, || {
        format!("node {node} would be held for a pod that tolerates the taint that holds it")
    });
    let all = pod.facts.as_ref().filter(|facts| facts.references_complete);
    let maps = all.map(|facts| facts.config_maps.as_slice()).unwrap_or_default();
    let secrets = all.map(|facts| facts.secrets.as_slice()).unwrap_or_default();
    let moment = moment_of(pod, inventory, s);
    let well = |other: &&Pod| {
        let same = other.meta.owner_uid == pod.meta.owner_uid
            && other.controller_revision == pod.controller_revision;
        same && is_proven(other, moment, s) && !other.meta.deleting && other.node != pod.node
    };
    // A minute lies between the clocks of a node and of the API server at most.
    let before = |other: &Pod, written: Option<jiff::Timestamp>| {
        let started = other.facts.as_ref().and_then(|facts| facts.started_at);
        started.zip(written).is_some_and(|(started, written)| started.duration_since(written).as_secs() >= 60)
    };
    let is = |meta: &Meta, name: &String| meta.namespace == pod.meta.namespace && meta.name == *name;
    let read_map = |other: &Pod, name: &String| {
        let found = inventory.config_maps.values().find(|map| is(&map.meta, name));
        before(other, found.and_then(|map| map.written_at))
    };
    let read_secret = |other: &Pod, name: &String| {
        let found = inventory.secrets.values().find(|secret| is(&secret.meta, name));
        before(other, found.and_then(|secret| secret.written_at))
    };
    // As `name=id`, the init containers' first.
    let images = |of: &Pod| -> Option<Vec<String>> {
        let mut all = of.facts.as_ref().filter(|facts| facts.references_complete)?.init_images.clone();
        let plain = of.containers.iter().filter(|container| container.role.is_empty());
        all.extend(plain.map(|one| format!("{}={}", one.name, one.image_id)));
        all.iter().all(|image| !image.ends_with('=')).then_some(all)
    };
    let same = |own: &[String], theirs: &[String]| {
        own.len() == theirs.len() && own.iter().all(|image| theirs.contains(image))
    };
    let alike = |other: &Pod| images(pod).zip(images(other)).is_some_and(|(own, theirs)| same(&own, &theirs));
    let listed = (maps.is_empty() || inventory.is_listed(ObjectKind::ConfigMap))
        && (secrets.is_empty() || inventory.is_listed(ObjectKind::Secret));
    let witness = |other: &Pod| {
        alike(other)
            && maps.iter().all(|name| read_map(other, name))
            && secrets.iter().all(|name| read_secret(other, name))
    };
    let shown = inventory.pods.values().filter(well).any(witness);
    require(found, 7, all.is_some() && listed && shown, || {
        format!(
            "node {node} is not suspect: no pod that is well elsewhere is known to run the same images and to have started \
             after all that they refer to was written"
        )
    });
    let neighbours =
        inventory.pods.values().filter(|other| other.meta.namespace == pod.meta.namespace).count();
    require(found, 7, neighbours <= MOST_NEIGHBOURS, || {
        format!("namespace {} has {neighbours} pods; an agent reads fewer again", pod.meta.namespace)
    });
    let told: BTreeMap<&str, &NodeFacts> =
        inventory.nodes.values().filter_map(|n| Some((n.meta.name.as_str(), n.facts.as_ref()?))).collect();
    let other = inventory.nodes.values().any(|n| n.meta.name != node && takes(n, pod, (inventory, s), &told));
    require(found, 7, other, || {
        format!("node {node} would be held and no other one is known to take the pod")
    });
}

/// Was it lost, and is it back for too short a time?
fn is_shaky(node: &Node, s: &Snapshot<'_>) -> bool {
    let back = node.ready_since.map(|since| s.now.duration_since(since).as_millis());
    node.was_lost && back.is_none_or(|ms| ms < i128::from(s.settings.node_steady_ms))
}

/// Is a node open, nobody's, one that the pod asks nothing of that it lacks, and one with room for it?
fn takes(
    node: &Node,
    pod: &Pod,
    (inventory, s): (&Inventory, &Snapshot<'_>),
    told: &BTreeMap<&str, &NodeFacts>,
) -> bool {
    let asked = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let (Some(offers), Some(asked)) = (&node.facts, asked) else { return false };
    let open = !is_shaky(node, s)
        && node.ready == "True"
        && !node.unschedulable
        && !node.meta.deleting
        && !node.control_plane;
    let tolerated = offers.taints.iter().all(|taint| {
        taint.effect == "PreferNoSchedule" || asked.tolerations.iter().any(|t| tolerates(t, taint))
    });
    let labelled = asked.node_selector.iter().all(|wanted| offers.labels.contains(wanted));
    let wanted =
        asked.node_terms.is_empty() || asked.node_terms.iter().any(|term| agrees(term, node, offers));
    open && offers.marks.is_empty()
        && tolerated
        && labelled
        && wanted
        && offers.labels.len() < MOST_OF_A_NODE
        && offers.taints.len() < MOST_OF_A_NODE
        && asked.other_conditions.iter().all(|other| other == ANTI_AFFINITY && !asked.keeps_away.is_empty())
        && has_room(node, offers, asked, inventory)
        && inventory.pods.values().all(|other| is_apart(other, offers, (pod, asked), told))
}

/// Can `other` not be what required anti-affinity keeps the pod away from a node for? Any pod in the reach of a term of either
/// may be meant, wherever its node has the same value of the term's label.
fn is_apart(
    other: &Pod,
    offers: &NodeFacts,
    (pod, asked): (&Pod, &Placement),
    told: &BTreeMap<&str, &NodeFacts>,
) -> bool {
    let ended = other.phase == "Succeeded" || other.phase == "Failed";
    if ended || other.node.is_empty() || other.meta.uid == pod.meta.uid {
        return true;
    }
    let theirs = other.facts.as_ref().and_then(|facts| facts.placement.as_ref());
    let untold = theirs.is_some_and(|theirs| {
        theirs.keeps_away.is_empty() && theirs.other_conditions.iter().any(|other| other == ANTI_AFFINITY)
    });
    if untold {
        return false;
    }
    if asked.keeps_away.is_empty() && theirs.is_none_or(|theirs| theirs.keeps_away.is_empty()) {
        return true;
    }
    let terms = asked.keeps_away.iter().chain(theirs.iter().flat_map(|theirs| &theirs.keeps_away));
    let near = other.meta.namespace == pod.meta.namespace;
    let mut keys =
        terms.filter(|term| near || term.other_namespaces).map(|term| &term.topology_key).peekable();
    if keys.peek().is_none() {
        return true;
    }
    let value =
        |of: &NodeFacts, key: &String| of.labels.iter().find(|(name, _)| name == key).map(|(_, v)| v.clone());
    let on = told.get(other.node.as_str());
    keys.all(|key| match (value(offers, key), on.map(|theirs| (value(theirs, key), theirs.labels.len()))) {
        (None, _) => true,
        (Some(_), None) => false,
        // It may have the label all the same.
        (Some(_), Some((None, labels))) => labels < MOST_OF_A_NODE,
        (place, Some((theirs, _))) => place != theirs,
    })
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = match toleration.operator.as_str() {
        "Exists" => toleration.key.is_empty() || toleration.key == taint.key,
        "" | "Equal" => {
            toleration.key == taint.key && toleration.value == taint.value && !taint.key.is_empty()
        }
        _ => false,
    };
    key && (toleration.effect.is_empty() || toleration.effect == taint.effect)
}

/// Does the node meet every requirement of a term? A term without requirements, and a word that is not known, meet nothing.
fn agrees(term: &[Requirement], node: &Node, offers: &NodeFacts) -> bool {
    let meets = |one: &Requirement| {
        let value = match one.key.as_str() {
            "metadata.name" => Some(node.meta.name.as_str()),
            key => offers.labels.iter().find(|(label, _)| label == key).map(|(_, value)| value.as_str()),
        };
        let listed = value.is_some_and(|value| one.values.iter().any(|wanted| wanted == value));
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
        let pair = number(value).zip(number(one.values.first().map(String::as_str)));
        match one.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => pair.is_some_and(|(has, least)| has > least),
            "Lt" => pair.is_some_and(|(has, most)| has < most),
            _ => false,
        }
    };
    !term.is_empty() && term.iter().all(meets)
}

/// Is what the pod asks for free beside what the node's pods ask for? Where one of them does not say it, that is not known.
fn has_room(node: &Node, offers: &NodeFacts, asked: &Placement, inventory: &Inventory) -> bool {
    let here =
        |other: &&Pod| other.node == node.meta.name && other.phase != "Succeeded" && other.phase != "Failed";
    let (mut cpu, mut memory, mut pods) = (asked.cpu_milli, asked.memory_bytes, 1);
    for other in inventory.pods.values().filter(here) {
        let Some(theirs) = other.facts.as_ref().and_then(|facts| facts.placement.as_ref()) else {
            return false;
        };
        cpu = cpu.saturating_add(theirs.cpu_milli);
        memory = memory.saturating_add(theirs.memory_bytes);
        pods += 1;
    }
    // Nothing asked for fits also where nothing is left of it.
    (asked.cpu_milli == 0 || cpu <= offers.cpu_milli)
        && (asked.memory_bytes == 0 || memory <= offers.memory_bytes)
        && pods <= offers.pods
}
