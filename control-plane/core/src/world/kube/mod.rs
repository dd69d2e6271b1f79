//! The kinds of Kubernetes objects as the inventory keeps them, one file each: what is kept, how it is read from the
//! wire, how long its texts may be, and what its fields mean by themselves.
//!
//! Adding a kind is a file here, and the lines that the compiler then asks for in this file and in the inventory.

mod deployment;
mod node;
mod pod;
mod replica_set;

use nimbus_protocol::ObjectKind;

pub use deployment::{Deployment, Rollout};
pub use node::Node;
pub use pod::{Container, Pod};
pub use replica_set::ReplicaSet;

/// Group and version of a kind.
pub fn api_version(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Pod | ObjectKind::Node => "v1",
        ObjectKind::ReplicaSet | ObjectKind::Deployment => "apps/v1",
    }
}

/// Cuts what is too long in an object from the wire; false where it cannot be kept at all.
pub(super) fn bound(body: &mut nimbus_protocol::kind::Body) -> bool {
    use nimbus_protocol::kind::Body;
    match body {
        Body::Pod(pod) => pod::bound(pod),
        Body::ReplicaSet(set) => replica_set::bound(set),
        Body::Deployment(deployment) => deployment::bound(deployment),
        Body::Node(node) => node::bound(node),
        Body::Gone(_) | Body::Sync(_) | Body::Host(_) | Body::File(_) | Body::AgentStatus(_) => true,
    }
}
