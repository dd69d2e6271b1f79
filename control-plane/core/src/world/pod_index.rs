//! An index of the pods that may be unhealthy, a count of the active ones, and what the pods of each node ask for, updated
//! with every change, so that a decision need not read every pod of a large cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::kube::Pod;

/// Of one cluster's pods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PodIndex {
    /// UIDs of the pods that may be unwell.
    pub(super) unwell: BTreeSet<String>,
    /// Pods that still have to run.
    pub(super) active: u64,
    /// By node what its pods ask for.
    pub(super) on_nodes: BTreeMap<String, Used>,
    /// UIDs of the pods of each namespace, ended ones among them.
    pub(super) in_namespaces: BTreeMap<String, BTreeSet<String>>,
    /// UIDs of the pods that keep others away, or may.
    pub(super) keep_away: BTreeSet<String>,
}

/// What the pods of a node ask for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// How many pods.
    pub pods: i64,
    /// Pods of which that is not known.
    pub not_known: i64,
}

/// What the index needs to know of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PodState {
    unwell: bool,
    active: bool,
    /// The node that it takes a place on, also while it is on its way out, and what it asks for there.
    on: Option<(String, Used)>,
    keeps_away: bool,
    /// Where it is; `None` for a pod that is not there.
    namespace: Option<String>,
}

impl PodState {
    pub(super) fn of(pod: &Pod) -> Self {
        let there = !pod.node.is_empty() && pod.phase != "Succeeded" && pod.phase != "Failed";
        let placement = pod.facts.as_ref().and_then(|facts| facts.placement.as_ref());
        let used = match placement {
            Some(asked) => {
                Used { cpu_milli: asked.cpu_milli, memory_bytes: asked.memory_bytes, pods: 1, not_known: 0 }
            }
            None => Used { pods: 1, not_known: 1, ..Used::default() },
        };
        Self {
            unwell: pod.may_be_unhealthy(),
            active: pod.is_active(),
            on: there.then(|| (pod.node.clone(), used)),
            namespace: Some(pod.meta.namespace.clone()),
            keeps_away: there
                && placement.is_some_and(|asked| !asked.keeps_away.is_empty() || asked.keeps_away_untold()),
        }
    }
}

fn note(set: &mut BTreeSet<String>, uid: &str, before: bool, after: bool) {
    match (before, after) {
        (false, true) => _ = set.insert(uid.to_owned()),
        (true, false) => _ = set.remove(uid),
        (true, true) | (false, false) => {}
    }
}

impl PodIndex {
    pub(super) fn of<'a>(pods: impl Iterator<Item = &'a Pod>) -> Self {
        let mut index = Self::default();
        pods.for_each(|pod| index.update(&pod.meta.uid, &PodState::default(), &PodState::of(pod)));
        index
    }

    /// A pod changed; one that is new or gone is neither unwell nor active before or after.
    pub(super) fn update(&mut self, uid: &str, before: &PodState, after: &PodState) {
        note(&mut self.unwell, uid, before.unwell, after.unwell);
        note(&mut self.keep_away, uid, before.keeps_away, after.keeps_away);
        self.active = self.active + u64::from(after.active) - u64::from(before.active);
        if before.namespace != after.namespace {
            if let Some(namespace) = &before.namespace {
                self.leaves(namespace, uid);
            }
            if let Some(namespace) = &after.namespace {
                self.in_namespaces.entry(namespace.clone()).or_default().insert(uid.to_owned());
            }
        }
        if before.on != after.on {
            self.count(before.on.as_ref(), -1);
            self.count(after.on.as_ref(), 1);
        }
    }

    fn leaves(&mut self, namespace: &str, uid: &str) {
        let Some(all) = self.in_namespaces.get_mut(namespace) else { return };
        all.remove(uid);
        if all.is_empty() {
            self.in_namespaces.remove(namespace);
        }
    }

    fn count(&mut self, on: Option<&(String, Used)>, sign: i64) {
        let Some((node, one)) = on else { return };
        let all = self.on_nodes.entry(node.clone()).or_default();
        all.cpu_milli = all.cpu_milli.saturating_add(sign.saturating_mul(one.cpu_milli));
        all.memory_bytes = all.memory_bytes.saturating_add(sign.saturating_mul(one.memory_bytes));
        all.pods += sign * one.pods;
        all.not_known += sign * one.not_known;
        if all.pods == 0 {
            self.on_nodes.remove(node);
        }
    }
}
