//! The agent's rules for `raise_autoscaler_maximum`, the action that raises how many replicas a HorizontalPodAutoscaler may make.
//!
//! What the agent reads again is the autoscaler, what it scales, and the namespace's quotas: that the autoscaler is what was planned on
//! and is held back now by a metric above its aim, that nobody else keeps its bounds, that all pods which are asked for are ready, that
//! the quotas let more be made, and that Nimbus did not raise it within the last minutes. Whether nodes have room, the control plane
//! judges.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::MORE_REPLICAS;
use nimbus_protocol::v1;
use serde_json::Value;

use super::replica_room::{More, obstacle};
use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::observe::kube::load::SlimScaled;
use crate::observe::kube::pod_asks::PodAsks;
use crate::observe::kube::{RAISED_MAXIMUM, raised_maximum};
use crate::refusal::Refusal;

/// However the control plane is set up, an autoscaler's maximum is raised by this agent no sooner after it was raised last.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// However the control plane is set up, no autoscaler may make more replicas by this agent.
const MOST: u32 = 1_000;
/// What the reason of `ScalingLimited` is where more replicas are wanted than there may be.
const AT_MAXIMUM: &str = "TooManyReplicas";

/// What is read again right before acting; `None` for what no longer exists.
#[derive(Debug, Clone, Copy)]
pub struct AutoscalerNow<'a> {
    /// The autoscaler as it is observed, and as the API server has it.
    pub autoscaler: Option<(&'a v1::HorizontalPodAutoscaler, &'a Value)>,
    /// What it scales, as the API server has it.
    pub scaled: Option<&'a Value>,
    /// The pods that its selector chooses.
    pub pods: &'a [PodAsks],
    /// The quotas of the namespace.
    pub quotas: &'a [Value],
    /// The agent's own time: by the control plane's a captured one would say how long a pause is.
    pub now: Timestamp,
}

/// When Nimbus raised this maximum last; `None` where it never did, or where that cannot be read.
fn raised_at(autoscaler: &Value) -> Option<Timestamp> {
    raised_maximum(autoscaler["metadata"]["annotations"][RAISED_MAXIMUM].as_str()?).map(|(_, at)| at)
}

impl AgentRules for v1::RaiseAutoscalerMaximum {
    type Found<'a> = AutoscalerNow<'a>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// More replicas cost more, and what is behind them has to bear them.
    fn needs_approval(&self) -> bool {
        true
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        object::named("raise_autoscaler_maximum.autoscaler", self.autoscaler.as_ref())?;
        if !matches!(self.target_kind.as_str(), "Deployment" | "StatefulSet") || self.target_name.is_empty() {
            return malformed(
                "raise_autoscaler_maximum.target_kind",
                "a Deployment or a StatefulSet, and its name",
            );
        }
        let most = self.from_replicas.saturating_mul(2).min(MOST);
        if self.to_replicas <= self.from_replicas || self.to_replicas > most {
            return malformed(
                "raise_autoscaler_maximum.to_replicas",
                "more than from_replicas, at most twice of it and 1000",
            );
        }
        Ok(())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Namespace(object::namespace(self.autoscaler.as_ref()))]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let wanted = self.autoscaler.as_ref();
        let name = object::name(wanted);
        let Some((now, value)) = found.autoscaler else {
            return Err(unexpected(format!("expected HorizontalPodAutoscaler {name}, found none")));
        };
        object::same("HorizontalPodAutoscaler", wanted, now.meta.as_ref())?;
        is_as_planned(self, &name, now)?;
        is_held_back(&name, now)?;
        match raised_at(value) {
            // One that is dated further ahead was dated by a clock that has jumped since, and keeps nothing for years.
            Some(at) if found.now.duration_since(at).abs() < LEAST_PAUSE => {
                return Err(unexpected(format!(
                    "expected the maximum of {name} not to have been raised within five minutes, found that it was at {at:.0}"
                )));
            }
            Some(_) | None => {}
        }
        has_room(self, &found)
    }

    fn permissions() -> &'static [Permission] {
        &[
            Permission { group: "", resource: "pods", verbs: &["list"] },
            Permission { group: "", resource: "resourcequotas", verbs: &["list"] },
            Permission { group: "apps", resource: "deployments", verbs: &["get"] },
            Permission { group: "apps", resource: "statefulsets", verbs: &["get"] },
            Permission {
                group: "autoscaling",
                resource: "horizontalpodautoscalers",
                verbs: &["get", "patch"],
            },
        ]
    }
}

