//! The kinds of Kubernetes objects that agents watch, as one list from which all other crates take their names.
//!
//! Each kind is a message of its own in `proto/nimbus/v1/kind/`. Adding one is that file, a line in the `oneof` of
//! `observation.proto`, and a line here; a room that does not name it then fails to compile.

use crate::v1::ObjectMeta;
pub use crate::v1::observation::Body;

/// The word of the watched files of a host, where a listing of them is bracketed by `SyncMark`.
pub const FILES: &str = "File";

/// Most labels, and most taints, that an agent tells of one node. One with so many may have more: whether a pod fits there is
/// not known.
pub const MOST_OF_A_NODE: usize = 256;

/// Most labels that an agent tells of one pod. Of one with more they are not complete, and are said not to be.
pub const MOST_LABELS: usize = 64;

/// Most tolerations that an agent tells of one pod. One with so many may have more: which taints it tolerates is not known.
pub const MOST_TOLERATIONS: usize = 64;

/// Most pods of a namespace that an agent reads again before it holds a node for one of them. With more, none is held.
pub const MOST_NEIGHBOURS: usize = 10_000;

/// The key of the taint by which Nimbus holds a node back for the replacement of a pod; its value names the job.
pub const HELD: &str = "nimbus.dev/held";

/// The effect of that taint: pods that run on the node stay.
pub const HELD_EFFECT: &str = "NoSchedule";

/// How an agent names required pod anti-affinity among the other conditions of a pod's placement. Where it tells the terms as
/// well, those are what counts.
pub const ANTI_AFFINITY: &str = "required pod anti-affinity";

/// What agents describe of a pod's placement beside the node's own labels, taints and room, and control planes judge.
pub const DESCRIBED: [&str; 4] = ["claims", "stays_with", "spread", "keeps_away"];

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        crate::words! {
            /// A kind of Kubernetes object.
            ObjectKind { $($(#[$doc])* $name = $word,)* }
        }

        impl Body {
            /// Which kind of Kubernetes object this is; `None` for everything that is none.
            pub fn object_kind(&self) -> Option<ObjectKind> {
                match self {
                    $(Self::$name(_) => Some(ObjectKind::$name),)*
                    Self::Gone(_)
                    | Self::Sync(_)
                    | Self::Host(_)
                    | Self::File(_)
                    | Self::AgentStatus(_)
                    | Self::Units(_)
                    | Self::NodeMeasured(_)
                    | Self::WorkloadLoad(_)
                    | Self::CertificateFiles(_) => None,
                }
            }

            /// The metadata of a Kubernetes object; `None` for everything else, and where the object has none.
            pub fn meta(&self) -> Option<&ObjectMeta> {
                match self {
                    $(Self::$name(object) => object.meta.as_ref(),)*
                    Self::Gone(_)
                    | Self::Sync(_)
                    | Self::Host(_)
                    | Self::File(_)
                    | Self::AgentStatus(_)
                    | Self::Units(_)
                    | Self::NodeMeasured(_)
                    | Self::WorkloadLoad(_)
                    | Self::CertificateFiles(_) => None,
                }
            }

            /// The same, to be changed.
            pub fn meta_mut(&mut self) -> Option<&mut ObjectMeta> {
                match self {
                    $(Self::$name(object) => object.meta.as_mut(),)*
                    Self::Gone(_)
                    | Self::Sync(_)
                    | Self::Host(_)
                    | Self::File(_)
                    | Self::AgentStatus(_)
                    | Self::Units(_)
                    | Self::NodeMeasured(_)
                    | Self::WorkloadLoad(_)
                    | Self::CertificateFiles(_) => None,
                }
            }
        }
    };
}

kinds! {
    /// A pod.
    Pod = "Pod",
    /// A ReplicaSet.
    ReplicaSet = "ReplicaSet",
    /// A Deployment.
    Deployment = "Deployment",
    /// A node.
    Node = "Node",
    /// A StatefulSet.
    StatefulSet = "StatefulSet",
    /// A DaemonSet.
    DaemonSet = "DaemonSet",
    /// A Job of Kubernetes: one run, of a CronJob or not.
    BatchJob = "Job",
    /// An Event about a pod whose volumes cannot be mounted.
    PodEvent = "Event",
    /// A ConfigMap, without its content.
    ConfigMap = "ConfigMap",
    /// A Secret, without its content.
    Secret = "Secret",
    /// A PersistentVolumeClaim.
    PersistentVolumeClaim = "PersistentVolumeClaim",
    /// A PersistentVolume.
    PersistentVolume = "PersistentVolume",
    /// A PodDisruptionBudget.
    PodDisruptionBudget = "PodDisruptionBudget",
    /// A StorageClass.
    StorageClass = "StorageClass",
    /// A HorizontalPodAutoscaler.
    HorizontalPodAutoscaler = "HorizontalPodAutoscaler",
    /// A Certificate of cert-manager.
    Certificate = "Certificate",
    /// An Issuer of cert-manager, of one namespace.
    Issuer = "Issuer",
    /// A ClusterIssuer of cert-manager.
    ClusterIssuer = "ClusterIssuer",
    /// A Secret of type kubernetes.io/tls, with nothing but until when its certificate is valid.
    TlsSecret = "TlsSecret",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    #[test]
    fn an_object_knows_its_kind_and_its_metadata() {
        let meta = ObjectMeta { uid: "u".into(), ..Default::default() };
        let mut body = Body::Node(v1::Node { meta: Some(meta), ..Default::default() });
        assert_eq!(body.object_kind(), Some(ObjectKind::Node));
        body.meta_mut().unwrap().uid = "v".into();
        assert_eq!(body.meta().unwrap().uid, "v");
        let gone = Body::Gone(v1::Gone::default());
        assert!(gone.object_kind().is_none() && gone.meta().is_none());
        assert_eq!("Deployment".parse::<ObjectKind>().unwrap(), ObjectKind::Deployment);
        assert!("Widget".parse::<ObjectKind>().is_err());
    }
}
