//! What the pods of a workload show of a container's memory limit: by which template each was made, which limit it really has,
//! and whether and when the container was killed for it.
//!
//! Only what is asked here is kept of each pod: a Deployment may have thousands.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::memory_room::bytes;
use crate::observe::kube::template_hash;

/// A ReplicaSet: whose it is, and by which template it makes pods.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MadeBy {
    metadata: Meta,
    spec: SetSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct SetSpec {
    template: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: String,
    uid: String,
    deletion_timestamp: Option<String>,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Owner {
    uid: String,
    controller: bool,
}

impl Meta {
    fn is_of(&self, owner: &str) -> bool {
        let owners = self.owner_references.as_deref().unwrap_or_default();
        owners.iter().any(|one| one.controller && one.uid == owner)
    }
}

impl MadeBy {
    /// Its UID, where this Deployment owns it and it makes pods by the template with this hash.
    pub fn uid_if(&self, deployment_uid: &str, hash: &[u8]) -> Option<&str> {
        let is_it = self.metadata.is_of(deployment_uid) && template_hash(&self.spec.template)[..] == *hash;
        is_it.then_some(self.metadata.uid.as_str())
    }
}

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MemoryPod {
    metadata: Meta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    containers: Option<Vec<Spec>>,
    overhead: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    name: String,
    resources: Resources,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Resources {
    limits: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<Status>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    name: String,
    restart_count: u32,
    state: State,
    last_state: State,
    resources: Option<Resources>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    reason: String,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

/// A container that was killed for its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// When, as its kubelet says.
    pub at: Option<Timestamp>,
    /// For how long it had run then.
    pub lived: Option<SignedDuration>,
}

impl MemoryPod {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Is it of one of these ReplicaSets, and not on its way out?
    pub fn is_of(&self, sets: &[String]) -> bool {
        self.metadata.deletion_timestamp.is_none() && sets.iter().any(|set| self.metadata.is_of(set))
    }

    fn status(&self, container: &str) -> Option<&Status> {
        self.status.container_statuses.as_deref()?.iter().find(|one| one.name == container)
    }

    /// How often the container was started again.
    pub fn restarts(&self, container: &str) -> u32 {
        self.status(container).map_or(0, |status| status.restart_count)
    }

    /// Was its last end a kill for its memory?
    pub fn kill(&self, container: &str) -> Option<Kill> {
        let status = self.status(container)?;
        let last = status.state.terminated.as_ref().or(status.last_state.terminated.as_ref())?;
        (last.reason == "OOMKilled").then(|| Kill {
            at: last.finished_at,
            lived: last.started_at.zip(last.finished_at).map(|(from, to)| to.duration_since(from)),
        })
    }

    /// Why the container waits, where it is in its back-off.
    pub fn is_looping(&self, container: &str) -> bool {
        let waiting = self.status(container).and_then(|status| status.state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason == "CrashLoopBackOff")
    }

    /// Why no node takes it; `None` where one did, or where it is held back by its own scheduling gates.
    pub fn unplaced(&self) -> Option<&str> {
        let conditions = self.status.conditions.as_deref().unwrap_or_default();
        let condition = conditions.iter().find(|one| one.r#type == "PodScheduled")?;
        (condition.status == "False" && condition.reason == "Unschedulable").then_some(&condition.message)
    }

    /// The limits that the container has: as the pod's spec says, and as its kubelet set it.
    pub fn limits(&self, container: &str) -> impl Iterator<Item = u64> {
        let specs = self.spec.containers.as_deref().unwrap_or_default();
        let said = specs.iter().find(|one| one.name == container).map(|one| &one.resources);
        let set = self.status(container).and_then(|status| status.resources.as_ref());
        [said, set].into_iter().flatten().filter_map(|resources| bytes(&resources.limits["memory"]))
    }

    /// What its RuntimeClass adds, in bytes.
    pub fn overhead(&self) -> u64 {
        bytes(&self.spec.overhead["memory"]).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: Value) -> MemoryPod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_replica_set_counts_by_its_owner_and_its_template() {
        let template =
            json!({ "metadata": { "labels": { "pod-template-hash": "x" } }, "spec": { "containers": [] } });
        let set: MadeBy = serde_json::from_value(json!({
            "metadata": { "uid": "rs", "ownerReferences": [{ "uid": "d", "controller": true }] },
            "spec": { "template": template },
        }))
        .unwrap();
        let hash = template_hash(&json!({ "metadata": { "labels": {} }, "spec": { "containers": [] } }));
        assert_eq!(set.uid_if("d", &hash), Some("rs"));
        assert_eq!(set.uid_if("other", &hash), None, "somebody else's");
        assert_eq!(set.uid_if("d", &[0; 32]), None, "of another template");
    }

    #[test]
    fn a_pod_is_of_the_set_that_controls_it_and_not_once_it_goes() {
        let meta = |owner: Value, deleted: Value| {
            pod(json!({ "metadata": { "ownerReferences": [owner], "deletionTimestamp": deleted } }))
        };
        let sets = ["rs".to_owned()];
        assert!(meta(json!({ "uid": "rs", "controller": true }), Value::Null).is_of(&sets));
        assert!(!meta(json!({ "uid": "rs" }), Value::Null).is_of(&sets));
        assert!(!meta(json!({ "uid": "job", "controller": true }), Value::Null).is_of(&sets));
        let going = json!("2026-11-22T08:00:00Z");
        assert!(!meta(json!({ "uid": "rs", "controller": true }), going).is_of(&sets));
        assert!(!pod(json!({ "metadata": { "ownerReferences": null } })).is_of(&sets));
    }

    #[test]
    fn the_last_end_of_a_container_tells_whether_it_was_killed_and_how_long_it_had_run() {
        let ended = |reason: &str| {
            json!({ "terminated": { "reason": reason, "exitCode": 137,
                    "startedAt": "2026-11-22T08:00:00Z", "finishedAt": "2026-11-22T08:00:40Z" } })
        };
        let of = |state: Value, last: Value| {
            pod(json!({ "status": { "containerStatuses": [
                { "name": "app", "restartCount": 3, "state": state, "lastState": last },
            ] } }))
        };
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let looping = of(waiting, ended("OOMKilled"));
        let kill = looping.kill("app").unwrap();
        assert_eq!(kill.lived, Some(SignedDuration::from_secs(40)));
        assert!(looping.is_looping("app") && looping.restarts("app") == 3);
        assert_eq!(looping.kill("side"), None);
        assert!(of(ended("OOMKilled"), json!({})).kill("app").is_some());
        assert_eq!(of(ended("Error"), ended("OOMKilled")).kill("app"), None, "its last end was another one");
        assert_eq!(of(json!({ "running": {} }), json!({})).kill("app"), None);
        let silent = of(json!({}), json!({ "terminated": { "reason": "OOMKilled" } })).kill("app").unwrap();
        assert_eq!(silent, Kill { at: None, lived: None });
    }

    #[test]
    fn limits_are_those_of_the_spec_and_those_that_the_kubelet_set() {
        let seen = pod(json!({
            "spec": { "containers": [{ "name": "app", "resources": { "limits": { "memory": "64Mi" } } }],
                      "overhead": { "memory": "16Mi" } },
            "status": { "containerStatuses": [{ "name": "app", "resources": { "limits": { "memory": "128Mi" } } }] },
        }));
        assert_eq!(seen.limits("app").collect::<Vec<_>>(), [64 << 20, 128 << 20]);
        assert_eq!((seen.limits("side").count(), seen.overhead()), (0, 16 << 20));
    }

    #[test]
    fn a_pod_that_waits_for_its_gates_is_not_one_without_a_node() {
        let with = |reason: &str| {
            pod(json!({ "status": { "conditions": [{ "type": "PodScheduled", "status": "False",
                        "reason": reason, "message": "0/3 nodes" }] } }))
        };
        assert_eq!(with("Unschedulable").unplaced(), Some("0/3 nodes"));
        assert_eq!(with("SchedulingGated").unplaced(), None);
    }
}
