//! The metadata of a slim object: its identity, its controlling owner, its labels, and the few annotations that decisions
//! use.

use nimbus_protocol::v1;
use serde::Deserialize;

use super::labels::{AllLabels, Annotations, Labels, Owner};
use super::micros;
use super::owners::{self, ManagedFields, Marks, Part};
use crate::observe::bounded;

/// The annotation that says what Nimbus raised an autoscaler's maximum to last, and when, by the clock of the agent that did.
pub const RAISED_MAXIMUM: &str = "nimbus.dev/raised-maximum";

/// The parts of an object's metadata that are used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimMeta {
    /// UID.
    pub uid: String,
    /// Namespace; empty for a cluster's own objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Opaque version of this state of it.
    pub resource_version: String,
    /// Counts changes of the specification.
    pub generation: i64,
    creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
    owner_references: Option<Vec<Owner>>,
    managed_fields: Option<Vec<ManagedFields>>,
    labels: Option<AllLabels>,
    annotations: Option<Annotations>,
}

impl SlimMeta {
    pub(super) fn observe(&self) -> v1::ObjectMeta {
        let owner = self.controller();
        let of = |field: fn(&Owner) -> &String| owner.map(field).cloned().unwrap_or_default();
        v1::ObjectMeta {
            uid: self.uid.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            resource_version: self.resource_version.clone(),
            created_at_us: micros(self.creation_timestamp.as_ref()),
            deleting_since_us: self.deleting_since(),
            owner_kind: of(|o| &o.kind),
            owner_name: of(|o| &o.name),
            owner_uid: of(|o| &o.uid),
            owner_api_version: of(|o| &o.api_version),
        }
    }

    /// A deletion whose time cannot be read is a deletion all the same.
    fn deleting_since(&self) -> i64 {
        match &self.deletion_timestamp {
            None => 0,
            time => micros(time.as_ref()).max(1),
        }
    }

    fn controller(&self) -> Option<&Owner> {
        self.owner_references.iter().flatten().find(|o| o.controller)
    }

    /// `deployment.kubernetes.io/revision`; 0 when absent.
    pub(super) fn revision(&self) -> u64 {
        self.annotation(|a| &a.revision).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The revision of the StatefulSet or DaemonSet that a pod was made from; empty for other pods.
    pub(super) fn controller_revision(&self) -> String {
        self.label(|l| &l.controller_revision).cloned().unwrap_or_default()
    }

    /// All its labels.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&String, &String)> {
        self.labels.iter().flat_map(|labels| &labels.all)
    }

    /// The value of a label.
    pub(super) fn label_of(&self, key: &str) -> Option<&String> {
        self.labels.as_ref().and_then(|labels| labels.all.get(key))
    }

    pub(super) fn is_control_plane(&self) -> bool {
        self.label(|l| &l.control_plane).is_some()
    }

    /// The labels that say in which zone and region it is.
    pub(super) fn zones(&self) -> impl Iterator<Item = (&'static str, &str)> {
        const KEYS: [&str; 4] = [
            "topology.kubernetes.io/zone",
            "topology.kubernetes.io/region",
            "failure-domain.beta.kubernetes.io/zone",
            "failure-domain.beta.kubernetes.io/region",
        ];
        KEYS.into_iter().filter_map(|key| Some((key, self.label_of(key)?.as_str())))
    }

    pub(super) fn cordoned_by(&self) -> String {
        self.annotation(|a| &a.cordoned_by).cloned().unwrap_or_default()
    }

    /// The annotations that ask not to disturb the object, each in words.
    pub(super) fn do_not_disturb(&self) -> Vec<String> {
        // The first asks with one value, the others with every value but one.
        let evict = self.annotation(|a| &a.safe_to_evict).filter(|value| *value == "false");
        let asks = [
            ("karpenter.sh/do-not-disrupt", self.annotation(|a| &a.do_not_disrupt)),
            ("karpenter.sh/do-not-evict", self.annotation(|a| &a.do_not_evict)),
            (
                "descheduler.alpha.kubernetes.io/prefer-no-eviction",
                self.annotation(|a| &a.prefer_no_eviction),
            ),
        ];
        let asks = asks.map(|(key, value)| (key, value.filter(|value| *value != "false")));
        let all = [("cluster-autoscaler.kubernetes.io/safe-to-evict", evict)].into_iter().chain(asks);
        all.filter_map(|(key, value)| Some(format!("annotation {key}: {}", bounded(value?)))).collect()
    }

