//! What leaves the inventory with an object that no longer exists.

use jiff::Timestamp;
use nimbus_protocol::kind::ObjectKind;
use nimbus_protocol::v1;

use super::super::object::Object;
use super::super::owned::Owned;
use super::super::pod_index::PodState;
use super::super::table::Table;
use super::Inventory;

impl Inventory {
    /// An object no longer exists, as was observed then. A kind that this build does not know has no table: nothing changes.
    pub(super) fn gone(&mut self, gone: &v1::Gone, observed_at: Timestamp) -> bool {
        let Ok(kind) = gone.kind.parse::<ObjectKind>() else { return false };
        match kind {
            ObjectKind::Pod => {
                let before = self.state_of(&gone.uid);
                self.pod_index.update(&gone.uid, &before, &PodState::default());
                if self.clock_jumped_at.is_none()
                    && let Some(pod) = self.pods.get(&gone.uid)
                    && let Some(set) = self.stateful_sets.get_mut(&pod.meta.owner_uid)
                {
                    set.credit(pod, observed_at);
                }
                remove(&mut self.pods, &mut self.owned, &gone.uid)
            }
            ObjectKind::ReplicaSet => remove(&mut self.replica_sets, &mut self.owned, &gone.uid),
            ObjectKind::Deployment => {
                self.loads.forget(&gone.uid);
                remove(&mut self.deployments, &mut self.owned, &gone.uid)
            }
            ObjectKind::Node => remove(&mut self.nodes, &mut self.owned, &gone.uid),
            ObjectKind::StatefulSet => {
                self.loads.forget(&gone.uid);
                remove(&mut self.stateful_sets, &mut self.owned, &gone.uid)
            }
            ObjectKind::DaemonSet => remove(&mut self.daemon_sets, &mut self.owned, &gone.uid),
            ObjectKind::BatchJob => remove(&mut self.batch_jobs, &mut self.owned, &gone.uid),
            ObjectKind::PodEvent => remove(&mut self.pod_events, &mut self.owned, &gone.uid),
            ObjectKind::ConfigMap => remove(&mut self.config_maps, &mut self.owned, &gone.uid),
            ObjectKind::Secret => remove(&mut self.secrets, &mut self.owned, &gone.uid),
            ObjectKind::PersistentVolumeClaim => {
                if let Some(claim) = self.persistent_volume_claims.get(&gone.uid) {
                    self.claim_names.remove(&claim.meta);
                }
                remove(&mut self.persistent_volume_claims, &mut self.owned, &gone.uid)
            }
            ObjectKind::PersistentVolume => {
                if let Some(volume) = self.persistent_volumes.get(&gone.uid) {
                    self.volume_names.remove(&volume.meta);
                }
                remove(&mut self.persistent_volumes, &mut self.owned, &gone.uid)
            }
            ObjectKind::PodDisruptionBudget => {
                remove(&mut self.pod_disruption_budgets, &mut self.owned, &gone.uid)
            }
            ObjectKind::StorageClass => remove(&mut self.storage_classes, &mut self.owned, &gone.uid),
            ObjectKind::Certificate => remove(&mut self.certificates, &mut self.owned, &gone.uid),
            ObjectKind::TlsSecret => remove(&mut self.tls_secrets, &mut self.owned, &gone.uid),
            ObjectKind::Issuer => remove(&mut self.issuers, &mut self.owned, &gone.uid),
            ObjectKind::ClusterIssuer => remove(&mut self.cluster_issuers, &mut self.owned, &gone.uid),
            ObjectKind::HorizontalPodAutoscaler => {
                remove(&mut self.horizontal_pod_autoscalers, &mut self.owned, &gone.uid)
            }
        }
    }
}

fn remove<T: Object>(table: &mut Table<T>, owned: &mut Owned, uid: &str) -> bool {
    table.gone(uid).map(|object| owned.remove(object.meta())).is_some()
}
