//! How busy the pods of a workload are that asks to be scaled out: what they use of the CPU that they ask for, as the cluster's metrics
//! API measures it.
//!
//! A workload asks for it by the label `nimbus.dev/scale-to`, which says how many pods it may have. What was not measured, or measured too
//! long ago, is counted as that, and never as nothing used. Of pods, what they ask for at this moment counts, not what the template says.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{quantity, v1};
use serde::Deserialize;
use serde_json::Value;

use super::pod_asks::PodAsks;
use super::{Condition, SlimMeta, condition, count};
use crate::observe::bounded;

/// The label by which a workload asks to be scaled out while it is busy: it may have so many pods.
pub const SCALE_TO: &str = "nimbus.dev/scale-to";
/// The label that Nimbus puts on a workload beside that, so that it is found while it is scaled out, whatever becomes of the other label.
pub const SCALED_OUT: &str = "nimbus.dev/scaled-out";
/// The annotation that says what Nimbus scaled a workload from and to, when, by the clock of the agent that
/// did, and which workload by its UID, as a copy of one was never scaled: `3 5 2026-12-01T12:00:00Z 5b1c4b0e-…`.
pub const SCALED: &str = "nimbus.dev/scaled";
/// No workload may have more by its label.
pub const MOST: u32 = 1_000;
/// What was measured longer ago than this says nothing of now: metrics-server reads each quarter of a minute.
const FRESH: SignedDuration = SignedDuration::from_mins(3);

/// A Deployment or a StatefulSet, as far as it is scaled.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimScaled {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
    #[serde(skip)]
    marks: Marks,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i64>,
    paused: bool,
    selector: Selector,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: Value,
    match_expressions: Option<Vec<Value>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: Option<i64>,
    updated_replicas: Option<i64>,
    ready_replicas: Option<i64>,
    current_revision: String,
    update_revision: String,
}

/// What its label and its annotation say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// It may have so many; 0 where it asks for nothing.
    pub scale_to: u32,
    /// What Nimbus scaled it from and to; `None` where it did not, or that cannot be read.
    pub scaled: Option<Scaled>,
}

/// What Nimbus scaled a workload from and to, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaled {
    /// What it had before it was scaled out first.
    pub from: u32,
    /// What it was given last.
    pub to: u32,
    /// When that was.
    pub at: Timestamp,
}

impl Scaled {
    /// What the annotation of the workload with this UID says; `None` where it is another one's, or makes no sense.
    pub fn parse(text: &str, uid: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let scaled = Self {
            from: parts.next()?.parse().ok()?,
            to: parts.next()?.parse().ok()?,
            at: parts.next()?.parse().ok()?,
        };
        let is_its = parts.next() == Some(uid) && parts.next().is_none();
        (is_its && scaled.from > 0 && scaled.from < scaled.to).then_some(scaled)
    }

    /// What the annotation of that workload is to say.
    pub fn text(&self, uid: &str) -> String {
        format!("{} {} {:.0} {uid}", self.from, self.to, self.at)
    }
}

impl Marks {
    /// Those of an object as the API server has it.
    pub fn of(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let to = metadata["labels"][SCALE_TO].as_str().and_then(|text| text.parse().ok());
        Self {
            scale_to: to.filter(|to| (1..=MOST).contains(to)).unwrap_or(0),
            scaled: metadata["annotations"][SCALED]
                .as_str()
                .and_then(|text| Scaled::parse(text, metadata["uid"].as_str()?)),
        }
    }
}

impl SlimScaled {
    /// Of an object as the API server has it; `None` where it cannot be read.
    pub fn of(object: &Value) -> Option<Self> {
        let mut scaled: Self = serde_json::from_value(object.clone()).ok()?;
        scaled.marks = Marks::of(object);
        Some(scaled)
    }

    /// Its label where that says no number from 1 to [`MOST`].
    pub fn misread(object: &Value) -> Option<&str> {
        object["metadata"]["labels"][SCALE_TO].as_str().filter(|_| Marks::of(object).scale_to == 0)
    }

    /// Who it is.
    pub fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    /// The labels of its pods; `None` where more than labels chooses them.
    pub fn pod_labels(&self) -> Option<&Value> {
        let by_labels = self.spec.selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
        let labels = &self.spec.selector.match_labels;
        (by_labels && labels.as_object().is_some_and(|labels| !labels.is_empty())).then_some(labels)
    }

