//! The agent's rules for `scale_workload`, the action that gives a Deployment or StatefulSet more pods while it is busy, and takes them back
//! later.
//!
//! What the agent reads again is the workload, its pods, the namespace's autoscalers and quotas: that it has as many as was planned on, that
//! nobody else decides how many it has (an autoscaler, a VerticalPodAutoscaler, a manager), that it is settled and all its pods are ready, and
//! that more fit in the quotas. More than its own label allows it never gets, and fewer than it had before Nimbus scaled it out neither. How busy
//! it is, the control plane judges.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::MORE_REPLICAS;
use nimbus_protocol::v1;
use serde_json::Value;

use super::replica_room::{More, obstacle};
use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::observe::kube::load::{LoadedPod, MOST, Marks, Scaled};
use crate::observe::kube::pod_asks::PodAsks;
use crate::refusal::Refusal;

/// However the control plane is set up, a workload is scaled by this agent no sooner after it was scaled last.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// What is read again right before acting.
#[derive(Debug, Clone, Copy)]
pub struct ScaledNow<'a> {
    /// The workload as it is observed, and as the API server has it; `None` where it no longer exists.
    pub workload: Option<(&'a v1::WorkloadLoad, &'a Value)>,
    /// The pods that its selector chooses: whether they are ready, and what they ask for.
    pub pods: &'a [LoadedPod],
    /// The autoscalers of the namespace.
    pub autoscalers: &'a [Value],
    /// The quotas of the namespace.
    pub quotas: &'a [Value],
    /// The agent's own time: by the control plane's a captured one would say how long a pause is.
    pub now: Timestamp,
}

/// What Nimbus scaled this object from and to, where that still holds: somebody else may have set another number since.
pub fn still_scaled(object: &Value) -> Option<Scaled> {
    let replicas = object["spec"]["replicas"].as_u64()?;
    Marks::of(object).scaled.filter(|scaled| u64::from(scaled.to) == replicas && scaled.from < scaled.to)
}

impl AgentRules for v1::ScaleWorkload {
    type Found<'a> = ScaledNow<'a>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// The workload asks for it by its label, and states how far.
    fn needs_approval(&self) -> bool {
        false
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        object::named("scale_workload.workload", self.workload.as_ref())?;
        if !matches!(self.kind.as_str(), "Deployment" | "StatefulSet") {
            return malformed("scale_workload.kind", "Deployment or StatefulSet");
        }
        if self.base_replicas == 0 || self.base_replicas > self.from_replicas {
            return malformed("scale_workload.base_replicas", "from 1 to from_replicas");
        }
        let most = self.from_replicas.saturating_mul(2).min(MOST);
        let is_out = self.to_replicas > self.from_replicas && self.to_replicas <= most;
        let is_in = self.to_replicas < self.from_replicas && self.to_replicas >= self.base_replicas;
        if !is_out && !is_in {
            return malformed(
                "scale_workload.to_replicas",
                "more than from_replicas, at most twice of it and 1000, or fewer and no fewer than base_replicas",
            );
        }
        Ok(())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Namespace(object::namespace(self.workload.as_ref()))]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let wanted = self.workload.as_ref();
        let name = format!("{} {}", self.kind, object::name(wanted));
        let Some((now, value)) = found.workload else {
            return Err(unexpected(format!("expected {name}, found none")));
        };
        object::same(&self.kind, wanted, now.meta.as_ref())?;
        if now.replicas != self.from_replicas {
            return Err(unexpected(format!(
                "expected {name} with {} replicas, found {}",
                self.from_replicas, now.replicas
            )));
        }
        nobody_else(self, &name, now, &found)?;
        let ready = found.pods.iter().filter(|pod| pod.is_ready()).count();
        let is_ready = u32::try_from(ready).is_ok_and(|ready| ready >= self.from_replicas);
        if !now.settled || !is_ready {
            return Err(unexpected(format!(
                "expected {name} with {} pods that are ready and no rollout under way, found {ready}",
                self.from_replicas
            )));
        }
        if let Some(scaled) = Marks::of(value).scaled.filter(|scaled| scaled.to > now.replicas) {
            return Err(unexpected(format!(
                "expected that nobody took back what {name} was scaled to, found {} after {}",
                now.replicas, scaled.to
            )));
        }
        let scaled = still_scaled(value);
        let base = scaled.map_or(self.from_replicas, |scaled| scaled.from);
        if base != self.base_replicas {
            return Err(unexpected(format!(
                "expected {name} to have had {} replicas before it was scaled out, found {base}",
                self.base_replicas
            )));
        }
        match Marks::of(value).scaled {
            // One that is dated further ahead was dated by a clock that has jumped since, and keeps nothing for years.
            Some(last) if found.now.duration_since(last.at).abs() < LEAST_PAUSE => {
                return Err(unexpected(format!(
                    "expected {name} not to have been scaled within a minute, found that it was at {:.0}",
                    last.at
                )));
            }
            Some(_) | None => {}
        }
        if self.to_replicas > self.from_replicas { has_room(self, &name, now, value, &found) } else { Ok(()) }
    }

    fn permissions() -> &'static [Permission] {
        &[
            Permission { group: "", resource: "pods", verbs: &["list"] },
            Permission { group: "", resource: "resourcequotas", verbs: &["list"] },
            Permission { group: "apps", resource: "deployments", verbs: &["get", "patch"] },
            Permission { group: "apps", resource: "statefulsets", verbs: &["get", "patch"] },
            Permission { group: "autoscaling", resource: "horizontalpodautoscalers", verbs: &["list"] },
        ]
    }
}

