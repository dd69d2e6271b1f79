//! The watcher of the cluster: connects to it, takes part in the leader election and, while this replica leads, watches
//! its objects.

pub mod client;
pub mod cordons;
pub mod holds;
pub mod lease;
mod load;
pub mod looks;
pub(crate) mod pages;
pub mod request;
pub mod stream;
#[cfg(test)]
mod stub_tests;
pub mod watched;

use std::sync::Arc;
use std::time::Duration;

use nimbus_agent_core::observe::kube::{
    SlimCertificate, SlimClusterIssuer, SlimConfigMap, SlimDaemonSet, SlimDeployment,
    SlimHorizontalPodAutoscaler, SlimIssuer, SlimJob, SlimNode, SlimPersistentVolume,
    SlimPersistentVolumeClaim, SlimPod, SlimPodDisruptionBudget, SlimPodEvent, SlimReplicaSet, SlimSecret,
    SlimStatefulSet, SlimStorageClass, SlimTlsSecret,
};
use nimbus_platform::{DoublingWait, since_boot};
use nimbus_protocol::ObjectKind;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::LeaseSettings;
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;
use client::{Cluster, Target};
use cordons::Cordons;
use lease::{Elector, Leadership};
use looks::Looks;
use stream::{Follow, Listing, Listings};
use watched::Collection;

/// Between two tries where the API server does not answer or refuses: with its jitter at most 30 s.
const RETRY: DoublingWait = DoublingWait::new(Duration::from_millis(500), Duration::from_secs(20));

/// What the executors share with the watch.
#[derive(Debug, Default)]
pub struct ClusterHandle {
    cluster: watch::Sender<Option<Cluster>>,
    leadership: Arc<watch::Sender<Leadership>>,
    /// Own cordons and taints that were seen.
    pub cordons: Arc<Cordons>,
    /// Whoever holds a node takes this first: one after the other.
    pub holding: tokio::sync::Mutex<()>,
    /// Whoever looks whether a job helped takes turns.
    pub looks: Looks,
}

impl ClusterHandle {
    /// A cluster that answered, led by this replica for a minute.
    #[cfg(test)]
    pub(crate) fn leading(client: ::kube::Client) -> Self {
        let handle = Self::default();
        let cluster = Cluster { client, uid: "c".to_owned(), name: "test".to_owned() };
        handle.cluster.send_replace(Some(cluster));
        let until = since_boot() + Duration::from_mins(1);
        handle.leadership.send_replace(Leadership::Leading { term: 1, until });
        handle
    }

    /// The cluster, once it answered.
    pub fn cluster(&self) -> Option<Cluster> {
        self.cluster.borrow().clone()
    }

    /// Follows the cluster.
    pub fn cluster_changes(&self) -> watch::Receiver<Option<Cluster>> {
        self.cluster.subscribe()
    }

    /// The term under which this replica may act at this very moment.
    pub fn term(&self) -> Option<u64> {
        self.leadership.borrow().term(since_boot())
    }

    /// Follows the leadership.
    pub fn leadership_changes(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }
}

/// What the watch needs.
pub struct Watch {
    /// The cluster's address.
    pub target: Target,
    /// Are Secrets with certificates read?
    pub tls_secrets: bool,
    /// The election.
    pub lease: LeaseSettings,
    /// This replica's name in the election: the agent's id.
    pub identity: String,
    /// Where observations go.
    pub observations: ObservationQueue,
    /// Where status and problems are said.
    pub status: Arc<SharedStatus>,
    /// What the executors share.
    pub handle: Arc<ClusterHandle>,
    /// Grows whenever everything is to be listed again.
    pub resync: watch::Receiver<u64>,
    /// Ends the watch.
    pub cancel: CancellationToken,
}

/// Runs until cancelled; the lease is given back.
pub async fn run(watch: Watch) {
    let Some(cluster) = find(&watch).await else { return };
    tracing::info!(cluster = cluster.name, uid = cluster.uid, "cluster found");
    watch.status.update(|status| {
        status.cluster_uid.clone_from(&cluster.uid);
        status.cluster_name.clone_from(&cluster.name);
    });
    watch.handle.cluster.send_replace(Some(cluster.clone()));
    let elector = Elector::new(
        cluster.client.clone(),
        watch.lease.clone(),
        watch.identity.clone(),
        watch.handle.leadership.clone(),
        watch.status.clone(),
    );
    let election = tokio::spawn(elector.run(watch.cancel.clone()));
    tokio::select! {
        () = watch.cancel.cancelled() => {}
        () = lead(&watch, &cluster) => {}
    }
    let _ = election.await;
    watch.status.update(|status| {
        status.leading = false;
        status.standing_by = false;
    });
}

/// The cluster, as soon as it answers; `None` when cancelled first.
async fn find(watch: &Watch) -> Option<Cluster> {
    let mut retry = RETRY;
    loop {
        let identified = tokio::select! {
            () = watch.cancel.cancelled() => return None,
            identified = watch.target.identify() => identified,
        };
        match identified {
            Ok(cluster) => {
                watch.status.problem("cluster", None);
                return Some(cluster);
            }
            Err(error) => watch.status.problem("cluster", Some(error.to_string())),
        }
        tokio::select! {
            () = watch.cancel.cancelled() => return None,
            () = tokio::time::sleep(retry.next()) => {}
        }
    }
}

