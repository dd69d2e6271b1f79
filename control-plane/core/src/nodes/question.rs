//! Reads from the inventory what a drain depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nimbus_disruption::{Budget, Cluster, Goes, Node, Pod, Room, Says};
use nimbus_protocol::kind::MOST_OF_A_NODE;

use crate::fit::apart::means;
use crate::fit::beside::Beside;
use crate::fit::closed;
use crate::fit::others;
use crate::fit::volumes::Volumes;
use crate::model::Workload;
use crate::settings::Settings;
use crate::world::{self, Inventory, Placement, PodDisruptionBudget};

/// The label of one node alone.
const HOST: &str = "kubernetes.io/hostname";
/// Most pairs of pods of two workloads that keep apart; of more it is not known where they can be.
const MOST_PAIRS: usize = 10_000;
/// A start that took longer than this says nothing of the next one: the pod was not well meanwhile.
const LONGEST_START: i128 = 3_600_000;

/// What is asked, and which nodes are drained. It borrows nothing: whoever looks for the answer holds nobody up.
pub struct Question {
    pub(super) cluster: Cluster,
    pub(super) drained: Vec<usize>,
    /// Each budget's figures.
    pub(super) figures: Vec<String>,
    /// Why nothing can be promised, whatever else is found.
    pub(super) doubts: Vec<String>,
    /// Nobody watches the cluster now.
    pub(super) is_old: bool,
}

impl Question {
    /// About these nodes, all of which are there.
    pub(super) fn of(
        inventory: &Inventory,
        names: &BTreeSet<&str>,
        settings: &Settings,
        now: Timestamp,
    ) -> Self {
        let nodes: Vec<&world::Node> = inventory.nodes.values().collect();
        let there = nodes.iter().enumerate();
        let drained: Vec<usize> =
            there.filter(|(_, node)| names.contains(node.meta.name.as_str())).map(|(at, _)| at).collect();
        let budgets = Budgets::of(inventory);
        let going = inventory.pods.values().filter(|pod| names.contains(pod.node.as_str()));
        let going: Vec<&world::Pod> = going.collect();
        let moves: Vec<&world::Pod> = going.iter().copied().filter(|pod| may_move(pod, inventory)).collect();
        // What keeps two of those that go off one node is seen between them, wherever they are then.
        let gone = moves.iter().map(|pod| pod.meta.uid.as_str()).collect();
        let told = others::Told::without(inventory, gone);
        let mut pods: Vec<Pod> = going
            .iter()
            .map(|pod| {
                let node = nodes.iter().position(|node| node.meta.name == pod.node);
                // It is one of those that were asked about, which are there.
                one(pod, node.unwrap_or_default(), inventory, &nodes, &budgets, (&moves, &told))
            })
            .collect();
        keep_apart(&going, &mut pods);
        let is_not_ready = |at: &&usize| !nodes[**at].is_ready();
        let doubts = drained.iter().filter(is_not_ready).map(|at| {
            let name = &nodes[*at].meta.name;
            format!("{name} is not ready: nobody can say when pods that are evicted there are gone")
        });
        let doubts = doubts.collect();
        let nodes = nodes.iter().map(|node| self::node(node, inventory, settings, now)).collect();
        Self {
            cluster: Cluster { nodes, pods, budgets: budgets.all },
            drained,
            figures: budgets.figures,
            doubts,
            is_old: false,
        }
    }
}

/// The budgets of the cluster, by namespace.
struct Budgets<'a> {
    all: Vec<Budget>,
    figures: Vec<String>,
    of: BTreeMap<&'a str, Vec<(usize, &'a PodDisruptionBudget)>>,
}

