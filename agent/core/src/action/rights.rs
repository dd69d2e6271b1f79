//! The RBAC rights that an agent needs on the Kubernetes API, derived from the kinds that it watches and the actions
//! that it may take.
//!
//! The ClusterRole and the table in the documents are both made from this, so that neither can forget an action.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use nimbus_protocol::{ActionKind, ObjectKind};

use super::{Permission, permissions};

/// Group and plural of a watched kind.
fn resource(kind: ObjectKind) -> (&'static str, &'static str) {
    match kind {
        ObjectKind::Pod => ("", "pods"),
        ObjectKind::Node => ("", "nodes"),
        ObjectKind::ReplicaSet => ("apps", "replicasets"),
        ObjectKind::Deployment => ("apps", "deployments"),
        ObjectKind::StatefulSet => ("apps", "statefulsets"),
        ObjectKind::DaemonSet => ("apps", "daemonsets"),
        ObjectKind::BatchJob => ("batch", "jobs"),
        ObjectKind::PodEvent => ("", "events"),
        ObjectKind::ConfigMap => ("", "configmaps"),
        ObjectKind::Secret | ObjectKind::TlsSecret => ("", "secrets"),
        ObjectKind::PersistentVolumeClaim => ("", "persistentvolumeclaims"),
        ObjectKind::PersistentVolume => ("", "persistentvolumes"),
        ObjectKind::PodDisruptionBudget => ("policy", "poddisruptionbudgets"),
        ObjectKind::StorageClass => ("storage.k8s.io", "storageclasses"),
        ObjectKind::HorizontalPodAutoscaler => ("autoscaling", "horizontalpodautoscalers"),
        ObjectKind::Certificate => ("cert-manager.io", "certificates"),
        ObjectKind::Issuer => ("cert-manager.io", "issuers"),
        ObjectKind::ClusterIssuer => ("cert-manager.io", "clusterissuers"),
    }
}

/// Does an agent do without the right to watch this kind, so that lacking it is no problem? The right to watch Secrets is the
/// right to read them, as RBAC knows no metadata; whoever gives it gets one more thing that tells why pods fail.
pub fn is_optional(kind: ObjectKind) -> bool {
    match kind {
        ObjectKind::Secret | ObjectKind::TlsSecret => true,
        ObjectKind::Pod
        | ObjectKind::Node
        | ObjectKind::ReplicaSet
        | ObjectKind::Deployment
        | ObjectKind::StatefulSet
        | ObjectKind::DaemonSet
        | ObjectKind::BatchJob
        | ObjectKind::PodEvent
        | ObjectKind::ConfigMap
        | ObjectKind::PersistentVolumeClaim
        | ObjectKind::PersistentVolume
        | ObjectKind::PodDisruptionBudget
        | ObjectKind::StorageClass
        | ObjectKind::HorizontalPodAutoscaler
        | ObjectKind::Certificate
        | ObjectKind::Issuer
        | ObjectKind::ClusterIssuer => false,
    }
}

/// Is this a kind that a cluster has only where somebody installed what defines it? Where the API server knows no such kind there
/// is no object of it, which is an answer, and no fault.
pub fn is_of_an_extension(kind: ObjectKind) -> bool {
    match kind {
        ObjectKind::Certificate | ObjectKind::Issuer | ObjectKind::ClusterIssuer => true,
        ObjectKind::Secret
        | ObjectKind::TlsSecret
        | ObjectKind::Pod
        | ObjectKind::Node
        | ObjectKind::ReplicaSet
        | ObjectKind::Deployment
        | ObjectKind::StatefulSet
        | ObjectKind::DaemonSet
        | ObjectKind::BatchJob
        | ObjectKind::PodEvent
        | ObjectKind::ConfigMap
        | ObjectKind::PersistentVolumeClaim
        | ObjectKind::PersistentVolume
        | ObjectKind::PodDisruptionBudget
        | ObjectKind::StorageClass
        | ObjectKind::HorizontalPodAutoscaler => false,
    }
}

/// The right to watch a kind.
fn watch(kind: ObjectKind) -> Permission {
    let (group, resource) = resource(kind);
    Permission { group, resource, verbs: &["get", "list", "watch"] }
}