/// Is it the autoscaler that was planned on, within the bounds of then, and nobody else's?
fn is_as_planned(
    action: &v1::RaiseAutoscalerMaximum,
    name: &str,
    now: &v1::HorizontalPodAutoscaler,
) -> Result<(), Refusal> {
    if u32::try_from(now.max_replicas) != Ok(action.from_replicas) {
        return Err(unexpected(format!(
            "expected {name} to make at most {} replicas, found {}",
            action.from_replicas, now.max_replicas
        )));
    }
    let is_it = now.target_api_version.starts_with("apps/")
        && now.target_kind == action.target_kind
        && now.target_name == action.target_name;
    if !is_it {
        return Err(unexpected(format!(
            "expected {name} to scale {} {}, found {} {} of {}",
            action.target_kind, action.target_name, now.target_kind, now.target_name, now.target_api_version
        )));
    }
    if now.min_replicas >= now.max_replicas {
        return Err(unexpected(format!(
            "expected {name} with room between its bounds, found both at {}: somebody pinned it",
            now.max_replicas
        )));
    }
    if now.raised_to > action.from_replicas {
        return Err(unexpected(format!(
            "expected that nobody took back what {name} was raised to, found {} after {}",
            now.max_replicas, now.raised_to
        )));
    }
    if now.never_scales_up {
        return Err(unexpected(format!(
            "{MORE_REPLICAS} by {name}, found that its behavior.scaleUp.selectPolicy is Disabled"
        )));
    }
    if now.manager.is_empty() {
        Ok(())
    } else {
        Err(unexpected(format!(
            "expected an autoscaler that nobody else manages, found {} ({})",
            now.manager, now.manager_evidence
        )))
    }
}

/// Are all that are asked for ready, and do the quotas let more be made?
fn has_room(action: &v1::RaiseAutoscalerMaximum, found: &AutoscalerNow<'_>) -> Result<(), Refusal> {
    let what = format!("{} {}", action.target_kind, action.target_name);
    let Some(scaled) = found.scaled.filter(|scaled| scaled["metadata"]["deletionTimestamp"].is_null()) else {
        return Err(unexpected(format!("expected {what}, found none, or one that is being deleted")));
    };
    let Some(now) = SlimScaled::of(scaled).filter(SlimScaled::is_settled) else {
        return Err(unexpected(format!(
            "expected {what} without a rollout under way, found one, or that it is paused"
        )));
    };
    let ready = now.ready_now().unwrap_or(0);
    if ready < action.from_replicas {
        return Err(unexpected(format!(
            "expected {} pods of {what} that are ready, found {ready}",
            action.from_replicas
        )));
    }
    if found.pods.is_empty() {
        return Err(unexpected(format!("expected pods of {what}, found none that its selector chooses")));
    }
    let with_claims =
        scaled["spec"]["volumeClaimTemplates"].as_array().is_some_and(|templates| !templates.is_empty());
    let pods = action.to_replicas.saturating_sub(action.from_replicas);
    match obstacle(More { pods, like: found.pods, with_claims }, found.quotas) {
        Some(why) => Err(unexpected(format!("{MORE_REPLICAS} of {what}, found: {why}"))),
        None => Ok(()),
    }
}

/// Does it scale, and say of now that it would make more?
fn is_held_back(name: &str, now: &v1::HorizontalPodAutoscaler) -> Result<(), Refusal> {
    let is_seen = now.observed_generation == 0 || now.observed_generation >= now.generation;
    if now.able_to_scale != "True" || now.scaling_active != "True" || !is_seen {
        return Err(unexpected(format!(
            "expected {name} to scale, found AbleToScale {}, ScalingActive {} {}",
            now.able_to_scale, now.scaling_active, now.inactive_reason
        )));
    }
    let is_above = now.metrics.iter().any(|metric| metric.of_aim_permille > 1_000);
    if now.limited_reason != AT_MAXIMUM || !is_above {
        return Err(unexpected(format!(
            "expected {name} to be held at its maximum by a metric above its aim, found that it wants no more now"
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "raise_autoscaler_maximum_tests.rs"]
mod tests;