impl<'a> Budgets<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let (mut all, mut figures, mut of) = (Vec::new(), Vec::new(), BTreeMap::<&str, Vec<_>>::new());
        for (at, budget) in inventory.pod_disruption_budgets.values().enumerate() {
            of.entry(budget.meta.namespace.as_str()).or_default().push((at, budget));
            figures.push(budget.figures());
            all.push(Budget {
                name: format!("{}/{}", budget.meta.namespace, budget.meta.name),
                healthy: budget.current_healthy.into(),
                needed: budget.desired_healthy.into(),
                allowed: budget.disruptions_allowed.into(),
                expected: budget.expected_pods.into(),
                lets_unready_go: budget.lets_unready_go,
                is_current: budget.observed_generation >= budget.generation,
            });
        }
        Self { all, figures, of }
    }

    /// Those that guard a pod; `None` where that is not known. The eviction API asks none for a pod that does not run yet.
    fn guarding(&self, pod: &world::Pod) -> Option<Vec<usize>> {
        if pod.phase == "Pending" {
            return Some(Vec::new());
        }
        let near = self.of.get(pod.meta.namespace.as_str()).into_iter().flatten();
        let guarding = near.filter_map(|(at, budget)| match budget.guards(pod.labels()) {
            Some(true) => Some(Some(*at)),
            Some(false) => None,
            None => Some(None),
        });
        guarding.collect()
    }
}

/// Would it be evicted, so that another one has to find room?
fn may_move(pod: &world::Pod, inventory: &Inventory) -> bool {
    match goes(pod, inventory) {
        Goes::Stays => false,
        Goes::Replaced | Goes::Bare | Goes::Loses(_) | Goes::AsksNot(_) | Goes::NotKnown(_) => true,
    }
}

fn goes(pod: &world::Pod, inventory: &Inventory) -> Goes {
    // What has ended keeps no node. The kubelet's own pods belong to their Node.
    if pod.phase == "Succeeded" || pod.phase == "Failed" || pod.meta.owner_kind == "Node" {
        return Goes::Stays;
    }
    let workload = inventory.workload_of(pod);
    if matches!(workload, Workload::DaemonSet(_)) {
        return Goes::Stays;
    }
    if pod.meta.deleting {
        return Goes::NotKnown("it is being deleted, and a drain waits until it is gone".to_owned());
    }
    match &workload {
        Workload::DaemonSet(_) => return Goes::Stays,
        Workload::Bare(_) => return Goes::Bare,
        Workload::Deployment(_) | Workload::StatefulSet(_) => {}
        Workload::Job(owner) | Workload::CronJob(owner) => {
            return Goes::NotKnown(format!(
                "how often {owner} may fail before it makes no other one is not told, and an eviction counts"
            ));
        }
        Workload::Other(owner) => {
            return Goes::NotKnown(format!("whether {owner} makes another one is not known"));
        }
    }
    let Some(facts) = &pod.facts else {
        return Goes::NotKnown("its agent does not say what would be lost with it".to_owned());
    };
    if let Some(lost) = facts.lost_volumes.first() {
        return Goes::Loses(lost.clone());
    }
    match facts.do_not_disturb.first() {
        Some(mark) => Goes::AsksNot(mark.clone()),
        None => Goes::Replaced,
    }
}

fn one(
    pod: &world::Pod,
    node: usize,
    inventory: &Inventory,
    nodes: &[&world::Node],
    budgets: &Budgets<'_>,
    moving: (&[&world::Pod], &others::Told<'_>),
) -> Pod {
    let goes = goes(pod, inventory);
    let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_deref());
    let (asks, may_run) = match (&goes, placement) {
        (Goes::Stays, _) => (Room::default(), Vec::new()),
        (_, Some(placement)) => (asks(placement), may_run(pod, placement, inventory, nodes, moving)),
        (_, None) => {
            let why: Arc<str> = "its agent does not say what the pod asks of a node".into();
            (Room::default(), vec![Says::NotKnown(why); nodes.len()])
        }
    };
    Pod {
        name: format!("{}/{}", pod.meta.namespace, pod.meta.name),
        node,
        asks,
        goes,
        is_ready: pod.ready,
        budgets: budgets.guarding(pod),
        may_run,
        apart: Vec::new(),
        takes_ms: started_in(pod),
    }
}

fn asks(placement: &Placement) -> Room {
    Room { cpu_milli: placement.cpu_milli, memory_bytes: placement.memory_bytes, pods: 1 }
}

