//! The HorizontalPodAutoscaler of the inventory: what it scales, within which bounds, and whether it would go beyond them.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{ITEMS, NAME, TEXT, WORD, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

/// The reason by which Kubernetes says that more replicas are wanted than there may be.
const AT_MAXIMUM: &str = "TooManyReplicas";

/// A HorizontalPodAutoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HorizontalPodAutoscaler {
    /// Who it is.
    pub meta: Meta,
    /// The API version of what it scales.
    pub target_api_version: String,
    /// The kind of what it scales.
    pub target_kind: String,
    /// The name of what it scales, in its own namespace.
    pub target_name: String,
    /// The least that it makes.
    pub min_replicas: i32,
    /// The most that it makes.
    pub max_replicas: i32,
    /// How many there are.
    pub current_replicas: i32,
    /// How many it wants, within its bounds.
    pub desired_replicas: i32,
    /// Does it scale: `True`, `False` or `Unknown`.
    pub scaling_active: String,
    /// Why it does not.
    pub inactive_reason: String,
    /// Why it is held at one of its bounds; empty where it is not.
    pub limited_reason: String,
    /// Since when.
    pub limited_since: Option<Timestamp>,
    /// What it measures, while it is held at its maximum.
    pub metrics: Vec<AutoscalerMetric>,
    /// Who keeps it in its desired state; empty where nobody known does.
    pub manager: String,
    /// What says so.
    pub manager_evidence: String,
    /// Counts changes of its specification.
    pub generation: i64,
    /// Up to which of them its controller has seen it; 0 where that is not told.
    pub observed_generation: i64,
}

/// A metric of an autoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoscalerMetric {
    /// In words, such as `cpu`.
    pub name: String,
    /// What is measured in thousandths of what is aimed at; `None` where that is not known.
    pub of_aim_permille: Option<u64>,
}

impl HorizontalPodAutoscaler {
    /// Does its controller say that it would make more replicas than it may, and since when?
    pub fn at_maximum_since(&self) -> Option<Timestamp> {
        let seen = self.observed_generation == 0 || self.observed_generation >= self.generation;
        let limited = self.limited_reason == AT_MAXIMUM && self.scaling_active == "True";
        self.limited_since.filter(|_| limited && seen && !self.meta.deleting)
    }

    /// How many replicas would bring the metric that is furthest above its aim to it, by what is measured now, as Kubernetes reckons:
    /// never fewer than are there. `None` where no metric is known.
    pub fn wanted(&self) -> Option<u64> {
        let most = self.metrics.iter().filter_map(|metric| metric.of_aim_permille).max()?;
        let current = u64::try_from(self.current_replicas).ok()?;
        Some(current.saturating_mul(most).div_ceil(1_000).max(current))
    }
}

impl Object for HorizontalPodAutoscaler {
    const KIND: ObjectKind = ObjectKind::HorizontalPodAutoscaler;
    const API_VERSION: &'static str = "autoscaling/v2";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::HorizontalPodAutoscaler> for HorizontalPodAutoscaler {
    fn from(told: v1::HorizontalPodAutoscaler) -> Self {
        let metric = |metric: v1::AutoscalerMetric| AutoscalerMetric {
            name: metric.name,
            of_aim_permille: Some(metric.of_aim_permille).filter(|permille| *permille > 0),
        };
        Self {
            meta: told.meta.unwrap_or_default().into(),
            target_api_version: told.target_api_version,
            target_kind: told.target_kind,
            target_name: told.target_name,
            min_replicas: told.min_replicas,
            max_replicas: told.max_replicas,
            current_replicas: told.current_replicas,
            desired_replicas: told.desired_replicas,
            scaling_active: told.scaling_active,
            inactive_reason: told.inactive_reason,
            limited_reason: told.limited_reason,
            limited_since: at(told.limited_since_us),
            metrics: told.metrics.into_iter().map(metric).collect(),
            manager: told.manager,
            manager_evidence: told.manager_evidence,
            generation: told.generation,
            observed_generation: told.observed_generation,
        }
    }
}

/// Cuts what is too long; false where the autoscaler cannot be kept.
pub(super) fn bound(told: &mut v1::HorizontalPodAutoscaler) -> bool {
    for name in [&mut told.target_api_version, &mut told.target_kind, &mut told.target_name] {
        cut(name, NAME);
    }
    for word in [&mut told.scaling_active, &mut told.limited_reason, &mut told.manager] {
        cut(word, WORD);
    }
    for text in [&mut told.inactive_reason, &mut told.manager_evidence] {
        cut(text, TEXT);
    }
    told.metrics.truncate(ITEMS);
    for metric in &mut told.metrics {
        cut(&mut metric.name, NAME);
    }
    is_meta_kept(told.meta.as_mut())
}
