//! The pods of an installation, and what keeps them from being ready.

use serde::Deserialize;

use super::warning::{Warning, newest};
use super::{Metadata, is_ours, items};
use crate::check::Gathered;

/// The phase of a pod that ended and did not do its work: evicted, or its program failed.
const FAILED: &str = "Failed";

/// A pod of Nimbus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// What keeps it from being ready; none: it is ready.
    pub trouble: Option<Trouble>,
    /// The last that its program wrote; empty where nothing was read.
    pub said: String,
}

/// What keeps a pod from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No node takes it, with the scheduler's reason.
    Unscheduled(String),
    /// Its image cannot be pulled.
    Image {
        /// Which.
        image: String,
        /// The kubelet's reason.
        why: String,
    },
    /// The container cannot be started: a Secret is missing, a volume cannot be mounted.
    NotStarted(String),
    /// Its program ends again and again, with the last that it said.
    Crashing(String),
    /// It runs and is not ready.
    NotReady,
    /// It ended and is not started again, with the reason: evicted by its node, or its program failed.
    Ended(String),
    /// It is the pod of `helm test`, which failed: with the reason.
    Test(String),
}

/// What a container waits for before anything of it was tried: a volume that is not mounted keeps it here.
const BEFORE: [&str; 2] = ["ContainerCreating", "PodInitializing"];

impl Pod {
    /// Is it not started, and does nothing say why?
    pub fn is_unexplained(&self) -> bool {
        matches!(&self.trouble, Some(Trouble::NotStarted(why)) if BEFORE.contains(&why.as_str()))
    }

    /// Takes the newest warning about it for the reason, where it needs one.
    pub fn explain(&mut self, warnings: &[Warning]) {
        if !self.is_unexplained() {
            return;
        }
        if let Some(newest) = newest(warnings, "Pod", &self.name) {
            self.trouble = Some(Trouble::NotStarted(newest.message.clone()));
        }
    }
}

#[derive(Deserialize)]
struct Object {
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
    #[serde(default, rename = "ownerReferences")]
    owners: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default, rename = "nodeName")]
    node: String,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default, rename = "containerStatuses")]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    image: String,
    #[serde(default)]
    ready: bool,
    #[serde(default)]
    state: State,
    #[serde(default, rename = "lastState")]
    last: State,
}

#[derive(Deserialize, Default)]
struct State {
    waiting: Option<Reason>,
    terminated: Option<Reason>,
}

