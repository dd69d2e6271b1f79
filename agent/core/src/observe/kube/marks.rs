//! The marks by which other tools and people say that they are at work on a node, as data.
//!
//! A node that carries one is theirs: it is neither held back nor counted on as a place for new pods. Listed are marks that
//! are there while the work goes on; a mark that stays afterwards has the values that mean rest.

use std::collections::BTreeMap;

use nimbus_protocol::v1;

/// Where on a node a mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Taint,
    Annotation,
    Label,
}

struct Mark {
    tool: &'static str,
    at: At,
    /// The whole key, or with a `*` at the end its beginning.
    key: &'static str,
    /// With one of these values it says that nothing is going on.
    at_rest: &'static [&'static str],
}

const fn mark(tool: &'static str, at: At, key: &'static str, at_rest: &'static [&'static str]) -> Mark {
    Mark { tool, at, key, at_rest }
}

/// Most marks that are told of one node.
const MOST: usize = 16;

const MARKS: &[Mark] = &[
    mark("kured", At::Annotation, "weave.works/kured-reboot-in-progress", &[]),
    mark("kured", At::Annotation, "kured.dev/reboot-in-progress", &[]),
    mark("kured", At::Taint, "weave.works/kured-node-reboot", &[]),
    mark("kured", At::Taint, "kured.dev/*", &[]),
    mark("kured", At::Label, "kured", &["", "done", "idle", "false"]),
    mark("cluster autoscaler", At::Taint, "ToBeDeletedByClusterAutoscaler", &[]),
    mark("cluster autoscaler", At::Taint, "DeletionCandidateOfClusterAutoscaler", &[]),
    mark("Karpenter", At::Taint, "karpenter.sh/*", &[]),
    mark("Karpenter", At::Annotation, "karpenter.sh/do-not-disrupt", &["false"]),
    mark("draino", At::Annotation, "draino/*", &[]),
    mark("draino", At::Label, "draino/*", &[]),
    mark("draino", At::Taint, "node-lifecycle", &[]),
    mark("draino", At::Taint, "draino/*", &[]),
    mark("an interruption handler", At::Taint, "aws-node-termination-handler/*", &[]),
    mark("an interruption handler", At::Label, "aws-node-termination-handler/*", &[]),
    mark("an interruption handler", At::Taint, "cloud.google.com/impending-node-termination", &[]),
    mark("an interruption handler", At::Taint, "kubernetes.azure.com/scheduledevent*", &[]),
    mark(
        "an upgrade (machine config operator)",
        At::Annotation,
        "machineconfiguration.openshift.io/state",
        &["Done"],
    ),
    mark(
        "an upgrade (Flatcar)",
        At::Annotation,
        "flatcar-linux-update.v1.flatcar-linux.net/reboot-in-progress",
        &["false"],
    ),
    mark(
        "an upgrade (Flatcar)",
        At::Annotation,
        "flatcar-linux-update.v1.flatcar-linux.net/reboot-needed",
        &["false"],
    ),
    mark("an upgrade (Rancher)", At::Taint, "upgrade.cattle.io/*", &[]),
    mark("an upgrade (Rancher)", At::Annotation, "rke.cattle.io/pre-drain", &[]),
    mark("an upgrade (Talos)", At::Annotation, "talos.dev/upgrade-in-progress", &["false"]),
    mark("an upgrade (Cluster API)", At::Taint, "node.cluster.x-k8s.io/*", &[]),
    mark("an upgrade (GPU driver)", At::Label, "nvidia.com/gpu-driver-upgrade-state", &["upgrade-done"]),
    mark("the machine controller", At::Taint, "deployment.machine.sapcloud.io/*", &[]),
    mark(
        "the machine controller",
        At::Annotation,
        "node.machine.sapcloud.io/trigger-deletion-by-mcm",
        &["false"],
    ),
    mark("node maintenance", At::Taint, "medik8s.io/*", &[]),
    mark("node maintenance", At::Taint, "kubevirt.io/drain", &[]),
    mark("node maintenance", At::Taint, "node.kubernetes.io/out-of-service", &[]),
    mark("node maintenance", At::Taint, "node.cloudprovider.kubernetes.io/*", &[]),
];

/// The marks that are on a node, each in words, in the table's order; at most [`MOST`].
pub(super) fn of(
    taints: &[v1::Taint],
    annotations: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut found = Vec::new();
    for mark in MARKS {
        let (what, on_node) = match mark.at {
            At::Taint => ("taint", pairs(mark, taints.iter().map(|t| (&t.key, &t.value)))),
            At::Annotation => ("annotation", pairs(mark, annotations.iter())),
            At::Label => ("label", pairs(mark, labels.iter())),
        };
        found.extend(on_node.into_iter().map(|key| format!("{}: {what} {key}", mark.tool)));
    }
    found.truncate(MOST);
    found
}

fn pairs<'a>(mark: &Mark, all: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<&'a str> {
    let matches = |key: &str| match mark.key.strip_suffix('*') {
        Some(begin) => key.starts_with(begin),
        None => key == mark.key,
    };
    let at_work = all.filter(|(key, value)| matches(key) && !mark.at_rest.contains(&value.as_str()));
    at_work.map(|(key, _)| key.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(at: At, key: &str, value: &str) -> Vec<String> {
        let one = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let none = BTreeMap::new();
        match at {
            At::Taint => {
                let taint = v1::Taint { key: key.into(), value: value.into(), effect: "NoSchedule".into() };
                of(&[taint], &none, &none)
            }
            At::Annotation => of(&[], &one, &none),
            At::Label => of(&[], &none, &one),
        }
    }

    #[test]
    fn whoever_is_at_work_on_a_node_is_named_with_the_mark() {
        for (at, key, value, tool) in [
            (At::Annotation, "weave.works/kured-reboot-in-progress", "2026-01-02T03:04:05Z", "kured"),
            (At::Taint, "ToBeDeletedByClusterAutoscaler", "1800000000", "cluster autoscaler"),
            (At::Taint, "DeletionCandidateOfClusterAutoscaler", "1800000000", "cluster autoscaler"),
            (At::Taint, "karpenter.sh/disrupted", "", "Karpenter"),
            (At::Annotation, "karpenter.sh/do-not-disrupt", "true", "Karpenter"),
            (At::Annotation, "draino/drain-retry", "true", "draino"),
            (At::Annotation, "machineconfiguration.openshift.io/state", "Working", "an upgrade"),
            (At::Label, "nvidia.com/gpu-driver-upgrade-state", "pod-restart-required", "an upgrade"),
        ] {
            let found = on(at, key, value);
            assert_eq!(found.len(), 1, "{key}");
            assert!(found[0].starts_with(tool) && found[0].contains(key), "{found:?}");
        }
    }

    #[test]
    fn what_is_at_rest_or_says_nothing_of_work_is_no_mark() {
        for (at, key, value) in [
            (At::Annotation, "machineconfiguration.openshift.io/state", "Done"),
            (At::Label, "nvidia.com/gpu-driver-upgrade-state", "upgrade-done"),
            (At::Annotation, "weave.works/kured-most-recent-reboot-needed", "2026-01-02T03:04:05Z"),
            (At::Annotation, "karpenter.sh/do-not-disrupt", "false"),
            (At::Label, "karpenter.sh/nodepool", "default"),
            (At::Taint, "nvidia.com/gpu", "present"),
            (At::Taint, super::super::held::KEY, "job_1.1800000000"),
        ] {
            assert_eq!(on(at, key, value), Vec::<String>::new(), "{key}={value}");
        }
    }
}
