//! References to the object that an incident, a plan or a job is about, and to the workload that it belongs to.

use std::fmt;

use nimbus_protocol::ids::AgentId;
use serde::{Deserialize, Serialize};

/// A Kubernetes object. One with the same name and another UID is another object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KubeRef {
    /// API group; empty for the core group, and where it is not known.
    pub group: String,
    /// API version, for example `v1`; empty where it is not known.
    pub version: String,
    /// Kind, for example `Pod`.
    pub kind: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl KubeRef {
    /// The object of this `apiVersion` (`apps/v1`, or `v1` for the core group).
    pub fn new(api_version: &str, kind: &str, namespace: &str, name: &str, uid: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let [group, version, kind, namespace, name, uid] =
            [group, version, kind, namespace, name, uid].map(str::to_owned);
        Self { group, version, kind, namespace, name, uid }
    }
}

impl fmt::Display for KubeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.to_lowercase();
        match self.namespace.as_str() {
            "" => write!(f, "{kind}/{}", self.name),
            namespace => write!(f, "{namespace}/{kind}/{}", self.name),
        }
    }
}

/// What an incident or a plan is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ObjectRef {
    /// A Kubernetes object.
    Kubernetes(KubeRef),
    /// A file on a host.
    File {
        /// Absolute path.
        path: String,
    },
    /// A unit of a host's systemd.
    Unit {
        /// Its whole name, for example `nginx.service`.
        name: String,
    },
    /// A host.
    Host {
        /// The agent on it.
        agent: AgentId,
        /// The agent's name.
        name: String,
    },
    /// A whole cluster.
    Cluster {
        /// UID of its kube-system namespace.
        uid: String,
        /// The operator's name for it.
        name: String,
    },
    /// A resource of infrastructure as code.
    Resource {
        /// Its address, for example `aws_instance.web`.
        address: String,
    },
}

impl ObjectRef {
    /// The Kubernetes kind, or `File`, `Unit`, `Host`, `Cluster`, `Resource`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Kubernetes(object) => &object.kind,
            Self::File { .. } => "File",
            Self::Unit { .. } => "Unit",
            Self::Host { .. } => "Host",
            Self::Cluster { .. } => "Cluster",
            Self::Resource { .. } => "Resource",
        }
    }

    /// The namespace; empty for everything that has none.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Kubernetes(object) => &object.namespace,
            Self::File { .. }
            | Self::Unit { .. }
            | Self::Host { .. }
            | Self::Cluster { .. }
            | Self::Resource { .. } => "",
        }
    }

    /// The name, the path or the address.
    pub fn name(&self) -> &str {
        match self {
            Self::Kubernetes(object) => &object.name,
            Self::File { path } => path,
            Self::Unit { name } | Self::Host { name, .. } | Self::Cluster { name, .. } => name,
            Self::Resource { address } => address,
        }
    }

    /// The UID of a Kubernetes object or cluster; empty for everything else.
    pub fn uid(&self) -> &str {
        match self {
            Self::Kubernetes(object) => &object.uid,
            Self::Cluster { uid, .. } => uid,
            Self::File { .. } | Self::Unit { .. } | Self::Host { .. } | Self::Resource { .. } => "",
        }
    }

    /// What tells it from every other object of the same cluster or host: the UID, or else the name.
    pub fn identity(&self) -> &str {
        if self.uid().is_empty() { self.name() } else { self.uid() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes(object) => object.fmt(f),
            Self::File { path } => f.write_str(path),
            Self::Unit { name } => f.write_str(name),
            Self::Resource { address } => f.write_str(address),
            Self::Host { .. } | Self::Cluster { .. } => {
                write!(f, "{}/{}", self.kind().to_lowercase(), self.name())
            }
        }
    }
}

/// What makes the pods that an incident is about, and makes them again. Attempts are counted on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "workload", rename_all = "snake_case")]
pub enum Workload {
    /// A Deployment, by way of its ReplicaSets.
    Deployment(KubeRef),
    /// A StatefulSet.
    StatefulSet(KubeRef),
    /// A DaemonSet.
    DaemonSet(KubeRef),
    /// A Job, of a CronJob or not.
    Job(KubeRef),
    /// A CronJob, by way of its Jobs.
    CronJob(KubeRef),
    /// Nothing: the pod itself. Nobody would make another one.
    Bare(KubeRef),
    /// Another controller: an operator's resource, a ReplicaSet of no known Deployment, or a kind from a group that is
    /// not the usual one.
    Other(KubeRef),
}

impl Workload {
    /// The workload that an object is, by its group and kind.
    pub fn of(object: KubeRef) -> Self {
        match (object.group.as_str(), object.kind.as_str()) {
            ("apps", "Deployment") => Self::Deployment(object),
            ("apps", "StatefulSet") => Self::StatefulSet(object),
            ("apps", "DaemonSet") => Self::DaemonSet(object),
            ("batch", "Job") => Self::Job(object),
            ("batch", "CronJob") => Self::CronJob(object),
            ("", "Pod") => Self::Bare(object),
            _ => Self::Other(object),
        }
    }

    /// The object itself.
    pub fn object(&self) -> &KubeRef {
        match self {
            Self::Deployment(object)
            | Self::StatefulSet(object)
            | Self::DaemonSet(object)
            | Self::Job(object)
            | Self::CronJob(object)
            | Self::Bare(object)
            | Self::Other(object) => object,
        }
    }

    /// The object's UID.
    pub fn uid(&self) -> &str {
        &self.object().uid
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_known_by_its_group_and_not_by_its_kind_alone() {
        let of = |api_version, kind| Workload::of(KubeRef::new(api_version, kind, "shop", "web", "u"));
        assert!(matches!(of("apps/v1", "Deployment"), Workload::Deployment(_)));
        assert!(matches!(of("batch/v1", "CronJob"), Workload::CronJob(_)));
        assert!(matches!(of("v1", "Pod"), Workload::Bare(_)));
        for other in
            [("argoproj.io/v1alpha1", "Rollout"), ("example.org/v1", "Deployment"), ("", "StatefulSet")]
        {
            assert!(matches!(of(other.0, other.1), Workload::Other(_)), "{other:?}");
        }
    }

    #[test]
    fn every_reference_survives_json_and_names_itself() {
        let agent = AgentId::from(uuid::Uuid::from_u128(1));
        let all = [
            (ObjectRef::Kubernetes(KubeRef::new("v1", "Node", "", "node-a", "u")), "node/node-a", "u"),
            (ObjectRef::Kubernetes(KubeRef::new("v1", "Pod", "shop", "web", "u")), "shop/pod/web", "u"),
            (ObjectRef::File { path: "/etc/a".into() }, "/etc/a", "/etc/a"),
            (ObjectRef::Unit { name: "web.service".into() }, "web.service", "web.service"),
            (ObjectRef::Host { agent, name: "db".into() }, "host/db", "db"),
            (ObjectRef::Cluster { uid: "c".into(), name: "prod".into() }, "cluster/prod", "c"),
            (ObjectRef::Resource { address: "aws_vpc.main".into() }, "aws_vpc.main", "aws_vpc.main"),
        ];
        for (object, text, identity) in all {
            let json = serde_json::to_string(&object).unwrap();
            assert_eq!(serde_json::from_str::<ObjectRef>(&json).unwrap(), object);
            assert_eq!((object.to_string().as_str(), object.identity()), (text, identity));
        }
    }
}