    /// How many of its pods are ready, as its controller says; `None` where that is not said of what is specified now.
    pub fn ready_now(&self) -> Option<u32> {
        let is_of_now = self.status.observed_generation >= self.metadata.generation;
        is_of_now.then(|| count(self.status.ready_replicas))
    }

    /// Has its controller seen what is specified now, and brought it out?
    pub fn is_settled(&self) -> bool {
        let (spec, status) = (&self.spec, &self.status);
        let wanted = spec.replicas.unwrap_or(1);
        // A StatefulSet that is out says nothing of updated ones where its revisions are the same.
        let one_revision =
            !status.update_revision.is_empty() && status.current_revision == status.update_revision;
        let updated = status.updated_replicas.unwrap_or(0) == wanted || one_revision;
        !spec.paused
            && status.observed_generation >= self.metadata.generation
            && updated
            && status.replicas.unwrap_or(0) == wanted
    }

    /// What is told of it, with its pods and what was measured of them.
    pub fn load(
        &self,
        kind: &str,
        pods: &[LoadedPod],
        measured: &[PodMetrics],
        now: Timestamp,
    ) -> v1::WorkloadLoad {
        let (manager, evidence) = self.metadata.manager_of_replicas().unwrap_or_default();
        let its: Vec<&LoadedPod> = pods.iter().filter(|pod| pod.is_active()).collect();
        let (mut counted, mut used, mut asked) = (0_u32, 0_u64, 0_u64);
        for pod in &its {
            let figures = measured.iter().find(|one| one.metadata.name == pod.metadata.name);
            let pair = pod.asks().zip(figures.and_then(|one| one.used(now)));
            if let Some((asks, uses)) = pair.filter(|(asks, _)| *asks > 0) {
                counted = counted.saturating_add(1);
                used = used.saturating_add(uses);
                asked = asked.saturating_add(asks);
            }
        }
        let vertical = its.iter().find_map(|pod| pod.metadata.annotations.vpa.as_ref());
        let scaled = self.marks.scaled;
        v1::WorkloadLoad {
            meta: Some(self.metadata.observe()),
            kind: kind.to_owned(),
            replicas: count(self.spec.replicas.or(Some(1))),
            ready: count(self.status.ready_replicas),
            settled: self.is_settled(),
            pods: u32::try_from(its.len()).unwrap_or(u32::MAX),
            measured: counted,
            used_milli: used,
            asked_milli: asked,
            scale_to: self.marks.scale_to,
            scaled_from: scaled.map_or(0, |scaled| scaled.from),
            scaled_to: scaled.map_or(0, |scaled| scaled.to),
            manager: manager.to_owned(),
            manager_evidence: bounded(&evidence),
            vertical: vertical
                .map_or_else(String::new, |text| bounded(&format!("annotation vpaUpdates: {text}"))),
        }
    }
}

