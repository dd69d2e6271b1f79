//! Relations between objects: which pods belong to which workload, and whether a workload is healthy as a whole.
//!
//! An owner is found by its UID among the objects of its own kind; what has the same kind's name in another API group is
//! not among them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::inventory::Inventory;
use super::kube::{BatchJob, Container, Deployment, Node, Pod, ReplicaSet, TemplateFact};
use super::object::Object as _;
use crate::model::{KubeRef, Workload};

/// Whether the pods of a workload are all ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The workload no longer exists.
    Gone,
    /// It wants no pods.
    Idle,
    /// All wanted pods have been ready since then.
    ReadySince(Timestamp),
    /// So many of the wanted pods are ready.
    NotReady {
        /// Ready pods.
        ready: usize,
        /// Wanted pods.
        wanted: usize,
    },
    /// The workload's own object is not watched: how many pods it wants is not known.
    Unknown,
}

impl Inventory {
    /// The Deployment that a ReplicaSet belongs to.
    pub fn deployment_of(&self, set: &ReplicaSet) -> Option<&Deployment> {
        self.deployments.get(&set.meta.owner_uid)
    }

    /// The ReplicaSet that a pod belongs to.
    pub fn replica_set_of(&self, pod: &Pod) -> Option<&ReplicaSet> {
        self.replica_sets.get(&pod.meta.owner_uid)
    }

    /// A pod's ReplicaSet and Deployment.
    pub fn owners_of(&self, pod: &Pod) -> Option<(&ReplicaSet, &Deployment)> {
        let set = self.replica_set_of(pod)?;
        Some((set, self.deployment_of(set)?))
    }

    /// The ReplicaSets of a Deployment that are not on their way out.
    pub fn replica_sets_of(&self, deployment: &str) -> impl Iterator<Item = &ReplicaSet> {
        let sets = self.owned.by(deployment).filter_map(|uid| self.replica_sets.get(uid));
        sets.filter(|set| !set.meta.deleting)
    }

    /// The pods of a Deployment that still have to run.
    pub fn pods_of(&self, deployment: &str) -> impl Iterator<Item = &Pod> {
        let sets = self.owned.by(deployment).filter(|uid| self.replica_sets.get(uid).is_some());
        let pods = sets.flat_map(|set| self.owned.by(set)).filter_map(|uid| self.pods.get(uid));
        pods.filter(|pod| pod.is_active())
    }

    /// What makes a pod, and would make another one: its Deployment, otherwise whatever controls it, otherwise nothing.
    pub fn workload_of(&self, pod: &Pod) -> Workload {
        if let Some((_, deployment)) = self.owners_of(pod) {
            return Workload::Deployment(deployment.reference());
        }
        let Some(owner) = pod.meta.owner() else { return Workload::Bare(pod.reference()) };
        let run = self.batch_jobs.get(&owner.uid).and_then(|job| job.meta.owner());
        let above = self.replica_set_of(pod).and_then(|set| set.meta.owner()).or(run).map(Workload::of);
        match (Workload::of(owner), above) {
            // All runs of a CronJob are one workload. A ReplicaSet of another controller, such as a Rollout, is that one's:
            // it decides what becomes of the pods.
            (Workload::Job(_), Some(above @ Workload::CronJob(_)))
            | (Workload::Other(_), Some(above @ Workload::Other(_))) => above,
            (own, _) => own,
        }
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.values().find(|node| node.meta.name == name)
    }

    /// By node name, whether it is ready.
    pub fn readiness(&self) -> BTreeMap<&str, bool> {
        self.nodes.values().map(|node| (node.meta.name.as_str(), node.is_ready())).collect()
    }

    /// Are all nodes not ready at once, of two or more? That is the network or the API server, and not the nodes.
    pub fn lost_every_node(&self) -> bool {
        self.nodes.len() > 1 && self.nodes.values().all(|node| !node.is_ready())
    }

    /// Are all pods of a workload ready, and since when?
    pub fn health_of(&self, workload: &Workload) -> Health {
        match workload {
            Workload::Deployment(object) => self.deployment_health(&object.uid),
            Workload::StatefulSet(object) => {
                let desired = self.stateful_sets.get(&object.uid).map(|set| set.desired);
                self.direct_health(object, desired, ObjectKind::StatefulSet)
            }
            Workload::DaemonSet(object) => {
                let desired = self.daemon_sets.get(&object.uid).map(|set| set.desired);
                self.direct_health(object, desired, ObjectKind::DaemonSet)
            }
            // Their objects are not watched: how many pods they want is not known.
            Workload::Job(_) | Workload::CronJob(_) | Workload::Bare(_) | Workload::Other(_) => {
                Health::Unknown
            }
        }
    }

    /// Of a workload that owns its pods itself and wants so many of them; `None`: its object is not there. It is gone only
    /// where its kind is listed and all of it kept, otherwise it is not known.
    fn direct_health(&self, workload: &KubeRef, desired: Option<u32>, kind: ObjectKind) -> Health {
        match desired {
            Some(desired) => ready_pods(self.pods_owned_by(&workload.uid), desired),
            None if self.is_listed(kind) && self.not_kept(kind) == 0 => Health::Gone,
            None => Health::Unknown,
        }
    }

