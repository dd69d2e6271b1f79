//! The pods of an installation, and what keeps them from being ready.

use serde::Deserialize;

use super::{Metadata, items};
use crate::check::Gathered;

/// Whose pods are looked at: the label that both charts set.
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "nimbus");

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
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    phase: String,
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

/// Of `kubectl get pods -o json`; pods of others and those that have done their work are left out.
pub fn pods(printed: &[u8]) -> Gathered<Vec<Pod>> {
    let objects: Vec<Object> = items(printed, "kubectl get pods -o json")?;
    let ours = objects.into_iter().filter(|object| {
        object.metadata.labels.get(PART_OF.0).is_some_and(|value| value == PART_OF.1)
            && object.status.phase != "Succeeded"
    });
    Ok(ours
        .map(|Object { metadata, status }| Pod {
            name: metadata.name,
            trouble: trouble(&status),
            said: String::new(),
        })
        .collect())
}

fn trouble(status: &Status) -> Option<Trouble> {
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
    }
}