/// How long it took to become ready when it was started last; `None` where a container of it was started again since.
fn started_in(pod: &world::Pod) -> Option<u64> {
    let started = pod.facts.as_ref()?.started_at?;
    let is_first = pod.ready && pod.containers.iter().all(|container| container.restarts == 0);
    let took = pod.ready_since.filter(|_| is_first)?.duration_since(started).as_millis();
    (0..=LONGEST_START).contains(&took).then(|| u64::try_from(took).ok()).flatten()
}

/// What each node says to a pod, but for its room and whether it takes anything at all.
fn may_run(
    pod: &world::Pod,
    placement: &Placement,
    inventory: &Inventory,
    nodes: &[&world::Node],
    (moves, told): (&[&world::Pod], &others::Told<'_>),
) -> Vec<Says> {
    let volumes = Volumes::of(&placement.claims, &pod.meta.namespace, inventory);
    let beside = Beside::of(pod, placement, inventory, told);
    let not_described = placement.not_described();
    let with_others = depends_on(pod, placement, moves);
    let one = |node: &&world::Node| {
        let name = &node.meta.name;
        let Some(facts) = &node.facts else {
            return Says::NotKnown(format!("its agent does not say what {name} offers").into());
        };
        if facts.labels.len().max(facts.taints.len()) >= MOST_OF_A_NODE {
            return Says::NotKnown(format!("{name} may have more labels or taints than are told").into());
        }
        if let Some(why) = placement.refused_by(node, facts) {
            return Says::No(format!("{name}: {why}").into());
        }
        let of_volumes = volumes.says(node, facts);
        if let others::Says::No(why) = of_volumes {
            return Says::No(format!("{name}: {why}").into());
        }
        // Whatever the others say now, some of them go too.
        if let Some(why) = &with_others {
            return Says::NotKnown(why.as_str().into());
        }
        match (of_volumes.and(beside.say(facts)), not_described) {
            (others::Says::No(why), _) => Says::No(format!("{name}: {why}").into()),
            (others::Says::NotKnown(why), _) => Says::NotKnown(format!("{name}: {why}").into()),
            (others::Says::Yes, Some(other)) => Says::NotKnown(format!("{other} decides too").into()),
            (others::Says::Yes, None) => Says::Yes,
        }
    };
    nodes.iter().map(one).collect()
}

/// Why what other pods say of places for this one is not known: it goes by pods that go too. What keeps two of them off one
/// node is told by [`keep_apart`].
fn depends_on(pod: &world::Pod, placement: &Placement, moves: &[&world::Pod]) -> Option<String> {
    let beyond_hosts = |placement: &Placement| placement.keeps_away.iter().any(|it| it.topology_key != HOST);
    let counts = !placement.spread.is_empty() || !placement.stays_with.is_empty() || beyond_hosts(placement);
    let is_near = |other: &world::Pod| other.meta.namespace == pod.meta.namespace;
    let across = |placement: &Placement| placement.keeps_away.iter().any(|it| it.other_namespaces);
    let other = moves.iter().filter(|other| other.meta.uid != pod.meta.uid).find(|other| {
        let theirs = other.facts.as_ref().and_then(|facts| facts.placement.as_deref());
        let reaches = is_near(other) || across(placement) || theirs.is_some_and(across);
        reaches && (counts || theirs.is_none_or(beyond_hosts))
    })?;
    Some(format!(
        "{} goes by where {}/{} is, which goes too",
        pod.meta.name, other.meta.namespace, other.meta.name
    ))
}

/// Gives pods that may not share a node a group of their own; where that is not known, their places are not. Pods that are alike
/// in what is compared have one group, so that there are no more groups than pairs of pods that differ.
fn keep_apart(going: &[&world::Pod], pods: &mut [Pod]) {
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    for at in 0..going.len() {
        match kinds.iter_mut().find(|kind| are_alike(going[kind[0]], going[at])) {
            Some(kind) => kind.push(at),
            None => kinds.push(vec![at]),
        }
    }
    let mut group = 0;
    for (number, kind) in kinds.iter().enumerate() {
        if kind.len() > 1 {
            put_apart(&[kind.as_slice()], are_apart(going[kind[0]], going[kind[1]]), pods, &mut group);
        }
        for other in &kinds[number + 1..] {
            match are_apart(going[kind[0]], going[other[0]]) {
                Some(true) if kind.len() * other.len() > MOST_PAIRS => {
                    put_apart(&[kind, other], None, pods, &mut group);
                }
                Some(true) => {
                    for pair in kind.iter().flat_map(|one| other.iter().map(move |other| [*one, *other])) {
                        put_apart(&[pair.as_slice()], Some(true), pods, &mut group);
                    }
                }
                apart @ (Some(false) | None) => put_apart(&[kind, other], apart, pods, &mut group),
            }
        }
    }
}

/// What these pods are to each other, if that is known.
fn put_apart(all: &[&[usize]], are_apart: Option<bool>, pods: &mut [Pod], group: &mut usize) {
    let each = all.iter().flat_map(|some| some.iter().copied());
    match are_apart {
        Some(false) => {}
        Some(true) => {
            each.for_each(|at| pods[at].apart.push(*group));
            *group += 1;
        }
        None => {
            for at in each {
                let why: Arc<str> =
                    format!("whether {} keeps away from pods that go too is not known", pods[at].name).into();
                for says in pods[at].may_run.iter_mut().filter(|says| **says == Says::Yes) {
                    *says = Says::NotKnown(Arc::clone(&why));
                }
            }
        }
    }
}

/// Does nothing tell two pods apart of what anti-affinity goes by?
fn are_alike(one: &world::Pod, other: &world::Pod) -> bool {
    let labels = |pod: &'_ world::Pod| pod.facts.as_ref().is_none_or(|facts| facts.labels_complete);
    let (a, b) = (one.facts.as_ref(), other.facts.as_ref());
    one.meta.namespace == other.meta.namespace
        && labels(one) == labels(other)
        && a.map(|facts| &facts.labels) == b.map(|facts| &facts.labels)
        && terms(one) == terms(other)
        && untold(one) == untold(other)
}

fn terms(pod: &world::Pod) -> Option<&[world::KeepsAway]> {
    pod.facts.as_ref().and_then(|facts| facts.placement.as_deref()).map(|it| it.keeps_away.as_slice())
}

fn untold(pod: &world::Pod) -> bool {
    let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_deref());
    placement.is_some_and(Placement::keeps_away_untold)
}

