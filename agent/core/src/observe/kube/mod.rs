//! Slim Kubernetes objects: only the fields that an observation needs are deserialised. Unknown fields, environment
//! values, arguments and all other annotations are skipped without being built; of `managedFields` who wrote a pod template.
//!
//! Each kind is a file of its own; it decides what leaves the cluster of such an object. The daemon lists and watches,
//! and [`super::seen`] notices what is gone.

mod batch_job;
#[cfg(test)]
mod begun_tests;
mod beside;
mod certificate;
mod config_map;
mod daemon_set;
mod deployment;
mod facts;
pub mod held;
mod horizontal_pod_autoscaler;
mod issuer;
mod labels;
pub mod load;
mod marks;
mod meta;
mod node;
mod owners;
mod persistent_volume;
mod persistent_volume_claim;
mod placement;
mod pod;
pub mod pod_asks;
mod pod_disruption_budget;
mod pod_event;
mod replica_set;
mod secret;
mod selector;
mod spec;
mod stateful_set;
mod storage_class;
mod template;
#[cfg(test)]
mod tests;
mod tls_secret;

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use batch_job::SlimJob;
pub use certificate::{CERT_MANAGER, SlimCertificate};
pub use config_map::SlimConfigMap;
pub use daemon_set::SlimDaemonSet;
pub use deployment::SlimDeployment;
pub use facts::set_redaction_key;
pub use horizontal_pod_autoscaler::SlimHorizontalPodAutoscaler;
pub use issuer::{SlimClusterIssuer, SlimIssuer};
pub use meta::{RAISED_MAXIMUM, SlimMeta, raised_maximum};
pub use node::SlimNode;
pub use persistent_volume::SlimPersistentVolume;
pub use persistent_volume_claim::SlimPersistentVolumeClaim;
pub use pod::SlimPod;
pub use pod_disruption_budget::SlimPodDisruptionBudget;
pub use pod_event::SlimPodEvent;
pub use replica_set::SlimReplicaSet;
pub use secret::SlimSecret;
pub use stateful_set::SlimStatefulSet;
pub use storage_class::SlimStorageClass;
pub use template::{Template, template_hash};
pub use tls_secret::SlimTlsSecret;

/// A kind of object that is watched.
pub trait Slim: DeserializeOwned + Clone + Send + Sync + std::fmt::Debug + 'static {
    /// Which kind it is.
    const KIND: ObjectKind;
    /// Collection in all namespaces, for example `/api/v1/pods`.
    const PATH: &'static str;

    /// Metadata.
    fn meta(&self) -> &SlimMeta;

    /// The observation of it: all that leaves the cluster.
    fn observe(&self) -> v1::observation::Body;

    /// The observation that it is gone.
    fn gone(&self) -> v1::Gone {
        let meta = self.meta();
        v1::Gone {
            kind: Self::KIND.as_str().to_owned(),
            uid: meta.uid.clone(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub struct SlimList<T> {
    /// Where to go on, and the version listed.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The objects of this page.
    #[serde(default = "Vec::new", deserialize_with = "null_is_empty")]
    pub items: Vec<T>,
}

/// A list's own metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListMeta {
    /// Watch from here.
    pub resource_version: String,
    /// The next page; empty at the end.
    #[serde(rename = "continue")]
    pub continue_token: String,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A condition of an object's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    of: String,
    status: String,
    reason: String,
    message: String,
    last_transition_time: Option<String>,
}

fn condition<'a>(all: &'a [Condition], of: &str) -> Option<&'a Condition> {
    all.iter().find(|c| c.of == of)
}

/// Microseconds of an RFC 3339 time; 0 when absent or unreadable, which reads as unknown.
fn micros(time: Option<&String>) -> i64 {
    time.and_then(|t| t.parse::<jiff::Timestamp>().ok()).map_or(0, nimbus_protocol::to_micros)
}

/// A count from the API, which is signed there and never negative.
fn count(value: Option<i64>) -> u32 {
    value.and_then(|v| u32::try_from(v).ok()).unwrap_or(0)
}
