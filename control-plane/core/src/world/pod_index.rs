//! An index of the pods that may be unhealthy and a count of the active ones, updated with every change, so that a
//! decision need not read every pod of a large cluster.

use std::collections::BTreeSet;

use super::kube::Pod;

/// Of one cluster's pods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PodIndex {
    /// UIDs of the pods that may be unwell.
    pub(super) unwell: BTreeSet<String>,
    /// Pods that still have to run.
    pub(super) active: u64,
}

/// What the index needs to know of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PodState {
    unwell: bool,
    active: bool,
}

impl PodState {
    pub(super) fn of(pod: &Pod) -> Self {
        Self { unwell: pod.may_be_unhealthy(), active: pod.is_active() }
    }
}

impl PodIndex {
    pub(super) fn of<'a>(pods: impl Iterator<Item = &'a Pod>) -> Self {
        let mut index = Self::default();
        pods.for_each(|pod| index.update(&pod.meta.uid, PodState::default(), PodState::of(pod)));
        index
    }

    /// A pod changed; one that is new or gone is neither unwell nor active before or after.
    pub(super) fn update(&mut self, uid: &str, before: PodState, after: PodState) {
        match (before.unwell, after.unwell) {
            (false, true) => _ = self.unwell.insert(uid.to_owned()),
            (true, false) => _ = self.unwell.remove(uid),
            (true, true) | (false, false) => {}
        }
        self.active = self.active + u64::from(after.active) - u64::from(before.active);
    }
}
