//! The slim Pod: its node, its phase, the states of its containers, and what an eviction of it would touch. Environment and
//! arguments are not read.

use nimbus_protocol::kind::MOST_LABELS;
use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::spec::{Declared, Spec, Volume};
use super::{Condition, Slim, SlimMeta, condition, count, micros};
use crate::observe::bounded;

/// Most marks and volumes that are told of one pod.
const MOST: usize = 32;

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimPod {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<Running>>,
    init_container_statuses: Option<Vec<Running>>,
    ephemeral_container_statuses: Option<Vec<Running>>,
    start_time: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Running {
    name: String,
    image: String,
    ready: bool,
    restart_count: Option<i64>,
    #[serde(rename = "imageID")]
    image_id: String,
    state: State,
    last_state: State,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<Nothing>,
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Nothing {}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
    message: String,
}

impl Waiting {
    /// The message of a container that cannot be made, which names what is missing. Of no other: what a program said may be
    /// in it.
    fn message(&self) -> String {
        if self.reason == "CreateContainerConfigError" { bounded(&self.message) } else { String::new() }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    reason: String,
    exit_code: i32,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl Running {
    /// The container, of which `declared` is what its pod's spec says.
    fn observe(&self, role: &str, declared: Option<&Declared>) -> v1::Container {
        let (state, reason) = match &self.state {
            State { waiting: Some(w), .. } => ("waiting", w.reason.as_str()),
            State { terminated: Some(t), .. } => ("terminated", t.reason.as_str()),
            State { running: Some(_), .. } => ("running", ""),
            State { .. } => ("", ""),
        };
        let last = self.last_state.terminated.as_ref();
        v1::Container {
            name: self.name.clone(),
            image: self.image.clone(),
            ready: self.ready,
            restart_count: count(self.restart_count),
            state: state.to_owned(),
            reason: bounded(reason),
            last_reason: last.map(|t| bounded(&t.reason)).unwrap_or_default(),
            last_exit_code: last.map_or(0, |t| t.exit_code),
            last_finished_at_us: micros(last.and_then(|t| t.finished_at.as_ref())),
            last_started_at_us: micros(last.and_then(|t| t.started_at.as_ref())),
            role: role.to_owned(),
            message: self.state.waiting.as_ref().map(Waiting::message).unwrap_or_default(),
            image_id: self.image_id(),
            probed: declared.is_some_and(Declared::is_probed),
        }
    }

    /// What is behind the `@` of the kubelet's imageID: the digest.
    fn image_id(&self) -> String {
        bounded(self.image_id.rsplit_once('@').map_or(self.image_id.as_str(), |(_, id)| id))
    }

    /// Did it run, or is the kubelet at it? Waiting in another state than these two, it could not be made for its own sake.
    fn is_begun(&self) -> bool {
        let waits = |w: &Waiting| matches!(w.reason.as_str(), "" | "ContainerCreating" | "PodInitializing");
        self.state.running.is_some()
            || self.state.terminated.is_some()
            || self.last_state.terminated.is_some()
            || count(self.restart_count) > 0
            || self.state.waiting.as_ref().is_some_and(|waiting| !waits(waiting))
    }

    /// Did it run to a good end?
    fn ended_well(&self) -> bool {
        self.state.terminated.as_ref().is_some_and(|t| t.exit_code == 0)
    }

    /// True for an init container that fails: it keeps the whole pod from starting. One that succeeded is not reported.
    fn blocks_start(&self) -> bool {
        let failed = self.state.terminated.as_ref().is_some_and(|t| t.exit_code != 0);
        failed || (self.state.waiting.is_some() && count(self.restart_count) > 0)
    }
}

impl Slim for SlimPod {
    const KIND: ObjectKind = ObjectKind::Pod;
    const PATH: &'static str = "/api/v1/pods";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let conditions = self.status.conditions.as_deref().unwrap_or_default();
        let ready = condition(conditions, "Ready");
        let scheduled = condition(conditions, "PodScheduled").filter(|c| c.status == "False");
        v1::observation::Body::Pod(v1::Pod {
            meta: Some(self.metadata.observe()),
            node: self.spec.node_name.clone(),
            phase: self.status.phase.clone(),
            ready: ready.is_some_and(|c| c.status == "True"),
            ready_since_us: micros(ready.and_then(|c| c.last_transition_time.as_ref())),
            containers: self.containers(),
            unschedulable: scheduled
                .map(|c| bounded(&format!("{}: {}", c.reason, c.message)))
                .unwrap_or_default(),
            controller_revision: self.metadata.controller_revision(),
            facts: Some(self.facts()),
        })
    }
}

impl SlimPod {
    /// Failing init containers, then every declared container with the state that the kubelet reports, if it does.
    fn containers(&self) -> Vec<v1::Container> {
        let said = self.status.container_statuses.as_deref().unwrap_or_default();
        let init = self.status.init_container_statuses.iter().flatten().filter(|c| c.blocks_start());
        let silent = self.spec.containers.iter().filter(|d| said.iter().all(|s| s.name != d.name));
        let silent = silent.map(|d| v1::Container {
            name: d.name.clone(),
            image: d.image.clone(),
            ..Default::default()
        });
        let declared = |name: &str| self.spec.containers.iter().find(|d| d.name == name);
        let init = init.map(|status| {
            let declared = self.spec.init_containers.iter().flatten().find(|d| d.name == status.name);
            let stays = declared.is_some_and(Declared::stays);
            status.observe(if stays { "sidecar" } else { "init" }, declared)
        });
        let said = said.iter().map(|status| status.observe("", declared(&status.name)));
        init.chain(said).chain(silent).collect()
    }

    /// Of each declared init container what its image's name stands for; bounded, as a pod with more is rare.
    fn init_images(&self) -> Vec<String> {
        let statuses = || self.status.init_container_statuses.iter().flatten();
        let declared = self.spec.init_containers.iter().flatten().take(MOST);
        declared
            .map(|container| {
                let status = statuses().find(|status| status.name == container.name);
                format!("{}={}", bounded(&container.name), status.map(Running::image_id).unwrap_or_default())
            })
            .collect()
    }

    /// Its labels, as far as they are told: other pods may be kept away, drawn or spread by them.
    fn labels(&self) -> Vec<v1::Label> {
        let whole = |(key, value): &(&String, &String)| bounded(key) == **key && bounded(value) == **value;
        let label = |(key, value): (&String, &String)| v1::Label { key: key.clone(), value: value.clone() };
        self.metadata.labels().filter(whole).take(MOST_LABELS).map(label).collect()
    }

    /// `no`: no container of it was begun, an init container neither, and the kubelet did not get as far as one of them; before
    /// that it makes the pod's volumes and its network, and pulls the first image. `init`: all its init containers ended well,
    /// and it is only now at the others. Otherwise `yes`.
    fn begun(&self) -> &'static str {
        let init = || self.status.init_container_statuses.iter().flatten();
        let others = || self.status.container_statuses.iter().flatten();
        if !init().chain(others()).any(Running::is_begun) {
            return "no";
        }
        let declared = self.spec.init_containers.as_ref().map_or(0, Vec::len);
        let all_ended = init().count() == declared && init().all(Running::ended_well);
        if all_ended && !others().any(Running::is_begun) { "init" } else { "yes" }
    }

    fn facts(&self) -> v1::PodFacts {
        let volumes = || self.spec.volumes.iter().flatten();
        let debuggers = self.status.ephemeral_container_statuses.iter().flatten();
        let debuggers = debuggers.filter(|c| c.state.running.is_some());
        let debuggers = debuggers.map(|c| format!("the ephemeral container {} runs in it", bounded(&c.name)));
        let references = self.spec.references();
        let init = self.spec.init_containers.as_ref().map_or(0, Vec::len);
        let labels = self.labels();
        let references_complete =
            references.config_maps.len().max(references.secrets.len()).max(init) <= MOST;
        v1::PodFacts {
            started_at_us: micros(self.status.start_time.as_ref()),
            do_not_disturb: self.metadata.do_not_disturb().into_iter().chain(debuggers).take(MOST).collect(),
            lost_volumes: volumes().filter_map(Volume::is_lost).take(MOST).collect(),
            placement: Some(self.spec.placement(&self.metadata)),
            config_maps: references.config_maps.into_iter().take(MOST).collect(),
            secrets: references.secrets.into_iter().take(MOST).collect(),
            references_complete,
            init_images: self.init_images(),
            labels_complete: labels.len() == self.metadata.labels().count(),
            labels,
            begun: self.begun().to_owned(),
        }
    }
}
