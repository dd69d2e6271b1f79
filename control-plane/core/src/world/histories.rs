//! Notes the revision histories of Deployments as observations come in: how long a revision held, what went wrong with it
//! while it was the present one, and which histories are not stored yet.
//!
//! A listing cannot rebuild this, so it does not live in the snapshot: it is stored as documents before the observations
//! that it came from may be forgotten. What a history means is judged in `revisions`.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::kind::{Body, ObjectKind};
use nimbus_protocol::v1;

use super::World;
use super::inventory::Inventory;
use super::kube::{Deployment, Pod, Rollout};
use crate::model::RevisionHistory;

/// Workloads that are gone keep their histories in memory as long as no more than this many are remembered beyond the
/// workloads that exist: a listing may miss one for a moment.
const SPARE: usize = 1_000;

/// Restarts from which a container that waits in its back-off is a trouble of its revision.
const RESTARTS: u32 = 2;

/// A pod of the same template that has been ready for so long shows that one that fails does not fail for the template.
const SIBLING: SignedDuration = SignedDuration::from_mins(10);

impl Inventory {
    /// Before an observation of the leading agent is taken: what it ends is noted with the time that it lasted.
    pub(super) fn note_ends(&mut self, agent: AgentId, body: &Body, now: Timestamp) {
        if self.leader != Some(agent) {
            return;
        }
        match body {
            Body::Pod(pod) => {
                let new = Pod::from(pod.clone());
                if let Some(uid) = self.ends_with(&new) {
                    self.end_holding(&uid, now);
                }
            }
            Body::Deployment(deployment) => {
                let new = Deployment::from(deployment.clone());
                let ends = self.deployments.get(&new.meta.uid).is_some_and(|old| {
                    let history = self.histories.get(&new.meta.uid);
                    let holding = history.and_then(|history| history.holding.as_ref());
                    let before = holding.map_or(old.available, |holding| holding.available);
                    old.template_hash != new.template_hash || !new.still_holds(before)
                });
                if ends {
                    self.end_holding(&new.meta.uid, now);
                }
            }
            Body::Gone(_)
            | Body::Sync(_)
            | Body::ReplicaSet(_)
            | Body::Node(_)
            | Body::StatefulSet(_)
            | Body::DaemonSet(_)
            | Body::BatchJob(_)
            | Body::PodEvent(_)
            | Body::ConfigMap(_)
            | Body::Secret(_)
            | Body::PersistentVolumeClaim(_)
            | Body::PersistentVolume(_)
            | Body::PodDisruptionBudget(_)
            | Body::StorageClass(_)
            | Body::HorizontalPodAutoscaler(_)
            | Body::Certificate(_)
            | Body::Issuer(_)
            | Body::ClusterIssuer(_)
            | Body::TlsSecret(_)
            | Body::Host(_)
            | Body::File(_)
            | Body::Units(_)
            | Body::CertificateFiles(_)
            | Body::NodeMeasured(_)
            | Body::WorkloadLoad(_)
            | Body::AgentStatus(_) => {}
        }
    }

