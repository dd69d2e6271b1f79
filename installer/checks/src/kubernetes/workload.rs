//! The workloads of an installation: how many pods each wants, has and has ready, and what keeps it from making them.

use serde::Deserialize;

use super::warning::{Warning, newest};
use super::{Metadata, is_ours, items};
use crate::check::Gathered;

/// A Deployment, StatefulSet or DaemonSet of Nimbus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Has its controller looked at it as it is now? Until then the figures are of before.
    pub is_seen: bool,
    /// Pods that it is to have.
    pub wanted: u64,
    /// Pods that there are.
    pub made: u64,
    /// Those of them that are ready.
    pub ready: u64,
    /// What keeps it from making pods, as its conditions or the newest warning about it tell; empty: nothing is told.
    pub why: String,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    kind: String,
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(flatten)]
    common: Metadata,
    #[serde(default)]
    generation: i64,
}

#[derive(Deserialize, Default)]
struct Spec {
    replicas: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: u64,
    ready_replicas: u64,
    desired_number_scheduled: u64,
    current_number_scheduled: u64,
    number_ready: u64,
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    message: String,
}

/// Of `kubectl get deployments,statefulsets,daemonsets -o json`; those of others are left out.
pub fn workloads(printed: &[u8]) -> Gathered<Vec<Workload>> {
    let objects: Vec<Object> = items(printed, "kubectl get deployments,statefulsets,daemonsets -o json")?;
    Ok(objects.into_iter().filter(|object| is_ours(&object.metadata.common)).filter_map(workload).collect())
}

fn workload(object: Object) -> Option<Workload> {
    let Object { kind, metadata, spec, status } = object;
    let (wanted, made, ready) = match kind.as_str() {
        "DaemonSet" => {
            (status.desired_number_scheduled, status.current_number_scheduled, status.number_ready)
        }
        // Kubernetes' default of a number that is not given is 1.
        "Deployment" | "StatefulSet" => (spec.replicas.unwrap_or(1), status.replicas, status.ready_replicas),
        _ => return None,
    };
    let refused =
        status.conditions.into_iter().find(|one| one.kind == "ReplicaFailure" && one.status == "True");
    Some(Workload {
        kind,
        name: metadata.common.name,
        is_seen: status.observed_generation >= metadata.generation,
        wanted,
        made,
        ready,
        why: refused.map(|condition| condition.message).unwrap_or_default(),
    })
}

impl Workload {
    /// Has it fewer pods than it wants, and does nothing say why?
    pub fn is_unexplained(&self) -> bool {
        self.made < self.wanted && self.why.is_empty()
    }

    /// Takes the newest warning about it for the reason, where it needs one.
    pub fn explain(&mut self, warnings: &[Warning]) {
        if !self.is_unexplained() {
            return;
        }
        if let Some(newest) = newest(warnings, &self.kind, &self.name) {
            self.why.clone_from(&newest.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(list: &[Value]) -> Vec<Workload> {
        workloads(json!({"items": list}).to_string().as_bytes()).unwrap()
    }

    fn object(kind: &str, name: &str, spec: &Value, status: &Value) -> Value {
        let labels = json!({"app.kubernetes.io/part-of": "nimbus"});
        json!({"kind": kind, "metadata": {"name": name, "generation": 2, "labels": labels}, "spec": spec, "status": status})
    }

    #[test]
    fn each_kind_says_in_its_own_words_how_many_pods_it_wants_and_has() {
        let set = json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 1});
        let daemons = json!({"observedGeneration": 2, "desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3});
        let refused = json!({"observedGeneration": 2, "conditions": [
            {"type": "Available", "status": "False", "message": "no pod"},
            {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]});
        let found = read(&[
            object("StatefulSet", "nimbus", &json!({"replicas": 3}), &set),
            object("DaemonSet", "agent", &json!({}), &daemons),
            object("Deployment", "more", &json!({}), &refused),
            object("DaemonSet", "new", &json!({}), &json!({})),
            object("ReplicaSet", "other", &json!({}), &json!({})),
            json!({"kind": "DaemonSet", "metadata": {"name": "of-others"}}),
        ]);
        let figures: Vec<_> =
            found.iter().map(|it| (it.name.as_str(), it.wanted, it.made, it.ready, it.is_seen)).collect();
        let expected = [
            ("nimbus", 3, 2, 1, true),
            ("agent", 5, 4, 3, true),
            ("more", 1, 0, 0, true),
            ("new", 0, 0, 0, false),
        ];
        assert_eq!(figures, expected);
        assert_eq!(found[2].why, "exceeded quota");
        assert!(found[0].is_unexplained() && !found[2].is_unexplained());
    }

    #[test]
    fn the_newest_warning_about_a_workload_says_why_it_makes_no_pods() {
        let event = |kind: &str, of: &str, at: Value, message: &str| {
            json!({"type": kind, "reason": "FailedCreate", "message": message, "lastTimestamp": at, "eventTime": null,
                   "involvedObject": {"kind": "DaemonSet", "name": of}})
        };
        let mut other = event("Warning", "agent", json!("2026-11-27T08:05:00Z"), "could not delete");
        other["reason"] = json!("FailedDelete");
        let list = json!({"items": [
            other,
            event("Warning", "agent", json!("2026-11-27T08:02:00Z"), "violates PodSecurity"),
            event("Warning", "agent", json!("2026-11-27T08:01:00Z"), "before"),
            event("Warning", "agent", Value::Null, "at some time"),
            event("Normal", "agent", json!("2026-11-27T08:03:00Z"), "created"),
            event("Warning", "other", json!("2026-11-27T08:04:00Z"), "of another"),
        ]});
        let warnings = crate::kubernetes::warnings(list.to_string().as_bytes()).unwrap();
        assert_eq!(warnings.len(), 4);
        let status = json!({"observedGeneration": 2, "desiredNumberScheduled": 1});
        let mut found = read(&[object("DaemonSet", "agent", &json!({}), &status)]).remove(0);
        found.explain(&warnings);
        assert_eq!(found.why, "violates PodSecurity");
        let mut whole = Workload { made: 1, why: String::new(), ..found };
        whole.explain(&warnings);
        assert_eq!(whole.why, "", "what has all its pods needs no reason");
    }
}