/// Watches during each term that this replica leads, and only then.
async fn lead(watch: &Watch, cluster: &Cluster) {
    let mut leadership = watch.handle.leadership_changes();
    loop {
        let now = *leadership.borrow_and_update();
        let term = now.term(since_boot());
        watch.status.update(|status| {
            status.leading = term.is_some();
            status.lease_term = term.unwrap_or_default();
            status.standing_by = now == Leadership::Standby;
            status.synced = false;
        });
        let Some(term) = term else {
            if leadership.changed().await.is_err() {
                return;
            }
            continue;
        };
        tracing::info!(term, "this replica leads: watching the cluster");
        let end = CancellationToken::new();
        // Whatever ends this function ends the term's watches with it.
        let _guard = end.clone().drop_guard();
        let mut kinds = follow(watch, cluster, term, &end);
        loop {
            let Leadership::Leading { term: at, until } = *leadership.borrow_and_update() else { break };
            if at != term {
                break;
            }
            tokio::select! {
                changed = leadership.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(until.saturating_sub(since_boot())) => {
                    if leadership.borrow().term(since_boot()).is_none() { break }
                }
            }
        }
        tracing::warn!(term, "this replica no longer leads: it stops watching and acting");
        end.cancel();
        kinds.shutdown().await;
        // What stood in the way of the watch is the next leader's to say.
        for kind in ObjectKind::ALL {
            watch.status.problem(&stream::problem_key(*kind), None);
        }
    }
}

/// Starts the watches of every kind under `term`; they end with `end`.
fn follow(watch: &Watch, cluster: &Cluster, term: u64, end: &CancellationToken) -> JoinSet<()> {
    let listings: Arc<watch::Sender<Listings>> = Arc::default();
    let mut kinds = JoinSet::new();
    kinds.spawn(publish_synced(watch.status.clone(), term, listings.subscribe()));
    let follow = Follow {
        client: cluster.client.clone(),
        cluster_uid: cluster.uid.clone(),
        term,
        observations: watch.observations.clone(),
        status: watch.status.clone(),
        resync: watch.resync.clone(),
        listings,
        cordons: watch.handle.cordons.clone(),
        cancel: end.clone(),
        quiet: stream::QUIET,
        installed: stream::INSTALLED,
    };
    for kind in ObjectKind::ALL {
        let of = match kind {
            ObjectKind::Pod => Collection::of::<SlimPod>(),
            ObjectKind::ReplicaSet => Collection::of::<SlimReplicaSet>(),
            ObjectKind::Deployment => Collection::of::<SlimDeployment>(),
            ObjectKind::Node => Collection::of::<SlimNode>(),
            ObjectKind::StatefulSet => Collection::of::<SlimStatefulSet>(),
            ObjectKind::DaemonSet => Collection::of::<SlimDaemonSet>(),
            ObjectKind::BatchJob => Collection::of::<SlimJob>(),
            ObjectKind::PodEvent => Collection::of::<SlimPodEvent>(),
            ObjectKind::ConfigMap => Collection::of::<SlimConfigMap>(),
            ObjectKind::Secret => Collection::of::<SlimSecret>(),
            ObjectKind::PersistentVolumeClaim => Collection::of::<SlimPersistentVolumeClaim>(),
            ObjectKind::PersistentVolume => Collection::of::<SlimPersistentVolume>(),
            ObjectKind::PodDisruptionBudget => Collection::of::<SlimPodDisruptionBudget>(),
            ObjectKind::StorageClass => Collection::of::<SlimStorageClass>(),
            ObjectKind::HorizontalPodAutoscaler => Collection::of::<SlimHorizontalPodAutoscaler>(),
            ObjectKind::Certificate => Collection::of::<SlimCertificate>(),
            ObjectKind::TlsSecret if watch.tls_secrets => Collection::of::<SlimTlsSecret>(),
            ObjectKind::TlsSecret => {
                // Nobody asked for them: that they are not known keeps nothing else from being.
                follow.listings.send_modify(|all| {
                    all.insert(*kind, Listing::Forbidden);
                });
                continue;
            }
            ObjectKind::Issuer => Collection::of::<SlimIssuer>(),
            ObjectKind::ClusterIssuer => Collection::of::<SlimClusterIssuer>(),
        };
        kinds.spawn(stream::run(follow.clone(), of));
    }
    kinds.spawn(load::run(load::Looks {
        client: cluster.client.clone(),
        cluster_uid: cluster.uid.clone(),
        observations: watch.observations.clone(),
        status: watch.status.clone(),
        every: load::EVERY,
        end: end.clone(),
    }));
    kinds
}

/// Says in the status when the cluster is listed.
async fn publish_synced(status: Arc<SharedStatus>, term: u64, mut listings: watch::Receiver<Listings>) {
    if listings.wait_for(is_synced).await.is_ok() {
        tracing::info!(term, "the cluster is listed");
        status.update(|status| status.synced = status.leading && status.lease_term == term);
    }
}

/// True once every kind that this agent may list is listed, and there is one. What it may not list is said as a problem
/// and does not keep the rest from counting.
fn is_synced(listings: &Listings) -> bool {
    ObjectKind::ALL.iter().all(|kind| listings.contains_key(kind))
        && listings.values().any(|listing| *listing == Listing::Complete)
}