    /// After an observation of the leading agent was taken: what it says of revisions.
    pub(super) fn note_history(&mut self, cluster_uid: &str, agent: AgentId, body: &Body, now: Timestamp) {
        if self.leader != Some(agent) {
            return;
        }
        match body {
            Body::Deployment(v1::Deployment { meta: Some(meta), .. }) => {
                self.review(cluster_uid, &meta.uid, now);
            }
            Body::ReplicaSet(v1::ReplicaSet { meta: Some(meta), .. }) => {
                self.review(cluster_uid, &meta.owner_uid, now);
            }
            Body::Pod(v1::Pod { meta: Some(meta), ready, .. }) => {
                let owner = self.replica_sets.get(&meta.owner_uid).map(|set| set.meta.owner_uid.clone());
                // A pod that is ready tells nothing that its Deployment does not tell as well, unless it is the last one that
                // a revision needed to be well again: the Deployment may have told before.
                if let Some(owner) = owner.filter(|owner| !ready || self.may_be_well_again(owner)) {
                    self.review(cluster_uid, &owner, now);
                }
            }
            Body::Gone(gone) if gone.kind == ObjectKind::Deployment.as_str() => {
                self.forget_history(&gone.uid, now);
            }
            Body::Sync(mark) if mark.kind == ObjectKind::Deployment.as_str() => self.trim_histories(now),
            Body::Deployment(_)
            | Body::ReplicaSet(_)
            | Body::Pod(_)
            | Body::Gone(_)
            | Body::Sync(_)
            | Body::Node(_)
            | Body::StatefulSet(_)
            | Body::DaemonSet(_)
            | Body::BatchJob(_)
            | Body::PodEvent(_)
            | Body::ConfigMap(_)
            | Body::Secret(_)
            | Body::PersistentVolumeClaim(_)
            | Body::PersistentVolume(_)
            | Body::PodDisruptionBudget(_)
            | Body::StorageClass(_)
            | Body::HorizontalPodAutoscaler(_)
            | Body::Certificate(_)
            | Body::Issuer(_)
            | Body::ClusterIssuer(_)
            | Body::TlsSecret(_)
            | Body::Host(_)
            | Body::File(_)
            | Body::Units(_)
            | Body::CertificateFiles(_)
            | Body::NodeMeasured(_)
            | Body::WorkloadLoad(_)
            | Body::AgentStatus(_) => {}
        }
    }

    /// Had the present revision of this Deployment a trouble, and is it not noted that it holds since?
    fn may_be_well_again(&self, deployment_uid: &str) -> bool {
        let history = self.histories.get(deployment_uid).filter(|history| history.holding.is_none());
        let present = history.and_then(|history| history.revisions.last());
        present.is_some_and(|one| one.trouble.is_some())
    }

    /// The UID of the Deployment whose present revision no longer holds once this pod is so: it is no longer ready, or one
    /// of its containers was restarted since the revision began to hold.
    fn ends_with(&self, new: &Pod) -> Option<String> {
        let set = self.replica_sets.get(&new.meta.owner_uid)?;
        let deployment = self.deployments.get(&set.meta.owner_uid)?;
        if set.template_hash != deployment.template_hash {
            return None;
        }
        let old = self.pods.get(&new.meta.uid);
        let unready = old.is_some_and(|old| old.ready && !new.ready);
        let holding = self.histories.get(&deployment.meta.uid).and_then(|history| history.holding.as_ref());
        let restarted = new.containers.iter().any(|container| {
            let before = old.and_then(|old| old.containers.iter().find(|c| c.name == container.name));
            let again = before.is_some_and(|before| before.restarts < container.restarts);
            let since = holding.zip(container.last_finished_at);
            again || since.is_some_and(|(holding, ended)| ended > holding.since && container.restarts > 0)
        });
        (unready || restarted).then(|| deployment.meta.uid.clone())
    }

    /// The present revision of a Deployment held until now.
    fn end_holding(&mut self, deployment_uid: &str, now: Timestamp) {
        let Some(deployment) = self.deployments.get(deployment_uid) else { return };
        let since = if deployment.shows_a_good_revision() { self.all_ready_since(deployment) } else { None };
        let template_hash = deployment.template_hash.clone();
        let Some(history) = self.histories.get_mut(deployment_uid) else { return };
        if history.no_longer_holds(&template_hash, since, now) {
            self.noted(deployment_uid);
        }
    }

