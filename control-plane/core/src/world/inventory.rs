//! The inventory of one cluster, as its leading agent reports it.
//!
//! Decides whose observations count (only those of the agent that holds the newest watch lease) and of which kinds the
//! picture is complete (listed from begin to end under that lease). What the objects mean is left to the causes.

mod gone;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::kind::{Body, ObjectKind};
use nimbus_protocol::v1;
use nimbus_protocol::v1::sync_mark::Phase;
use serde::{Deserialize, Serialize};

use super::kube::{
    BatchJob, Certificate, ClusterIssuer, ConfigMap, DaemonSet, Deployment, HorizontalPodAutoscaler, Issuer,
    Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, PodEvent, ReplicaSet, Secret,
    StatefulSet, StorageClass, TlsSecret,
};
use super::load::WorkloadLoads;
use super::measured::MeasuredNodes;
use super::named::Named;
use super::object::Object;
use super::owned::Owned;
use super::pod_index::{PodIndex, PodState, Used};
use super::table::{Listed, Put, Table};
use crate::model::RevisionHistory;

/// How far a lease's term may lie ahead of the minutes since 1970 from which agents begin theirs: a year. One beyond
/// that would shut every later leader out.
const TERM_AHEAD: u64 = 366 * 24 * 60;

/// A cluster's inventory. What a stored one does not have yet, such as a kind of a later build, is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Pods by UID.
    pub pods: Table<Pod>,
    /// ReplicaSets by UID.
    pub replica_sets: Table<ReplicaSet>,
    /// Deployments by UID.
    pub deployments: Table<Deployment>,
    /// Nodes by UID.
    pub nodes: Table<Node>,
    /// StatefulSets by UID.
    pub stateful_sets: Table<StatefulSet>,
    /// DaemonSets by UID.
    pub daemon_sets: Table<DaemonSet>,
    /// Jobs by UID.
    pub batch_jobs: Table<BatchJob>,
    /// Events about pods by UID.
    pub pod_events: Table<PodEvent>,
    /// ConfigMaps by UID, without their content.
    pub config_maps: Table<ConfigMap>,
    /// Secrets, by their metadata.
    #[serde(default)]
    pub secrets: Table<Secret>,
    /// PersistentVolumeClaims by UID.
    pub persistent_volume_claims: Table<PersistentVolumeClaim>,
    /// PersistentVolumes by UID.
    pub persistent_volumes: Table<PersistentVolume>,
    /// PodDisruptionBudgets by UID.
    pub pod_disruption_budgets: Table<PodDisruptionBudget>,
    /// StorageClasses by UID.
    #[serde(default)]
    pub storage_classes: Table<StorageClass>,
    /// HorizontalPodAutoscalers by UID.
    #[serde(default)]
    pub horizontal_pod_autoscalers: Table<HorizontalPodAutoscaler>,
    /// Certificates of cert-manager by UID.
    #[serde(default)]
    pub certificates: Table<Certificate>,
    /// Issuers of cert-manager by UID.
    #[serde(default)]
    pub issuers: Table<Issuer>,
    /// ClusterIssuers of cert-manager by UID.
    #[serde(default)]
    pub cluster_issuers: Table<ClusterIssuer>,
    /// Secrets with certificates by UID, where they are watched.
    #[serde(default)]
    pub tls_secrets: Table<TlsSecret>,
    /// What the kubelets measured, by node.
    pub measured: MeasuredNodes,
    /// How busy the workloads are that ask to be scaled out.
    #[serde(default)]
    pub loads: WorkloadLoads,
    /// The agent whose observations count.
    pub leader: Option<AgentId>,
    /// Transitions of the lease under which it watches.
    pub lease_term: u64,
    /// When the newest observation reached the control plane.
    pub heard_at: Option<Timestamp>,
    /// When the clock here last jumped since this is followed.
    #[serde(default)]
    pub clock_jumped_at: Option<Timestamp>,
    /// By workload UID what is remembered of its revisions. Documents of their own, not part of the snapshot.
    #[serde(skip)]
    pub histories: BTreeMap<String, RevisionHistory>,
    /// Workloads whose history changed since it was last taken to be stored.
    #[serde(skip)]
    pub(super) unstored_histories: BTreeSet<String>,
    /// Moves with every change; what was concluded from one version holds as long as it stays.
    #[serde(skip)]
    pub(super) version: u64,
    /// Who owns which objects; derived, not stored.
    #[serde(skip)]
    pub(super) owned: Owned,
    /// Which pods want a look; derived, not stored.
    #[serde(skip)]
    pod_index: PodIndex,
    /// PersistentVolumeClaims by name; derived, not stored.
    #[serde(skip)]
    pub(super) claim_names: Named,
    /// PersistentVolumes by name; derived, not stored.
    #[serde(skip)]
    volume_names: Named,
}