/// A pod, as far as it is measured, and what it asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LoadedPod {
    metadata: PodMeta,
    spec: PodAsks,
    status: PodStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodMeta {
    name: String,
    deletion_timestamp: Option<String>,
    annotations: PodAnnotations,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PodAnnotations {
    #[serde(rename = "vpaUpdates")]
    vpa: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Cpu {
    cpu: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: String,
    conditions: Option<Vec<Condition>>,
}

impl LoadedPod {
    /// Has it not ended, and is it not on its way out?
    pub fn is_active(&self) -> bool {
        self.metadata.deletion_timestamp.is_none()
            && !matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Does it say that it is ready?
    pub fn is_ready(&self) -> bool {
        let conditions = self.status.conditions.as_deref().unwrap_or_default();
        self.is_active() && condition(conditions, "Ready").is_some_and(|ready| ready.status == "True")
    }

    /// Does a VerticalPodAutoscaler set what it asks for?
    pub fn is_set_vertically(&self) -> bool {
        self.metadata.annotations.vpa.is_some()
    }

    /// All that it asks for, as quotas count it.
    pub fn whole(&self) -> PodAsks {
        self.spec.clone()
    }

    /// Thousandths of a CPU that its containers, and those that stay beside them, ask for; `None` where that cannot be read.
    fn asks(&self) -> Option<u64> {
        u64::try_from(self.spec.of_those_that_stay("cpu")?).ok()
    }
}

fn milli(value: &Value) -> Option<u64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    u64::try_from(quantity::scaled(&text, 1_000)?).ok()
}

/// What was measured of a pod, of `metrics.k8s.io/v1beta1`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodMetrics {
    metadata: MeasuredMeta,
    timestamp: String,
    containers: Vec<MeasuredContainer>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct MeasuredMeta {
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct MeasuredContainer {
    usage: Cpu,
}

impl PodMetrics {
    /// Thousandths of a CPU that it uses; `None` where that was not measured lately, or cannot be read.
    fn used(&self, now: Timestamp) -> Option<u64> {
        let at: Timestamp = self.timestamp.parse().ok()?;
        if now.duration_since(at).abs() > FRESH || self.containers.is_empty() {
            return None;
        }
        self.containers
            .iter()
            .try_fold(0_u64, |sum, one| Some(sum.saturating_add(milli(one.usage.cpu.as_ref()?)?)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-12-01T12:00:00Z".parse().unwrap()
    }

    fn web(change: impl FnOnce(&mut Value)) -> SlimScaled {
        let mut web = json!({
            "metadata": { "uid": "d", "name": "web", "namespace": "shop", "generation": 4, "labels": { SCALE_TO: "10" } },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } } },
            "status": { "observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2 },
        });
        change(&mut web);
        SlimScaled::of(&web).unwrap()
    }

    fn pod(name: &str, asks: &str) -> LoadedPod {
        let pod = json!({
            "metadata": { "name": name },
            "spec": { "containers": [{ "resources": { "requests": { "cpu": asks } } }],
                      "initContainers": [{ "restartPolicy": "Always", "resources": { "requests": { "cpu": "100m" } } },
                                         { "resources": { "requests": { "cpu": "8" } } }] },
            "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        serde_json::from_value(pod).unwrap()
    }

    fn measured(name: &str, uses: &str, at: &str) -> PodMetrics {
        let one = json!({ "metadata": { "name": name }, "timestamp": at, "window": "15s",
                          "containers": [{ "name": "app", "usage": { "cpu": uses, "memory": "8Mi" } }] });
        serde_json::from_value(one).unwrap()
    }

    const AT: &str = "2026-12-01T11:59:40Z";

    #[test]
    fn what_its_pods_use_is_told_beside_what_they_ask_for() {
        let told = web(|_| {}).load(
            "Deployment",
            &[pod("a", "900m"), pod("b", "900m")],
            &[measured("a", "950m", AT), measured("b", "850000000n", AT), measured("other", "9", AT)],
            now(),
        );
        assert_eq!((told.pods, told.measured, told.used_milli, told.asked_milli), (2, 2, 1_800, 2_000));
        assert_eq!((told.replicas, told.ready, told.settled, told.scale_to), (2, 2, true, 10));
        assert_eq!((told.scaled_from, told.manager.as_str(), told.vertical.as_str()), (0, "", ""));
    }

    /// Absent is unknown, and never zero.
    #[test]
    fn what_was_not_measured_lately_or_asks_for_nothing_is_not_counted() {
        let of = |pods: &[LoadedPod], figures: &[PodMetrics]| {
            let told = web(|_| {}).load("Deployment", pods, figures, now());
            (told.pods, told.measured, told.used_milli)
        };
        assert_eq!(of(&[pod("a", "1")], &[]), (1, 0, 0));
        assert_eq!(
            of(&[pod("a", "1")], &[measured("a", "1", "2026-12-01T11:56:00Z")]),
            (1, 0, 0),
            "of before"
        );
        assert_eq!(
            of(&[pod("a", "1")], &[measured("a", "1", "2026-12-01T12:09:00Z")]),
            (1, 0, 0),
            "of another time"
        );
        assert_eq!(of(&[pod("a", "1")], &[measured("a", "much", AT)]), (1, 0, 0));
        assert_eq!(of(&[pod("a", "much")], &[measured("a", "1", AT)]), (1, 0, 0));
        let bare: LoadedPod =
            serde_json::from_value(json!({ "metadata": { "name": "a" }, "spec": { "containers": [{}] } }))
                .unwrap();
        assert_eq!(of(&[bare], &[measured("a", "1", AT)]), (1, 0, 0), "it asks for nothing");
        let mut beside = pod("a", "1");
        beside.spec = serde_json::from_value(
            json!({ "containers": [{ "resources": { "requests": { "cpu": "1" } } }, {}] }),
        )
        .unwrap();
        assert_eq!(
            of(&[beside], &[measured("a", "1", AT)]),
            (1, 0, 0),
            "a container of it asks for nothing, and may use all"
        );
        let mut ended = pod("b", "1");
        ended.status.phase = "Succeeded".into();
        let mut going = pod("c", "1");
        going.metadata.deletion_timestamp = Some(AT.into());
        assert_eq!(of(&[ended, going], &[]), (0, 0, 0));
    }

    #[test]
    fn a_workload_that_moves_or_is_paused_is_not_settled() {
        type Change = fn(&mut Value);
        let changes: [Change; 5] = [
            |web| web["spec"]["paused"] = json!(true),
            |web| web["status"]["observedGeneration"] = json!(3),
            |web| web["status"]["updatedReplicas"] = json!(1),
            |web| web["status"]["replicas"] = json!(3),
            |web| web["spec"]["replicas"] = json!(3),
        ];
        for change in changes {
            assert!(!web(change).load("Deployment", &[], &[], now()).settled);
        }
        let set = web(|web| {
            web["status"]["updatedReplicas"].take();
            (web["status"]["currentRevision"], web["status"]["updateRevision"]) =
                (json!("web-1"), json!("web-1"));
        });
        assert!(set.is_settled());
    }

    #[test]
    fn its_label_and_annotation_say_how_far_and_what_was_done() {
        for (label, to) in [("1", 1), ("1000", 1_000), ("0", 0), ("1001", 0), ("many", 0), ("-3", 0), ("", 0)]
        {
            let object = json!({ "metadata": { "labels": { SCALE_TO: label } } });
            assert_eq!(Marks::of(&object).scale_to, to, "{label}");
        }
        let scaled = Scaled { from: 3, to: 5, at: now() };
        assert_eq!(Scaled::parse(&scaled.text("u"), "u"), Some(scaled));
        assert_eq!(Scaled::parse(&scaled.text("u"), "v"), None, "a copy was never scaled");
        for text in [
            "",
            "3 5",
            "3 5 then u",
            "3 5 2026-12-01T12:00:00Z",
            "3 5 2026-12-01T12:00:00Z u more",
            "a 5 2026-12-01T12:00:00Z u",
            "0 5 2026-12-01T12:00:00Z u",
            "5 5 2026-12-01T12:00:00Z u",
        ] {
            assert_eq!(Scaled::parse(text, "u"), None, "{text}");
        }
        let misread = json!({ "metadata": { "labels": { SCALE_TO: "2000" } } });
        assert_eq!(SlimScaled::misread(&misread), Some("2000"));
        assert_eq!(SlimScaled::misread(&json!({ "metadata": { "labels": { SCALE_TO: "20" } } })), None);
        assert_eq!(Marks::of(&json!({})), Marks::default());
    }

    #[test]
    fn who_else_scales_it_is_told() {
        let keda = web(|web| {
            web["metadata"]["managedFields"] =
                json!([{ "manager": "keda-operator", "fieldsV1": { "f:spec": { "f:replicas": {} } } }]);
        });
        let told = keda.load("Deployment", &[], &[], now());
        assert!(told.manager_evidence.contains("keda-operator"), "{told:?}");
        let mut vertical = pod("a", "1");
        vertical.metadata.annotations.vpa = Some("Pod resources updated by web".into());
        let told = web(|_| {}).load("Deployment", &[vertical], &[], now());
        assert_eq!(told.vertical, "annotation vpaUpdates: Pod resources updated by web");
        assert!(
            web(|web| web["spec"]["selector"]["matchExpressions"] = json!([{ "key": "a" }]))
                .pod_labels()
                .is_none()
        );
        assert!(web(|web| web["spec"]["selector"] = json!({})).pod_labels().is_none());
        assert!(web(|_| {}).pod_labels().is_some());
    }
}
