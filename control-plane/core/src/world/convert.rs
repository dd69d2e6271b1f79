//! From the wire to the inventory's objects.

use jiff::Timestamp;
use nimbus_protocol::{from_micros, v1};

use super::objects::{Container, Deployment, Meta, Node, Pod, ReplicaSet};
use crate::audit::to_hex;

fn at(micros: i64) -> Option<Timestamp> {
    (micros != 0).then(|| from_micros(micros))
}

impl From<v1::ObjectMeta> for Meta {
    fn from(m: v1::ObjectMeta) -> Self {
        Self {
            uid: m.uid,
            namespace: m.namespace,
            name: m.name,
            created_at: at(m.created_at_us),
            deleting: m.deleting_since_us != 0,
            owner_kind: m.owner_kind,
            owner_name: m.owner_name,
            owner_uid: m.owner_uid,
        }
    }
}

impl From<v1::Pod> for Pod {
    fn from(p: v1::Pod) -> Self {
        let container = |c: v1::Container| Container {
            name: c.name,
            image: c.image,
            ready: c.ready,
            restarts: c.restart_count,
            state: c.state,
            reason: c.reason,
            last_reason: c.last_reason,
            last_exit_code: c.last_exit_code,
        };
        Self {
            meta: p.meta.unwrap_or_default().into(),
            node: p.node,
            phase: p.phase,
            ready: p.ready,
            ready_since: at(p.ready_since_us),
            containers: p.containers.into_iter().map(container).collect(),
            unschedulable: p.unschedulable,
        }
    }
}

impl From<v1::ReplicaSet> for ReplicaSet {
    fn from(r: v1::ReplicaSet) -> Self {
        Self {
            meta: r.meta.unwrap_or_default().into(),
            revision: r.revision,
            replicas: r.replicas,
            ready_replicas: r.ready_replicas,
            template_hash: to_hex(&r.template_hash),
            images: r.images,
        }
    }
}

impl From<v1::Deployment> for Deployment {
    fn from(d: v1::Deployment) -> Self {
        Self {
            meta: d.meta.unwrap_or_default().into(),
            generation: d.generation,
            observed_generation: d.observed_generation,
            desired: d.desired,
            updated: d.updated,
            ready: d.ready,
            available: d.available,
            paused: d.paused,
            revision: d.revision,
            template_hash: to_hex(&d.template_hash),
            images: d.images,
            progressing: d.progressing_status,
            progressing_reason: d.progressing_reason,
            progressing_message: d.progressing_message,
            manager: d.manager,
            manager_evidence: d.manager_evidence,
        }
    }
}

impl From<v1::Node> for Node {
    fn from(n: v1::Node) -> Self {
        Self {
            meta: n.meta.unwrap_or_default().into(),
            ready: n.ready,
            ready_reason: n.ready_reason,
            ready_since: at(n.ready_since_us),
            unschedulable: n.unschedulable,
            control_plane: n.control_plane,
            cordoned_by: n.cordoned_by,
        }
    }
}