    /// What the inventory shows of a Deployment's revisions goes into its history.
    fn review(&mut self, cluster_uid: &str, deployment_uid: &str, now: Timestamp) {
        let Some(deployment) = self.deployments.get(deployment_uid) else { return };
        if deployment.template_hash.is_empty() || deployment.meta.deleting {
            return;
        }
        let (revision, template_hash) = (deployment.revision, deployment.template_hash.clone());
        let available = deployment.available;
        let tried: Vec<String> = self
            .replica_sets_of(deployment_uid)
            .filter(|set| set.replicas > 0 || self.pods_owned_by(&set.meta.uid).next().is_some())
            .map(|set| set.template_hash.clone())
            .collect();
        let late = self.is_late(deployment, now);
        let trouble = self.trouble_of(deployment, late, now);
        let only_its_own = tried.iter().all(|hash| *hash == template_hash);
        let complete = deployment.shows_a_good_revision();
        let holds = trouble.is_none() && only_its_own && complete;

        let clock_jumped_at = self.clock_jumped_at;
        let new =
            || RevisionHistory { clock_jumped_at, ..RevisionHistory::new(cluster_uid, deployment_uid, now) };
        let history = self.histories.entry(deployment_uid.to_owned()).or_insert_with(new);
        let mut news = history.gone_at.take().is_some();
        news |= history.present(revision, &template_hash, now);
        for hash in &tried {
            news |= history.tried(hash, now);
        }
        if let Some(what) = &trouble {
            news |= history.trouble(&template_hash, what, now);
        }
        if late || complete {
            news |= history.late(&template_hash, late, now);
        }
        if holds {
            news |= history.hold(&template_hash, available, now);
        }
        if news {
            self.noted(deployment_uid);
        }
    }

    /// What is wrong with the present revision of a Deployment, as its own pods show it. Where there is no pod, or none that
    /// could run, nothing is: the revision is not to blame. `late` is what [`Self::is_late`] says of it.
    fn trouble_of(&self, deployment: &Deployment, late: bool, now: Timestamp) -> Option<String> {
        let set = self.present_set(deployment)?;
        let pods = || self.pods_owned_by(&set.meta.uid);
        // After a jump for how long a pod was ready is told by the cluster's clock alone: until another one of it crashed.
        // Where that is not said either, nothing is blamed beside it.
        let ended =
            pods().flat_map(|pod| &pod.containers).filter(|c| c.backs_off() && c.restarts >= RESTARTS);
        let ended = ended.filter_map(|c| c.last_finished_at).max();
        let until = if self.clock_jumped_at.is_some() { ended } else { Some(now) };
        let proves = |pod: &Pod| {
            let steady = match (pod.ready_since, until) {
                (Some(since), Some(until)) => until.duration_since(since) >= SIBLING,
                (_, None) => true,
                (None, Some(_)) => self.clock_jumped_at.is_some(),
            };
            pod.ready && steady && pod.containers.iter().all(|c| c.restarts == 0)
        };
        if pods().any(proves) {
            return None;
        }
        let crash_loops = pods().find_map(|pod| {
            let container = pod.containers.iter().find(|c| c.backs_off() && c.restarts >= RESTARTS)?;
            Some(format!("its pod {} crash-looped (container {})", pod.meta.name, container.name))
        });
        if crash_loops.is_some() {
            return crash_loops;
        }
        late.then(|| "it did not become available within its progress deadline".to_owned())
    }

    /// Is the present revision past its deadline, with a pod that had its time and failed?
    fn is_late(&self, deployment: &Deployment, now: Timestamp) -> bool {
        if deployment.rollout() != Rollout::Stuck {
            return false;
        }
        let Some(set) = self.present_set(deployment) else { return false };
        // One that was made only lately may still come up: what kept it from being made may be over.
        let half = deployment.progress_deadline().as_secs() / 2;
        let had_time =
            |pod: &Pod| pod.meta.created_at.is_none_or(|made| now.duration_since(made).as_secs() >= half);
        let fails = |pod: &Pod| !pod.ready && !pod.node.is_empty() && had_time(pod) && !self.is_held_up(pod);
        self.pods_owned_by(&set.meta.uid).any(fails)
    }