    /// Who keeps the object in its desired state, the topmost in one word, and all the evidence for that; `None` when nobody
    /// known does.
    pub(super) fn manager(&self) -> Option<(&'static str, String)> {
        self.manager_of(Part::Template, &[])
    }

    /// The same of a claim. The StatefulSet whose pods use it, and such a pod, own it only so that it goes with them.
    pub(super) fn manager_of_claim(&self) -> Option<(&'static str, String)> {
        self.manager_of(Part::Resources, &[("StatefulSet", "apps/"), ("Pod", "v1")])
    }

    /// The same of an autoscaler.
    pub(super) fn manager_of_bounds(&self) -> Option<(&'static str, String)> {
        self.manager_of(Part::Bounds, &[])
    }

    /// The field manager that last wrote how much a claim asks for.
    pub(super) fn size_writer(&self) -> Option<&str> {
        self.last_writer(ManagedFields::has_resources).map(|(writer, _)| writer)
    }

    /// The same of how many pods a workload has.
    pub(super) fn manager_of_replicas(&self) -> Option<(&'static str, String)> {
        self.manager_of(Part::Replicas, &[])
    }

    /// The field manager that last wrote the bounds of an autoscaler, apart from agents of Nimbus.
    pub(super) fn bounds_writer(&self) -> Option<&str> {
        self.last_writer(|entry| entry.has_bounds() && !entry.manager.starts_with("nimbus"))
            .map(|(writer, _)| writer)
    }

    /// What the annotation of an autoscaler says that Nimbus raised its maximum to last, and when.
    pub(super) fn raised_maximum(&self) -> Option<(u32, jiff::Timestamp)> {
        raised_maximum(self.annotation(|a| &a.raised_maximum)?)
    }

    fn manager_of(&self, part: Part, beside: &[(&str, &str)]) -> Option<(&'static str, String)> {
        let owners = self.owner_references.iter().flatten();
        let is_beside = |owner: &Owner| {
            beside.iter().any(|(kind, group)| owner.kind == *kind && owner.api_version.starts_with(group))
        };
        owners::manager(&Marks {
            part,
            labels: self.labels.as_ref().map(|labels| &labels.known),
            annotations: self.annotations.as_ref(),
            owners: owners.filter(|owner| !is_beside(owner)).collect(),
            managed: self.managed_fields.as_deref().unwrap_or_default(),
        })
    }

    /// The field manager that last wrote the pod template, and when, microseconds.
    pub(super) fn template_writer(&self) -> Option<(&str, i64)> {
        self.last_writer(ManagedFields::has_template)
    }

    /// The field manager that last wrote a part of a ConfigMap's content, and when, microseconds.
    pub(super) fn content_writer(&self) -> Option<(&str, i64)> {
        self.last_writer(ManagedFields::has_content)
    }

    fn last_writer(&self, wrote: fn(&ManagedFields) -> bool) -> Option<(&str, i64)> {
        let writers = self.managed_fields.iter().flatten().filter(|entry| wrote(entry));
        writers.map(|entry| (entry.manager.as_str(), micros(entry.time.as_ref()))).max_by_key(|(_, at)| *at)
    }

    fn label(&self, which: fn(&Labels) -> &Option<String>) -> Option<&String> {
        self.labels.as_ref().and_then(|l| which(&l.known).as_ref())
    }

    fn annotation(&self, which: fn(&Annotations) -> &Option<String>) -> Option<&String> {
        self.annotations.as_ref().and_then(|a| which(a).as_ref())
    }
}

/// What the annotation [`RAISED_MAXIMUM`] says: to how many, and when, as `15 2026-12-01T12:00:00Z`.
pub fn raised_maximum(text: &str) -> Option<(u32, jiff::Timestamp)> {
    let (to, at) = text.split_once(' ')?;
    Some((to.parse().ok()?, at.parse().ok()?))
}