impl Inventory {
    /// One of which nothing is known yet, met after the clock here jumped at that time, if ever.
    pub(super) fn met(clock_jumped_at: Option<Timestamp>) -> Self {
        Self { clock_jumped_at, ..Self::default() }
    }

    /// Has the leading agent listed this kind to its end?
    pub fn is_listed(&self, kind: ObjectKind) -> bool {
        self.table(kind).is_listed()
    }

    /// Is every object of this kind here: listed to its end, and none left out for want of room?
    pub fn has_every(&self, kind: ObjectKind) -> bool {
        self.is_listed(kind) && self.not_kept(kind) == 0
    }

    /// Objects of this kind that were not kept for want of room.
    pub fn not_kept(&self, kind: ObjectKind) -> u64 {
        self.table(kind).not_kept()
    }

    /// The kinds that are not listed to their end (yet).
    pub fn unlisted(&self) -> Vec<ObjectKind> {
        ObjectKind::ALL.iter().copied().filter(|kind| !self.is_listed(*kind)).collect()
    }

    /// Moves with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn table(&self, kind: ObjectKind) -> &dyn Listed {
        match kind {
            ObjectKind::Pod => &self.pods,
            ObjectKind::ReplicaSet => &self.replica_sets,
            ObjectKind::Deployment => &self.deployments,
            ObjectKind::Node => &self.nodes,
            ObjectKind::StatefulSet => &self.stateful_sets,
            ObjectKind::DaemonSet => &self.daemon_sets,
            ObjectKind::BatchJob => &self.batch_jobs,
            ObjectKind::PodEvent => &self.pod_events,
            ObjectKind::ConfigMap => &self.config_maps,
            ObjectKind::Secret => &self.secrets,
            ObjectKind::PersistentVolumeClaim => &self.persistent_volume_claims,
            ObjectKind::PersistentVolume => &self.persistent_volumes,
            ObjectKind::PodDisruptionBudget => &self.pod_disruption_budgets,
            ObjectKind::StorageClass => &self.storage_classes,
            ObjectKind::HorizontalPodAutoscaler => &self.horizontal_pod_autoscalers,
            ObjectKind::Certificate => &self.certificates,
            ObjectKind::Issuer => &self.issuers,
            ObjectKind::ClusterIssuer => &self.cluster_issuers,
            ObjectKind::TlsSecret => &self.tls_secrets,
        }
    }

    fn table_mut(&mut self, kind: ObjectKind) -> &mut dyn Listed {
        match kind {
            ObjectKind::Pod => &mut self.pods,
            ObjectKind::ReplicaSet => &mut self.replica_sets,
            ObjectKind::Deployment => &mut self.deployments,
            ObjectKind::Node => &mut self.nodes,
            ObjectKind::StatefulSet => &mut self.stateful_sets,
            ObjectKind::DaemonSet => &mut self.daemon_sets,
            ObjectKind::BatchJob => &mut self.batch_jobs,
            ObjectKind::PodEvent => &mut self.pod_events,
            ObjectKind::ConfigMap => &mut self.config_maps,
            ObjectKind::Secret => &mut self.secrets,
            ObjectKind::PersistentVolumeClaim => &mut self.persistent_volume_claims,
            ObjectKind::PersistentVolume => &mut self.persistent_volumes,
            ObjectKind::PodDisruptionBudget => &mut self.pod_disruption_budgets,
            ObjectKind::StorageClass => &mut self.storage_classes,
            ObjectKind::HorizontalPodAutoscaler => &mut self.horizontal_pod_autoscalers,
            ObjectKind::Certificate => &mut self.certificates,
            ObjectKind::Issuer => &mut self.issuers,
            ObjectKind::ClusterIssuer => &mut self.cluster_issuers,
            ObjectKind::TlsSecret => &mut self.tls_secrets,
        }
    }

    /// Takes one observation, made at `observed_at` and not later than it was received; true when the picture changed.
    pub(super) fn apply(
        &mut self,
        agent: AgentId,
        body: &Body,
        observed_at: Timestamp,
        received_at: Timestamp,
    ) -> bool {
        let leads = self.leader == Some(agent);
        let changed = match body {
            Body::Sync(mark) => self.mark(agent, mark, received_at),
            Body::Host(_)
            | Body::File(_)
            | Body::Units(_)
            | Body::CertificateFiles(_)
            | Body::AgentStatus(_) => false,
            // Each node's own agent tells it, whoever leads.
            Body::NodeMeasured(node) => self.measured.put(node, observed_at),
            _ if !leads => false,
            Body::WorkloadLoad(load) => self.loads.put(load, observed_at),
            Body::Pod(pod) => self.put_pod(Pod::from(pod.clone()), received_at),
            Body::ReplicaSet(set) => {
                put(&mut self.replica_sets, &mut self.owned, ReplicaSet::from(set.clone()))
            }
            Body::Deployment(deployment) => self.put_deployment(Deployment::from(deployment.clone())),
            Body::Node(node) => self.put_node(Node::from(node.clone())),
            Body::StatefulSet(set) => {
                self.put_stateful_set(StatefulSet::from(set.clone()), observed_at, received_at)
            }
            Body::DaemonSet(set) => put(&mut self.daemon_sets, &mut self.owned, DaemonSet::from(set.clone())),
            Body::BatchJob(job) => put(&mut self.batch_jobs, &mut self.owned, BatchJob::from(job.clone())),
            Body::PodEvent(event) => {
                put(&mut self.pod_events, &mut self.owned, PodEvent::from(event.clone()))
            }
            Body::ConfigMap(map) => put(&mut self.config_maps, &mut self.owned, ConfigMap::from(map.clone())),
            Body::Secret(secret) => put(&mut self.secrets, &mut self.owned, Secret::from(secret.clone())),
            Body::PersistentVolumeClaim(claim) => {
                let claim = PersistentVolumeClaim::from(claim.clone());
                put_named(&mut self.persistent_volume_claims, &mut self.owned, &mut self.claim_names, claim)
            }
            Body::PersistentVolume(volume) => {
                let volume = PersistentVolume::from(volume.clone());
                put_named(&mut self.persistent_volumes, &mut self.owned, &mut self.volume_names, volume)
            }
            Body::PodDisruptionBudget(budget) => {
                let budget = PodDisruptionBudget::from(budget.clone());
                put(&mut self.pod_disruption_budgets, &mut self.owned, budget)
            }
            Body::StorageClass(class) => {
                put(&mut self.storage_classes, &mut self.owned, StorageClass::from(class.clone()))
            }
            Body::HorizontalPodAutoscaler(told) => {
                self.put_autoscaler(HorizontalPodAutoscaler::from(told.clone()), observed_at)
            }
            Body::Certificate(told) => {
                put(&mut self.certificates, &mut self.owned, Certificate::from(told.clone()))
            }
            Body::Issuer(told) => put(&mut self.issuers, &mut self.owned, Issuer::from(told.clone())),
            Body::ClusterIssuer(told) => {
                put(&mut self.cluster_issuers, &mut self.owned, ClusterIssuer(Issuer::from(told.clone())))
            }
            Body::TlsSecret(told) => {
                put(&mut self.tls_secrets, &mut self.owned, TlsSecret::from(told.clone()))
            }
            Body::Gone(gone) => self.gone(gone, observed_at),
        };
        self.version += u64::from(changed);
        changed
    }

    fn state_of(&self, pod_uid: &str) -> PodState {
        self.pods.get(pod_uid).map(PodState::of).unwrap_or_default()
    }

    fn put_node(&mut self, mut node: Node) -> bool {
        if let Some(before) = self.nodes.get(&node.meta.uid) {
            node.remember(before);
        }
        put(&mut self.nodes, &mut self.owned, node)
    }

    fn put_autoscaler(&mut self, mut autoscaler: HorizontalPodAutoscaler, observed_at: Timestamp) -> bool {
        let before = self.horizontal_pod_autoscalers.get(&autoscaler.meta.uid);
        autoscaler.remember(before, observed_at);
        put(&mut self.horizontal_pod_autoscalers, &mut self.owned, autoscaler)
    }

    fn put_deployment(&mut self, mut deployment: Deployment) -> bool {
        if let Some(before) = self.deployments.get(&deployment.meta.uid) {
            deployment.remember(before);
        }
        put(&mut self.deployments, &mut self.owned, deployment)
    }

    fn put_stateful_set(
        &mut self,
        mut set: StatefulSet,
        observed_at: Timestamp,
        received_at: Timestamp,
    ) -> bool {
        let uid = set.meta.uid.clone();
        let jumped = self.clock_jumped_at.is_some();
        if let Some(before) = self.stateful_sets.get(&uid) {
            set.remember(before, received_at);
            // While they are listed anew it is not known for how long they went on to be ready.
            if before.update_revision != set.update_revision && !jumped && self.is_listed(ObjectKind::Pod) {
                // Those on their way out as well: until it was observed their revision may have lasted. Until it was
                // received nobody looked.
                for pod in self.owned.by(&uid).filter_map(|pod| self.pods.get(pod)) {
                    set.credit(pod, observed_at);
                }
            }
        }
        for pod in self.pods_owned_by(&uid) {
            set.learn(pod, received_at, jumped);
        }
        put(&mut self.stateful_sets, &mut self.owned, set)
    }

    fn put_pod(&mut self, mut pod: Pod, received_at: Timestamp) -> bool {
        let uid = pod.meta.uid.clone();
        if let Some(before) = self.pods.get(&uid) {
            pod.remember(before, received_at);
        }
        let before = self.state_of(&uid);
        let changed = put(&mut self.pods, &mut self.owned, pod);
        let after = self.state_of(&uid);
        self.pod_index.update(&uid, &before, &after);
        if let Some(pod) = self.pods.get(&uid)
            && let Some(set) = self.stateful_sets.get_mut(&pod.meta.owner_uid)
        {
            set.learn(pod, received_at, self.clock_jumped_at.is_some());
        }
        changed
    }

    /// The pods that want a look, in order of UID.
    pub fn possibly_unhealthy_pods(&self) -> impl Iterator<Item = &Pod> {
        self.pod_index.unwell.iter().filter_map(|uid| self.pods.get(uid))
    }

    /// How many pods of a namespace there are, ended ones among them.
    pub fn pods_in(&self, namespace: &str) -> usize {
        self.pod_index.in_namespaces.get(namespace).map_or(0, BTreeSet::len)
    }

    /// The pods of a namespace, ended ones among them, in order of UID.
    pub fn pods_of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Pod> {
        let uids = self.pod_index.in_namespaces.get(namespace).into_iter().flatten();
        uids.filter_map(|uid| self.pods.get(uid))
    }

    /// The pods on nodes that keep others away from where they are, or may, in order of UID.
    pub fn pods_that_keep_others_away(&self) -> impl Iterator<Item = &Pod> {
        self.pod_index.keep_away.iter().filter_map(|uid| self.pods.get(uid))
    }

    /// The PersistentVolumeClaim of this namespace and name.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&PersistentVolumeClaim> {
        self.claim_names.uid(namespace, name).and_then(|uid| self.persistent_volume_claims.get(uid))
    }

    /// The StorageClass of this name; a cluster has few of them.
    pub fn storage_class(&self, name: &str) -> Option<&StorageClass> {
        self.storage_classes.values().find(|class| class.meta.name == name)
    }

    /// The PersistentVolume of this name.
    pub fn volume(&self, name: &str) -> Option<&PersistentVolume> {
        self.volume_names.uid("", name).and_then(|uid| self.persistent_volumes.get(uid))
    }

    /// How many pods still have to run.
    pub fn active_pods(&self) -> u64 {
        self.pod_index.active
    }

    /// What the pods of a node ask for together, those on their way out among them.
    pub fn used_on(&self, node: &str) -> Used {
        self.pod_index.on_nodes.get(node).copied().unwrap_or_default()
    }

    /// Begin and end of listings, and with a begin of a newer lease term the change of the leader.
    ///
    /// The listing of a kind that this build does not know changes nothing but the leader.
    fn mark(&mut self, agent: AgentId, mark: &v1::SyncMark, received_at: Timestamp) -> bool {
        let most = minutes(received_at).saturating_add(TERM_AHEAD);
        if mark.lease_term > most || mark.lease_term < self.lease_term {
            return false;
        }
        let kind = mark.kind.parse::<ObjectKind>().ok();
        match mark.phase() {
            Phase::Begin => {
                let mut changed = false;
                if mark.lease_term > self.lease_term || self.leader != Some(agent) {
                    self.lease_term = mark.lease_term;
                    self.leader = Some(agent);
                    self.forget_listings();
                    changed = true;
                }
                if let Some(kind) = kind {
                    self.table_mut(kind).begin();
                    changed = true;
                }
                changed
            }
            Phase::End if self.leader == Some(agent) => kind.is_some_and(|kind| {
                let ended = self.table_mut(kind).end();
                if ended {
                    self.relate();
                }
                ended
            }),
            Phase::End | Phase::Unspecified => false,
        }
    }

    fn forget_listings(&mut self) {
        for kind in ObjectKind::ALL {
            self.table_mut(*kind).forget_listing();
        }
    }

    /// Nobody's observations count until the next listing begins, under whatever lease.
    pub(super) fn clear_leader(&mut self) {
        (self.leader, self.lease_term) = (None, 0);
        self.forget_listings();
        self.version += 1;
    }

    /// Derives who owns what, and which pods want a look, anew: after a listing or from a snapshot.
    pub(super) fn relate(&mut self) {
        self.owned = Owned::of(ObjectKind::ALL.iter().flat_map(|kind| self.table(*kind).metas()));
        self.pod_index = PodIndex::of(self.pods.values());
        self.claim_names = Named::of(self.persistent_volume_claims.values().map(|claim| &claim.meta));
        self.volume_names = Named::of(self.persistent_volumes.values().map(|volume| &volume.meta));
        if self.is_listed(ObjectKind::Node) {
            let names: BTreeSet<&str> = self.nodes.values().map(|node| node.meta.name.as_str()).collect();
            self.measured.keep_only(|node| names.contains(node));
        }
        if self.is_listed(ObjectKind::Deployment) && self.is_listed(ObjectKind::StatefulSet) {
            let Self { loads, deployments, stateful_sets, .. } = self;
            loads.keep_only(|uid| deployments.get(uid).is_some() || stateful_sets.get(uid).is_some());
        }
    }
}

fn put<T: Object>(table: &mut Table<T>, owned: &mut Owned, object: T) -> bool {
    let meta = object.meta().clone();
    match table.put(object) {
        Put::Changed(before) => {
            owned.update(before.as_ref(), &meta);
            true
        }
        Put::Same => false,
        // That it is not kept may be news: the kind reads unknown from now on.
        Put::NotKept => !meta.uid.is_empty(),
    }
}

/// The same for a kind that is looked up by name.
fn put_named<T: Object>(table: &mut Table<T>, owned: &mut Owned, names: &mut Named, object: T) -> bool {
    let uid = object.meta().uid.clone();
    // What it was called before leads to it no longer, whoever says so.
    let before = table.get(&uid).map(|object| object.meta().clone());
    let changed = put(table, owned, object);
    if let (true, Some(after)) = (changed, table.get(&uid)) {
        if let Some(before) = &before {
            names.remove(before);
        }
        names.add(after.meta());
    }
    changed
}

fn minutes(at: Timestamp) -> u64 {
    u64::try_from(at.as_second() / 60).unwrap_or(0)
}