/// Does nobody else decide how many pods it has, or what they ask for?
fn nobody_else(
    action: &v1::ScaleWorkload,
    name: &str,
    now: &v1::WorkloadLoad,
    found: &ScaledNow<'_>,
) -> Result<(), Refusal> {
    if !now.manager.is_empty() {
        return Err(unexpected(format!(
            "expected a workload that nobody else manages, found {} ({})",
            now.manager, now.manager_evidence
        )));
    }
    if !now.vertical.is_empty() || found.pods.iter().any(LoadedPod::is_set_vertically) {
        return Err(unexpected(format!(
            "expected that nobody sets what the pods of {name} ask for, found a VerticalPodAutoscaler (annotation vpaUpdates)"
        )));
    }
    let target_name = action.workload.as_ref().map_or("", |target| target.name.as_str());
    let scales = |it: &&Value| {
        let target = &it["spec"]["scaleTargetRef"];
        target["kind"] == action.kind.as_str() && target["name"] == target_name
    };
    match found.autoscalers.iter().find(scales) {
        Some(it) => Err(unexpected(format!(
            "expected no autoscaler of {name}, found HorizontalPodAutoscaler {}",
            it["metadata"]["name"].as_str().unwrap_or_default()
        ))),
        None => Ok(()),
    }
}

/// May it have so many by its own label and the quotas?
fn has_room(
    action: &v1::ScaleWorkload,
    name: &str,
    now: &v1::WorkloadLoad,
    value: &Value,
    found: &ScaledNow<'_>,
) -> Result<(), Refusal> {
    if action.to_replicas > now.scale_to {
        return Err(unexpected(format!(
            "expected {name} to allow {} replicas by its label nimbus.dev/scale-to, found {}",
            action.to_replicas, now.scale_to
        )));
    }
    let like: Vec<PodAsks> = found.pods.iter().filter(|pod| pod.is_active()).map(LoadedPod::whole).collect();
    let with_claims =
        value["spec"]["volumeClaimTemplates"].as_array().is_some_and(|templates| !templates.is_empty());
    let pods = action.to_replicas.saturating_sub(action.from_replicas);
    match obstacle(More { pods, like: &like, with_claims }, found.quotas) {
        Some(why) => Err(unexpected(format!("{MORE_REPLICAS} of {name}, found: {why}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "scale_workload_tests.rs"]
mod tests;
