//! The HorizontalPodAutoscaler of the inventory: what it scales, within which bounds, and whether it would go beyond them.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{ITEMS, NAME, TEXT, WORD, cut, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// The reason by which Kubernetes says that more replicas are wanted than there may be.
const AT_MAXIMUM: &str = "TooManyReplicas";
/// The reason by which it says that there are no replicas, and none are made.
const SWITCHED_OFF: &str = "ScalingDisabled";
/// Agents tell so much, or more, as this, thousandths of the aim.
const MOST: u64 = 100_000;

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
    /// How many are asked for now; there may be fewer.
    pub current_replicas: i32,
    /// How many it wants, within its bounds.
    pub desired_replicas: i32,
    /// Can it read and write how many there are: `True`, `False` or `Unknown`. Where it cannot, all else that it says is of before.
    pub able_to_scale: String,
    /// Does it scale: `True`, `False` or `Unknown`.
    pub scaling_active: String,
    /// Why it does not, in Kubernetes' word.
    pub inactive_reason: String,
    /// Why it is held at one of its bounds; empty where it is not.
    pub limited_reason: String,
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
    /// The field manager that last wrote its bounds, apart from agents of Nimbus; empty where that is not told.
    #[serde(default)]
    pub bounds_writer: String,
    /// Does its own specification let it make no more at all?
    #[serde(default)]
    pub never_scales_up: bool,
    /// What Nimbus raised its maximum to last; `None` where its annotation says nothing.
    #[serde(default)]
    pub raised_to: Option<u32>,
    /// Since when it was seen in its state ([`Self::state`]) without a break; at its maximum is one, whatever it measures.
    #[serde(default)]
    pub state_since: Option<Timestamp>,
}

/// A metric of an autoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoscalerMetric {
    /// In words, such as `cpu`.
    pub name: String,
    /// What is measured in thousandths of what is aimed at; `None` where that is not known.
    pub of_aim_permille: Option<u64>,
}

impl AutoscalerMetric {
    /// Is it measured, and is the figure not a bound that it is beyond?
    fn figure(&self) -> Option<u64> {
        self.of_aim_permille.filter(|permille| *permille < MOST)
    }
}

/// What an autoscaler says of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoscalerState {
    /// It is held at its maximum, and a metric is above its aim.
    WantsMore,
    /// It is held at its maximum; whether a metric is above its aim is not known.
    MayWantMore,
    /// It scales, and its maximum holds nothing back that is measured now.
    Within,
    /// It is switched off: there are no replicas.
    Off,
    /// It does not scale, or says nothing of now.
    Unknown,
}

impl HorizontalPodAutoscaler {
    /// What it says of now. Kubernetes keeps the greatest wish of the last minutes: what is measured tells whether it still holds.
    pub fn state(&self) -> AutoscalerState {
        let is_seen = self.observed_generation == 0 || self.observed_generation >= self.generation;
        if self.able_to_scale != "True" || !is_seen || self.meta.deleting {
            return AutoscalerState::Unknown;
        }
        if self.scaling_active == "False"
            && self.inactive_reason == SWITCHED_OFF
            && self.current_replicas == 0
        {
            return AutoscalerState::Off;
        }
        if self.scaling_active != "True" {
            return AutoscalerState::Unknown;
        }
        if self.limited_reason != AT_MAXIMUM || self.min_replicas >= self.max_replicas {
            // One whose bounds are one number was pinned by whoever wrote them.
            return AutoscalerState::Within;
        }
        let is_above =
            |metric: &AutoscalerMetric| metric.of_aim_permille.is_some_and(|permille| permille > 1_000);
        if self.metrics.iter().any(is_above) {
            AutoscalerState::WantsMore
        } else if self.metrics.is_empty()
            || self.metrics.iter().any(|metric| metric.of_aim_permille.is_none())
        {
            AutoscalerState::MayWantMore
        } else {
            AutoscalerState::Within
        }
    }

    /// Is it held at its maximum, as far as is known?
    pub fn is_at_maximum(&self) -> bool {
        matches!(self.state(), AutoscalerState::WantsMore | AutoscalerState::MayWantMore)
    }

    /// What is remembered of what it said before. `LastTransitionTime` of its condition is of no use: it tells since when it is held at
    /// one of its bounds, whichever.
    pub(in crate::world) fn remember(&mut self, before: Option<&Self>, observed_at: Timestamp) {
        let same = before.filter(|before| {
            before.is_at_maximum() == self.is_at_maximum()
                && (self.is_at_maximum() || before.state() == self.state())
        });
        self.state_since = same.and_then(|before| before.state_since).or(Some(observed_at));
    }

    /// How many replicas would bring the metric that is furthest above its aim to it, if all that are asked for are there and ready,
    /// and whether that is all of it: with a metric that is not known it is the least. `None` where nothing can be said.
    pub fn wanted(&self) -> Option<(u64, bool)> {
        if self.metrics.iter().any(|metric| metric.of_aim_permille.is_some_and(|permille| permille >= MOST)) {
            return None;
        }
        let most = self.metrics.iter().filter_map(AutoscalerMetric::figure).max()?;
        let current = u64::try_from(self.current_replicas).ok()?;
        let wanted = current.saturating_mul(most).div_ceil(1_000);
        let is_more = u64::try_from(self.max_replicas).is_ok_and(|max| wanted > max);
        let all_known = self.metrics.iter().all(|metric| metric.of_aim_permille.is_some());
        is_more.then_some((wanted, all_known))
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
            able_to_scale: told.able_to_scale,
            scaling_active: told.scaling_active,
            inactive_reason: told.inactive_reason,
            limited_reason: told.limited_reason,
            metrics: told.metrics.into_iter().map(metric).collect(),
            manager: told.manager,
            manager_evidence: told.manager_evidence,
            generation: told.generation,
            observed_generation: told.observed_generation,
            bounds_writer: told.bounds_writer,
            never_scales_up: told.never_scales_up,
            raised_to: Some(told.raised_to).filter(|to| *to > 0),
            state_since: None,
        }
    }
}

/// Cuts what is too long; false where the autoscaler cannot be kept.
pub(super) fn bound(told: &mut v1::HorizontalPodAutoscaler) -> bool {
    for name in [&mut told.target_api_version, &mut told.target_kind, &mut told.target_name] {
        cut(name, NAME);
    }
    let words = [&mut told.able_to_scale, &mut told.scaling_active, &mut told.inactive_reason];
    for word in
        words.into_iter().chain([&mut told.limited_reason, &mut told.manager, &mut told.bounds_writer])
    {
        cut(word, WORD);
    }
    cut(&mut told.manager_evidence, TEXT);
    told.metrics.truncate(ITEMS);
    for metric in &mut told.metrics {
        cut(&mut metric.name, NAME);
    }
    is_meta_kept(told.meta.as_mut())
}