    /// What keeps a pod from starting at all, in the words of the scheduler, the kubelet or an Event about it: nothing that
    /// another pod template of its workload would necessarily change.
    pub fn cannot_start(&self, pod: &Pod) -> Option<String> {
        pod.cannot_start().or_else(|| {
            // An Event is about a time before; that the pod still waits says that it holds.
            let waits = |c: &Container| {
                c.state == "waiting" && (c.reason == "ContainerCreating" || c.reason == "PodInitializing")
            };
            let events = self.owned.by(&pod.meta.uid).filter_map(|uid| self.pod_events.get(uid));
            let told =
                events.filter(|event| !event.message.is_empty()).max_by_key(|event| &event.meta.name)?;
            pod.containers.iter().any(waits).then(|| format!("{}: {}", told.reason, told.message))
        })
    }

    /// Does it wait for what is not shown to be its template's fault: it cannot start, or nothing of it was begun?
    pub fn is_held_up(&self, pod: &Pod) -> bool {
        self.waits_to_begin(pod) || self.cannot_start(pod).is_some()
    }

    /// Was nothing of it begun, and is that not shown to be its template's fault? It may be where the template itself asks the
    /// kubelet for what no older one did.
    pub fn waits_to_begin(&self, pod: &Pod) -> bool {
        pod.nothing_begun() && !self.asked_anew(&pod.meta.owner_uid)
    }

    /// Does the template of a ReplicaSet ask the kubelet for something before it begins a container, and that of no older one
    /// does: a runtime class, or a volume that is described in the template itself and not by a claim, a ConfigMap or a Secret?
    /// Not where there is no older one.
    fn asked_anew(&self, set: &str) -> bool {
        const VOLUMES: [&str; 7] = ["nfs", "csi", "iscsi", "cephfs", "rbd", "glusterfs", "fc"];
        let Some(set) = self.replica_sets.get(set) else { return false };
        let asks = |path: &str| {
            let volume = path.strip_prefix("volumes[").and_then(|rest| rest.split_once("]."));
            let kind = volume.and_then(|(_, rest)| rest.split('.').next());
            // What is on the host is looked for only where its type is said.
            let typed = volume.is_some_and(|(_, rest)| rest == "hostPath.type");
            path == "runtimeClassName" || typed || kind.is_some_and(|kind| VOLUMES.contains(&kind))
        };
        let older = || {
            self.replica_sets_of(&set.meta.owner_uid).filter(|older| older.template_hash != set.template_hash)
        };
        // The API server writes a type that is not said as an empty one.
        let said = |fact: &TemplateFact| !fact.path.ends_with(".hostPath.type") || !fact.value.is_empty();
        let anew = |fact: &TemplateFact| {
            asks(&fact.path) && said(fact) && older().all(|older| !older.template.contains(fact))
        };
        older().next().is_some() && set.template.iter().any(anew)
    }

    /// The runs of a CronJob.
    pub fn runs_of(&self, cron_job: &str) -> impl Iterator<Item = &BatchJob> {
        self.owned.by(cron_job).filter_map(|uid| self.batch_jobs.get(uid))
    }

    /// The pods that an object owns itself and that still have to run.
    pub fn pods_owned_by(&self, owner: &str) -> impl Iterator<Item = &Pod> {
        self.owned.by(owner).filter_map(|uid| self.pods.get(uid)).filter(|pod| pod.is_active())
    }

    /// The pods of a workload that still have to run: its own, and those of what it owns.
    pub fn pods_below(&self, owner: &str) -> impl Iterator<Item = &Pod> {
        let below = self.owned.by(owner).flat_map(|uid| self.owned.by(uid));
        let all = self.owned.by(owner).chain(below).filter_map(|uid| self.pods.get(uid));
        all.filter(|pod| pod.is_active())
    }

    /// Pods of an older revision that still run count as well: while they are there the Deployment is not settled.
    fn deployment_health(&self, deployment: &str) -> Health {
        let Some(found) = self.deployments.get(deployment) else { return Health::Gone };
        ready_pods(self.pods_of(deployment), found.desired)
    }
}

/// Are `wanted` pods ready, and none that is not?
fn ready_pods<'a>(pods: impl Iterator<Item = &'a Pod>, wanted: u32) -> Health {
    if wanted == 0 {
        return Health::Idle;
    }
    let wanted = wanted as usize;
    let (mut all, mut ready) = (0, 0);
    // The newest of the times at which a pod became ready; a pod that does not say when is not settled.
    let mut since = Some(Timestamp::MIN);
    for pod in pods {
        all += 1;
        ready += usize::from(pod.ready);
        since = since.zip(pod.ready_since).map(|(newest, at)| newest.max(at));
    }
    match since {
        Some(since) if ready >= wanted && ready == all => Health::ReadySince(since),
        _ => Health::NotReady { ready: ready.min(wanted), wanted },
    }
}