    /// What holds now is noted as far as it has held, each time that this doubles: a history that is read after its snapshot
    /// was lost still knows it.
    fn credit_holdings(&mut self) {
        let Some(heard_at) = self.heard_at else { return };
        for (uid, history) in &mut self.histories {
            if history.credit(heard_at) {
                self.unstored_histories.insert(uid.clone());
            }
        }
    }

    fn noted(&mut self, deployment_uid: &str) {
        self.unstored_histories.insert(deployment_uid.to_owned());
        self.version += 1;
    }

    /// A watch said that a Deployment was deleted: its history is no longer needed.
    fn forget_history(&mut self, deployment_uid: &str, now: Timestamp) {
        if let Some(history) = self.histories.get_mut(deployment_uid).filter(|h| h.gone_at.is_none()) {
            history.gone_at = Some(now);
            self.unstored_histories.insert(deployment_uid.to_owned());
        }
    }

    /// After a listing of Deployments: forgets histories of those that are gone, if there are too many.
    fn trim_histories(&mut self, now: Timestamp) {
        if self.histories.len() <= self.deployments.len() + SPARE {
            return;
        }
        let lost: Vec<String> =
            self.histories.keys().filter(|uid| self.deployments.get(uid).is_none()).cloned().collect();
        for uid in lost {
            self.forget_history(&uid, now);
        }
    }
}
impl World {
    /// Puts back what was stored, at a start, before anything is read from the log.
    pub fn restore_histories(&mut self, stored: impl IntoIterator<Item = RevisionHistory>) {
        for history in stored.into_iter().filter(|history| history.gone_at.is_none()) {
            self.clock_jumped_at = self.clock_jumped_at.max(history.clock_jumped_at);
            let inventory = self.cluster(&history.cluster_uid);
            inventory.clock_jumped_at = inventory.clock_jumped_at.max(history.clock_jumped_at);
            inventory.histories.insert(history.workload_uid.clone(), history);
        }
    }

    /// The control plane's clock jumped by `by` and says `now`: how long a revision has held, and how long ago it came out, stays
    /// what it was.
    pub fn clock_jumped(&mut self, by: SignedDuration, now: Timestamp) {
        self.clock_jumped_at = Some(now);
        self.hosts.clock_jumped(now);
        for inventory in self.clusters.values_mut() {
            inventory.version += 1;
            inventory.clock_jumped_at = Some(now);
            // What was heard lies not ahead of what the clock says now; after a jump ahead the next observation says so.
            inventory.heard_at = inventory.heard_at.map(|at| at.min(at.saturating_add(by).unwrap_or(at)));
            inventory.stateful_sets.values_mut().for_each(|set| set.clock_jumped(by));
            for (uid, history) in &mut inventory.histories {
                history.clock_jumped(by, now);
                inventory.unstored_histories.insert(uid.clone());
            }
        }
    }

    /// The histories that changed since they were last taken, to be stored. Whoever takes them stores them, or gives
    /// them back with [`World::histories_not_stored`].
    pub fn take_unstored_histories(&mut self) -> Vec<RevisionHistory> {
        let mut changed = Vec::new();
        for inventory in self.clusters.values_mut() {
            inventory.credit_holdings();
            for uid in std::mem::take(&mut inventory.unstored_histories) {
                changed.extend(inventory.histories.get(&uid).cloned());
                inventory
                    .histories
                    .retain(|_, history| history.workload_uid != uid || history.gone_at.is_none());
            }
        }
        changed
    }

    /// What was taken could not be stored: it is taken again the next time.
    pub fn histories_not_stored(&mut self, taken: Vec<RevisionHistory>) {
        for history in taken {
            let Some(inventory) = self.clusters.get_mut(&history.cluster_uid) else { continue };
            let uid = history.workload_uid.clone();
            inventory.histories.entry(uid.clone()).or_insert(history);
            inventory.unstored_histories.insert(uid);
        }
    }
}
