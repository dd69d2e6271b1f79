//! The kinds of Kubernetes objects that the inventory keeps, one file each: the fields that are kept, their decoding
//! from the wire, their bounds, and what they mean by themselves.
//!
//! Adding a kind is a file here, and the lines that the compiler then asks for in this file and in the inventory.

mod batch_job;
mod beside;
mod certificate;
mod config_map;
mod daemon_set;
mod deployment;
mod horizontal_pod_autoscaler;
mod issuer;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod placement;
mod pod;
mod pod_disruption_budget;
mod pod_event;
mod replica_set;
mod requirement;
mod secret;
mod selector;
mod stateful_set;
mod storage_class;
mod template;
mod tls_secret;

use nimbus_protocol::kind::Body;

pub use batch_job::BatchJob;
pub use beside::{KeepsAway, Spread, StaysWith};
pub use certificate::{Certificate, Issued};
pub use config_map::ConfigMap;
pub use daemon_set::DaemonSet;
pub use deployment::{Deployment, Rollout};
pub use horizontal_pod_autoscaler::{AutoscalerMetric, AutoscalerState, HorizontalPodAutoscaler};
pub use issuer::{ClusterIssuer, Issuer};
pub use node::{Node, NodeFacts, Taint};
pub use persistent_volume::PersistentVolume;
pub use persistent_volume_claim::PersistentVolumeClaim;
pub use placement::{Placement, Toleration};
pub use pod::{Begun, Container, Pod, PodFacts};
pub use pod_disruption_budget::PodDisruptionBudget;
pub use pod_event::PodEvent;
pub use replica_set::ReplicaSet;
pub use requirement::Requirement;
pub use secret::Secret;
pub use selector::Selector;
pub use stateful_set::StatefulSet;
pub use storage_class::StorageClass;
pub use template::TemplateFact;
pub use tls_secret::TlsSecret;

/// Cuts what is too long in an object from the wire; false where it cannot be kept at all.
pub(super) fn bound(body: &mut Body) -> bool {
    match body {
        Body::Pod(pod) => pod::bound(pod),
        Body::ReplicaSet(set) => replica_set::bound(set),
        Body::Deployment(deployment) => deployment::bound(deployment),
        Body::Node(node) => node::bound(node),
        Body::StatefulSet(set) => stateful_set::bound(set),
        Body::DaemonSet(set) => daemon_set::bound(set),
        Body::BatchJob(job) => batch_job::bound(job),
        Body::PodEvent(event) => pod_event::bound(event),
        Body::ConfigMap(map) => config_map::bound(map),
        Body::Secret(secret) => secret::bound(secret),
        Body::PersistentVolumeClaim(claim) => persistent_volume_claim::bound(claim),
        Body::PersistentVolume(volume) => persistent_volume::bound(volume),
        Body::PodDisruptionBudget(budget) => pod_disruption_budget::bound(budget),
        Body::StorageClass(class) => storage_class::bound(class),
        Body::HorizontalPodAutoscaler(told) => horizontal_pod_autoscaler::bound(told),
        Body::Certificate(told) => certificate::bound(told),
        Body::TlsSecret(told) => tls_secret::bound(told),
        Body::Issuer(told) | Body::ClusterIssuer(told) => issuer::bound(told),
        Body::Gone(_)
        | Body::Sync(_)
        | Body::Host(_)
        | Body::File(_)
        | Body::Units(_)
        | Body::CertificateFiles(_)
        | Body::AgentStatus(_)
        | Body::NodeMeasured(_)
        | Body::WorkloadLoad(_) => true,
    }
}