#[derive(Deserialize, Default)]
struct Reason {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// Of `kubectl get pods -o json`; left out are pods of others, those that have done their work, and those that ended where their
/// controller has made another one in their place.
pub fn pods(printed: &[u8]) -> Gathered<Vec<Pod>> {
    let objects: Vec<Object> = items(printed, "kubectl get pods -o json")?;
    let counts = |object: &&Object| {
        is_ours(&object.metadata.common)
            && object.status.phase != "Succeeded"
            && !(object.status.phase == FAILED && is_replaced(object, &objects))
    };
    let pod = |object: &Object| {
        let trouble = match trouble(&object.status) {
            Some(Trouble::Ended(why)) if is_test(&object.metadata.common) => Some(Trouble::Test(why)),
            other => other,
        };
        Pod { name: object.metadata.common.name.clone(), trouble, said: String::new() }
    };
    Ok(objects.iter().filter(counts).map(pod).collect())
}

/// Is it the pod that `helm test` runs, as the chart labels it?
fn is_test(metadata: &Metadata) -> bool {
    metadata.labels.get("app.kubernetes.io/component").is_some_and(|component| component == "test")
}

/// Is there another pod of its controller, for a DaemonSet on the same node? Whether a controller has as many as it wants is
/// said by its own figures.
fn is_replaced(ended: &Object, all: &[Object]) -> bool {
    let Some(owner) = ended.controller() else { return false };
    all.iter().any(|other| {
        other.status.phase != FAILED
            && other.controller().is_some_and(|it| it.uid == owner.uid)
            && (owner.kind != "DaemonSet" || other.spec.node == ended.spec.node)
    })
}

impl Object {
    fn controller(&self) -> Option<&Owner> {
        self.metadata.owners.iter().find(|owner| owner.controller && !owner.uid.is_empty())
    }
}

/// Why a pod ended: the kubelet's words for the pod, or those of the program that failed.
fn ending(status: &Status) -> String {
    let mut ended = status.containers.iter().filter_map(|container| container.state.terminated.as_ref());
    let failed = ended.find(|one| one.reason != "Completed").map(said).unwrap_or_default();
    let parts: [&str; 4] = [FAILED, &status.reason, &status.message, &failed];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn trouble(status: &Status) -> Option<Trouble> {
    if status.phase == FAILED {
        return Some(Trouble::Ended(ending(status)));
    }
    let unscheduled =
        status.conditions.iter().find(|one| one.kind == "PodScheduled" && one.status == "False");
    if let Some(condition) = unscheduled {
        return Some(Trouble::Unscheduled(condition.message.clone()));
    }
    let Some(container) = status.containers.iter().find(|container| !container.ready) else {
        let is_ready = status.conditions.iter().any(|one| one.kind == "Ready" && one.status == "True");
        return (!is_ready).then_some(Trouble::NotReady);
    };
    let ended = [&container.state.terminated, &container.last.terminated].into_iter().flatten().next();
    let Some(waiting) = &container.state.waiting else {
        return Some(match &container.state.terminated {
            Some(ended) => Trouble::Crashing(said(ended)),
            None => Trouble::NotReady,
        });
    };
    Some(match (waiting.reason.as_str(), ended) {
        ("ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull", _) => {
            Trouble::Image { image: container.image.clone(), why: said(waiting) }
        }
        ("CrashLoopBackOff", Some(ended)) => Trouble::Crashing(said(ended)),
        _ => Trouble::NotStarted(said(waiting)),
    })
}

fn said(reason: &Reason) -> String {
    if reason.message.is_empty() { reason.reason.clone() } else { reason.message.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn one(status: &Value) -> Option<Trouble> {
        let labels = json!({"app.kubernetes.io/part-of": "nimbus"});
        let list = json!({"items": [{"metadata": {"name": "a", "labels": labels}, "status": status}]});
        let mut pods = pods(list.to_string().as_bytes()).unwrap();
        pods.remove(0).trouble
    }

    #[test]
    fn what_keeps_a_pod_from_being_ready_is_told() {
        let container = |ready: bool, state: Value, last: Value| {
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
                   "containerStatuses": [{"image": "r.example/a:1", "ready": ready, "state": state, "lastState": last}]})
        };
        let waiting =
            |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
        let ended = json!({"terminated": {"reason": "Error", "message": "join token used up"}});
        let unscheduled = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]});
        assert_eq!(one(&unscheduled), Some(Trouble::Unscheduled("0/3 nodes are available".to_owned())));
        let image = one(&container(false, waiting("ImagePullBackOff", "no such host"), json!({})));
        let expected = Trouble::Image { image: "r.example/a:1".to_owned(), why: "no such host".to_owned() };
        assert_eq!(image, Some(expected));
        let secret = waiting("CreateContainerConfigError", "secret \"x\" not found");
        let not_started = one(&container(false, secret, json!({})));
        assert_eq!(not_started, Some(Trouble::NotStarted("secret \"x\" not found".to_owned())));
        let crashing = one(&container(false, waiting("CrashLoopBackOff", "back-off 5m0s"), ended.clone()));
        assert_eq!(crashing, Some(Trouble::Crashing("join token used up".to_owned())));
        let at_its_end = one(&container(false, ended, json!({})));
        assert_eq!(at_its_end, Some(Trouble::Crashing("join token used up".to_owned())));
        assert_eq!(one(&container(false, json!({"running": {}}), json!({}))), Some(Trouble::NotReady));
        let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                           "containerStatuses": [{"ready": true, "state": {}}]});
        assert_eq!(one(&ready), None);
        assert_eq!(one(&json!({"phase": "Pending"})), Some(Trouble::NotReady));
        let others = json!({"items": [{"metadata": {"name": "a"}, "status": {}}]});
        assert_eq!(pods(others.to_string().as_bytes()), Ok(Vec::new()));
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
            "conditions": [{"type": "Ready", "status": "False"}, {"type": "PodScheduled", "status": "True"}]});
        let expected = "Failed: Evicted: The node was low on resource: memory.".to_owned();
        assert_eq!(one(&evicted), Some(Trouble::Ended(expected)));
        let failed = json!({"phase": "Failed", "containerStatuses": [
            {"state": {"terminated": {"reason": "Completed"}}},
            {"state": {"terminated": {"reason": "Error", "message": "no recipient"}}}]});
        assert_eq!(one(&failed), Some(Trouble::Ended("Failed: no recipient".to_owned())));
        let labels = json!({"app.kubernetes.io/part-of": "nimbus", "app.kubernetes.io/component": "test"});
        let list = json!({"items": [{"metadata": {"name": "a", "labels": labels}, "status": failed}]});
        let test = pods(list.to_string().as_bytes()).unwrap().remove(0).trouble;
        assert_eq!(test, Some(Trouble::Test("Failed: no recipient".to_owned())));
    }

    #[test]
    fn a_pod_that_waits_for_its_volumes_is_explained_by_the_newest_warning_about_it() {
        let event = |of: &str, at: &str, message: &str| {
            json!({"type": "Warning", "reason": "FailedMount", "message": message, "lastTimestamp": at,
                   "involvedObject": {"kind": "Pod", "name": of}})
        };
        let newest = "MountVolume.SetUp failed for volume \"keys\" : secret \"nimbus-keys\" not found";
        let list = json!({"items": [
            event("a", "2026-11-27T08:02:00Z", newest),
            event("a", "2026-11-27T08:01:00Z", "before"),
            event("b", "2026-11-27T08:03:00Z", "of another"),
        ]});
        let warnings = crate::kubernetes::warnings(list.to_string().as_bytes()).unwrap();
        let not_started = |why: &str| Pod {
            name: "a".to_owned(),
            trouble: Some(Trouble::NotStarted(why.to_owned())),
            said: String::new(),
        };
        let mut waits = not_started("ContainerCreating");
        waits.explain(&warnings);
        assert_eq!(waits, not_started(newest));
        // What says more of itself, or is well, keeps its own words.
        for pod in [not_started("secret \"x\" not found"), Pod { trouble: None, ..not_started("") }] {
            let mut explained = pod.clone();
            explained.explain(&warnings);
            assert_eq!(explained, pod);
        }
    }

    #[test]
    fn a_pod_that_ended_is_left_out_once_its_controller_has_made_another() {
        let pod = |name: &str, phase: &str, kind: &str, owner: &str, node: &str| {
            json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "nimbus"},
                       "ownerReferences": [{"kind": kind, "uid": owner, "controller": true}]},
                   "spec": {"nodeName": node},
                   "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]}})
        };
        let names = |list: &[Value]| {
            let read = pods(json!({"items": list}).to_string().as_bytes()).unwrap();
            read.into_iter().map(|pod| pod.name).collect::<Vec<_>>()
        };
        let evicted = pod("gone", "Failed", "DaemonSet", "d", "a");
        assert_eq!(names(&[evicted.clone(), pod("new", "Running", "DaemonSet", "d", "a")]), ["new"]);
        let beside = pod("beside", "Running", "DaemonSet", "d", "b");
        assert_eq!(names(&[evicted.clone(), beside]), ["gone", "beside"]);
        let of_another = pod("other", "Running", "DaemonSet", "e", "a");
        assert_eq!(names(&[evicted.clone(), of_another]), ["gone", "other"]);
        assert_eq!(
            names(&[evicted.clone(), pod("again", "Failed", "DaemonSet", "d", "a")]),
            ["gone", "again"]
        );
        // A second try of a backup did what the first one did not.
        let tried = pod("first", "Failed", "Job", "j", "a");
        assert!(names(&[tried.clone(), pod("second", "Succeeded", "Job", "j", "b")]).is_empty());
        assert_eq!(names(&[tried]), ["first"]);
    }
}
