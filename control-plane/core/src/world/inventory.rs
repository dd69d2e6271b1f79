//! One cluster as its leading agent sees it.
//!
//! Decides whose observations count (only those of the agent that holds the newest watch lease) and when the
//! picture is complete (every kind listed from begin to end under that lease). What the objects mean is left to
//! the detectors.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::listing::Listing;
use super::objects::{Deployment, Node, Pod, ReplicaSet};
use super::relations::Owned;

/// The kinds that have to be listed before anything is concluded.
pub const KINDS: [&str; 4] = ["Pod", "ReplicaSet", "Deployment", "Node"];

/// Most objects of one kind; further ones are not kept, are counted, and the inventory reads unknown.
pub const MAX_OBJECTS: usize = 500_000;

/// Good revisions remembered for each Deployment; the oldest is dropped.
pub const MAX_GOOD_REVISIONS: usize = 5;

/// Deployments that are gone keep their good revisions as long as no more than this many are remembered beyond
/// those that exist (a listing may miss one for a moment).
const SPARE_MEMORIES: usize = 1_000;

/// How far a lease's term may lie ahead of the minutes since 1970 from which agents begin theirs: a year. One beyond
/// that would shut every later leader out.
const TERM_AHEAD: u64 = 366 * 24 * 60;

/// A revision that was seen fully available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodRevision {
    /// Its number then.
    pub revision: u64,
    /// Hash of its pod template, hex.
    pub template_hash: String,
}

/// A cluster's inventory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Pods by UID.
    pub pods: BTreeMap<String, Pod>,
    /// ReplicaSets by UID.
    pub replica_sets: BTreeMap<String, ReplicaSet>,
    /// Deployments by UID.
    pub deployments: BTreeMap<String, Deployment>,
    /// Nodes by UID.
    pub nodes: BTreeMap<String, Node>,
    /// By Deployment UID the revisions seen fully available, oldest first, at most [`MAX_GOOD_REVISIONS`].
    pub good: BTreeMap<String, Vec<GoodRevision>>,
    /// The agent whose observations count.
    pub leader: Option<AgentId>,
    /// Transitions of the lease under which it watches.
    pub lease_term: u64,
    /// By kind, where its listing stands.
    pub listings: BTreeMap<String, Listing>,
    /// Objects that were not kept because there are more than [`MAX_OBJECTS`] of their kind.
    pub not_kept: u64,
    /// When the newest observation reached the control plane.
    pub heard_at: Option<Timestamp>,
    /// Who owns which pods and ReplicaSets; derived, not stored.
    #[serde(skip)]
    pub(super) owned: Owned,
}