/// What an agent of a cluster does without, unless somebody gives it.
pub fn to_watch_where_given() -> Vec<Permission> {
    ObjectKind::ALL.iter().copied().filter(|kind| is_optional(*kind)).map(watch).collect()
}

/// What every agent of a cluster needs, whatever it may do: what for, and the right.
pub fn to_watch() -> Vec<(&'static str, Permission)> {
    let needed = ObjectKind::ALL.iter().copied().filter(|kind| !is_optional(*kind));
    let mut all: Vec<_> = needed.map(|kind| ("watch", watch(kind))).collect();
    all.push(("know which cluster it is", Permission { group: "", resource: "namespaces", verbs: &["get"] }));
    let leases =
        Permission { group: "coordination.k8s.io", resource: "leases", verbs: &["create", "get", "update"] };
    all.push(("elect one watcher", leases));
    let measured = Permission { group: "", resource: "nodes/stats", verbs: &["get"] };
    all.push(("ask the own node's kubelet what it measured", measured));
    let metrics = Permission { group: "metrics.k8s.io", resource: "pods", verbs: &["list"] };
    all.push(("know how busy the workloads are that ask to be scaled out", metrics));
    all
}

/// A ClusterRole, as YAML, that lets an agent watch and take `actions`.
pub fn cluster_role(name: &str, actions: &[ActionKind]) -> String {
    let mut verbs: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let acting = actions.iter().flat_map(|kind| permissions(*kind).iter().copied());
    for permission in to_watch().into_iter().map(|(_, permission)| permission).chain(acting) {
        verbs.entry((permission.group, permission.resource)).or_default().extend(permission.verbs);
    }
    let mut yaml = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\nrules:\n"
    );
    for ((group, resource), verbs) in verbs {
        let verbs: Vec<&str> = verbs.into_iter().collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            yaml,
            "  - apiGroups: [{group:?}]\n    resources: [{resource:?}]\n    verbs: [{}]",
            verbs.join(", ")
        );
    }
    yaml
}

/// The page of the documents.
pub fn page() -> String {
    let mut page = String::from(
        "# What an agent needs in a cluster\n\n\
         Made from the kinds that an agent watches and from each action's own rights; a test compares this page with \
         them. Of ConfigMaps an agent asks for the metadata alone. A right to watch that it lacks is said in `nimbus status`; \
         what needs that kind is unknown then, and everything else goes on.\n\nThe right to get, list and watch `secrets` is \
         none of these. Where it is given, an agent asks for the metadata of Secrets alone (where `kubectl apply` made \
         one, an annotation there has its content: the agent neither keeps nor sends it), so that a pod that fails after a Secret was rotated is not blamed on its node, and a person reads which Secret was written, by whom and when. \
         Without it that is unknown, no node is held back for a pod that refers to a Secret, and nothing else changes. An agent with \
         `--tls-secrets` reads those of type kubernetes.io/tls whole, of which it decodes the certificate alone; it does so nowhere else. RBAC \
         knows no right to metadata alone: whoever has this one may read Secrets.\n\n| to | verbs | on |\n|---|---|---|\n",
    );
    let mut row = |to: &str, permission: &Permission| {
        let group =
            if permission.group.is_empty() { String::new() } else { format!(".{}", permission.group) };
        let verbs = permission.verbs.join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {to} | {verbs} | {}{group} |", permission.resource);
    };
    for (to, permission) in to_watch() {
        row(to, &permission);
    }
    for kind in ActionKind::ALL {
        for permission in permissions(*kind) {
            row(&format!("`{kind}`"), permission);
        }
    }
    let role = cluster_role("nimbus-agent", ActionKind::ALL);
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "\nA ClusterRole with all of it; leave out what no allowed action needs:\n\n```yaml\n{role}```\n"
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_only_watches_may_change_nothing() {
        let role = cluster_role("watcher", &[]);
        for verb in ["patch", "delete"] {
            assert!(!role.contains(verb), "{role}");
        }
        assert!(!role.contains("pods/eviction"));
        assert!(cluster_role("healer", &[ActionKind::RestartPod]).contains("pods/eviction"));
    }
}