/// Does required anti-affinity keep the two off one node? `None` where that is not told.
fn are_apart(one: &world::Pod, other: &world::Pod) -> Option<bool> {
    let same = one.meta.namespace == other.meta.namespace;
    let mut apart = Some(false);
    for (from, to) in [(one, other), (other, one)] {
        let Some(placement) = from.facts.as_ref().and_then(|facts| facts.placement.as_deref()) else {
            continue;
        };
        if placement.keeps_away_untold() {
            apart = None;
        }
        for term in &placement.keeps_away {
            match means(term, to, same) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => apart = None,
            }
        }
    }
    apart
}

fn node(node: &world::Node, inventory: &Inventory, settings: &Settings, now: Timestamp) -> Node {
    let name = node.meta.name.as_str();
    let used = inventory.used_on(name);
    let takes = match (closed(node, settings, now), &node.facts) {
        (Some(why), _) => Says::No(format!("{name} {why}").into()),
        (None, None) => Says::NotKnown(format!("its agent does not say what {name} offers").into()),
        (None, Some(_)) if used.not_known > 0 => {
            Says::NotKnown(format!("its agent does not say what the pods on {name} ask for").into())
        }
        (None, Some(_)) => Says::Yes,
    };
    let free = node.facts.as_ref().map_or(Room::default(), |facts| Room {
        cpu_milli: facts.cpu_milli - used.cpu_milli,
        memory_bytes: facts.memory_bytes - used.memory_bytes,
        pods: facts.pods - used.pods,
    });
    Node { name: name.to_owned(), free, takes }
}