impl Inventory {
    /// Which kinds have not been listed to the end yet? Empty: the picture is complete.
    pub fn unlisted(&self) -> Vec<&'static str> {
        let complete = |kind: &str| self.listings.get(kind).is_some_and(|l| l.complete);
        KINDS.into_iter().filter(|kind| !complete(kind)).collect()
    }

    /// Takes one observation; true when the picture changed.
    pub(super) fn apply(
        &mut self,
        agent: &AgentId,
        body: &v1::observation::Body,
        received_at: Timestamp,
    ) -> bool {
        use v1::observation::Body;
        if let Body::Sync(mark) = body {
            return self.mark(agent, mark, received_at);
        }
        if self.leader.as_ref() != Some(agent) {
            return false;
        }
        match body {
            Body::Pod(pod) => {
                let pod = Pod::from(pod.clone());
                self.see("Pod", &pod.meta.uid);
                let old = self.pods.get(&pod.meta.uid).map(|old| &old.meta);
                self.owned.update(old, &pod.meta);
                put(&mut self.pods, pod.meta.uid.clone(), pod, &mut self.not_kept)
            }
            Body::ReplicaSet(set) => {
                let set = ReplicaSet::from(set.clone());
                self.see("ReplicaSet", &set.meta.uid);
                let old = self.replica_sets.get(&set.meta.uid).map(|old| &old.meta);
                self.owned.update(old, &set.meta);
                put(&mut self.replica_sets, set.meta.uid.clone(), set, &mut self.not_kept)
            }
            Body::Deployment(deployment) => {
                let deployment = Deployment::from(deployment.clone());
                self.see("Deployment", &deployment.meta.uid);
                self.remember(&deployment);
                put(&mut self.deployments, deployment.meta.uid.clone(), deployment, &mut self.not_kept)
            }
            Body::Node(node) => {
                let node = Node::from(node.clone());
                self.see("Node", &node.meta.uid);
                put(&mut self.nodes, node.meta.uid.clone(), node, &mut self.not_kept)
            }
            Body::Gone(gone) => self.gone(&gone.kind, &gone.uid),
            _ => false,
        }
    }

    fn see(&mut self, kind: &str, uid: &str) {
        if let Some(listing) = self.listings.get_mut(kind) {
            listing.see(uid);
        }
    }

    fn gone(&mut self, kind: &str, uid: &str) -> bool {
        if let Some(listing) = self.listings.get_mut(kind) {
            listing.forget(uid);
        }
        match kind {
            "Pod" => self.pods.remove(uid).map(|pod| self.owned.remove(&pod.meta)).is_some(),
            "ReplicaSet" => self.replica_sets.remove(uid).map(|set| self.owned.remove(&set.meta)).is_some(),
            "Deployment" => {
                self.good.remove(uid);
                self.deployments.remove(uid).is_some()
            }
            "Node" => self.nodes.remove(uid).is_some(),
            _ => false,
        }
    }

    /// Begin and end of listings, and with a begin of a newer lease term the change of the leader.
    fn mark(&mut self, agent: &AgentId, mark: &v1::SyncMark, received_at: Timestamp) -> bool {
        let most = minutes(received_at).saturating_add(TERM_AHEAD);
        if mark.lease_term > most || mark.lease_term < self.lease_term || !KINDS.contains(&mark.kind.as_str())
        {
            return false;
        }
        match mark.phase() {
            v1::sync_mark::Phase::Begin => {
                if mark.lease_term > self.lease_term || self.leader.as_ref() != Some(agent) {
                    self.lease_term = mark.lease_term;
                    self.leader = Some(agent.clone());
                    self.listings.clear();
                    self.not_kept = 0;
                }
                self.listings.entry(mark.kind.clone()).or_default().begin();
                true
            }
            v1::sync_mark::Phase::End if self.leader.as_ref() == Some(agent) => self.end(&mark.kind),
            _ => false,
        }
    }

    fn end(&mut self, kind: &str) -> bool {
        let Some(seen) = self.listings.get_mut(kind).and_then(Listing::end) else { return false };
        match kind {
            "Pod" => {
                self.pods.retain(|uid, _| seen.contains(uid));
                self.relate();
            }
            "ReplicaSet" => {
                self.replica_sets.retain(|uid, _| seen.contains(uid));
                self.relate();
            }
            "Node" => self.nodes.retain(|uid, _| seen.contains(uid)),
            _ => {
                self.deployments.retain(|uid, _| seen.contains(uid));
                if self.good.len() > self.deployments.len() + SPARE_MEMORIES {
                    let deployments = &self.deployments;
                    self.good.retain(|uid, _| deployments.contains_key(uid));
                }
            }
        }
        true
    }

    /// Nobody's observations count until the next listing begins, under whatever lease.
    pub(super) fn depose(&mut self) {
        (self.leader, self.lease_term) = (None, 0);
        self.listings.clear();
    }

    /// Derives who owns what anew, after a listing or from a snapshot.
    pub(super) fn relate(&mut self) {
        let pods = self.pods.values().map(|pod| &pod.meta);
        self.owned = Owned::of(pods.chain(self.replica_sets.values().map(|set| &set.meta)));
    }

    fn remember(&mut self, deployment: &Deployment) {
        if !deployment.is_fully_available() || deployment.desired == 0 || deployment.template_hash.is_empty()
        {
            return;
        }
        let good = self.good.entry(deployment.meta.uid.clone()).or_default();
        if good.last().is_some_and(|last| {
            last.template_hash == deployment.template_hash && last.revision == deployment.revision
        }) {
            return;
        }
        good.retain(|one| one.template_hash != deployment.template_hash);
        good.push(GoodRevision {
            revision: deployment.revision,
            template_hash: deployment.template_hash.clone(),
        });
        if good.len() > MAX_GOOD_REVISIONS {
            good.remove(0);
        }
    }
}

fn minutes(at: Timestamp) -> u64 {
    u64::try_from(at.as_second() / 60).unwrap_or(0)
}

fn put<T: PartialEq>(map: &mut BTreeMap<String, T>, uid: String, value: T, not_kept: &mut u64) -> bool {
    if uid.is_empty() {
        return false;
    }
    let full = map.len() >= MAX_OBJECTS;
    match map.get_mut(&uid) {
        Some(old) if *old == value => return false,
        Some(old) => *old = value,
        None if full => *not_kept += 1,
        None => {
            map.insert(uid, value);
        }
    }
    true
}
