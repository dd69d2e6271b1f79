//! The cause `autoscaler_at_maximum`: a HorizontalPodAutoscaler makes as many replicas as it may for a while, and would make more.
//!
//! How many would do is reckoned from what it measures; where that is not known, no number is said. Whether a greater maximum helps is
//! another question, and the recommendation says what speaks against it: pods of its target that are not there, cannot be scheduled or
//! are not ready, and whoever keeps its bounds. Figures that move are in the evidence alone, so that they write no history.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{AutoscalerState, HorizontalPodAutoscaler, Inventory, Object as _, Pod, manager_name};

pub(super) struct AutoscalerAtMaximum;

const NEEDS: &[ObjectKind] = &[ObjectKind::HorizontalPodAutoscaler];
/// What is needed to say how the pods of its target are.
const PODS: &[ObjectKind] = &[ObjectKind::Pod, ObjectKind::ReplicaSet, ObjectKind::Deployment];

/// How long it is seen within its bounds before it is over: at the edge it comes and goes.
const WELL: SignedDuration = SignedDuration::from_mins(2);

impl Cause for AutoscalerAtMaximum {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    /// The last in the order of keys: where a cluster has more incidents than are kept, what fails is opened before what is busy.
    fn key_word(&self) -> &'static str {
        "workload-autoscaler"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let at_maximum = inventory.horizontal_pod_autoscalers.values().filter(|it| it.is_at_maximum());
        let finding = |it: &HorizontalPodAutoscaler| {
            let scope = Scope::Cluster(cluster.to_owned());
            Finding::new(IncidentKind::AutoscalerAtMaximum, scope, it.object(), vec![evidence(it)])
        };
        at_maximum.map(finding).collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let found = s.inventory(scope).and_then(|all| all.horizontal_pod_autoscalers.get(object.uid()));
        let Some((it, since)) = found.and_then(|it| Some((it, it.state_since?))) else { return false };
        let lasting = match it.state() {
            AutoscalerState::WantsMore => s.settings.autoscalers.lasting(),
            AutoscalerState::MayWantMore => s.settings.autoscalers.lasting() * 2,
            AutoscalerState::Within | AutoscalerState::Off | AutoscalerState::Unknown => return false,
        };
        later(since, lasting) <= now
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: it is at its maximum, and would make more replicas", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let inventory = s.inventory(&incident.scope)?;
        let object = &incident.object;
        let Some(it) = inventory.horizontal_pod_autoscalers.get(object.uid()) else {
            return Some(format!("{object} no longer exists"));
        };
        match it.state() {
            AutoscalerState::Within if it.state_since.is_some_and(|since| later(since, WELL) <= now) => {
                Some(format!(
                    "{object} is held back no more: it makes {} of at most {} replicas",
                    it.desired_replicas, it.max_replicas
                ))
            }
            AutoscalerState::Off => {
                Some(format!("{object} is switched off: there are no replicas of {}", target(it)))
            }
            AutoscalerState::Unknown if it.able_to_scale == "False" && is_gone(it, inventory) => {
                Some(format!("{} that {object} scales no longer exists", target(it)))
            }
            AutoscalerState::Within
            | AutoscalerState::WantsMore
            | AutoscalerState::MayWantMore
            | AutoscalerState::Unknown => None,
        }
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let inventory = s.inventory(&incident.scope);
        let found = inventory.and_then(|all| all.horizontal_pod_autoscalers.get(incident.object.uid()));
        match found.filter(|it| it.state() == AutoscalerState::Within) {
            Some(_) => Agreement::Agrees,
            None => Agreement::Disagrees(format!(
                "{} is at its maximum, or does not say that it scales",
                incident.object
            )),
        }
    }

    fn recommendation(&self, s: &Snapshot<'_>, incident: &Incident) -> String {
        let found = s.inventory(&incident.scope).and_then(|inventory| {
            let it = inventory.horizontal_pod_autoscalers.get(incident.object.uid())?;
            Some(match s.known(&incident.scope, PODS) {
                Ok(()) => against(it, inventory).unwrap_or_else(|| raise_by_hand(it)),
                Err(unknown) => {
                    format!(
                        "how the pods of {} are is not known ({unknown}). {}",
                        target(it),
                        raise_by_hand(it)
                    )
                }
            })
        });
        found.unwrap_or_else(|| self.sentence().to_owned())
    }

    fn sentence(&self) -> &'static str {
        "an autoscaler makes as many replicas as it may and would make more: see whether the cluster has room for them and whether what \
         it measures is what lacks, then raise spec.maxReplicas; Nimbus does not write it"
    }
}

/// Is what it scales of a kind that is listed in full, and not there?
fn is_gone(it: &HorizontalPodAutoscaler, inventory: &Inventory) -> bool {
    if !it.target_api_version.starts_with("apps/") {
        return false;
    }
    let is_it = |namespace: &str, name: &str| namespace == it.meta.namespace && name == it.target_name;
    match it.target_kind.as_str() {
        "Deployment" => {
            inventory.has_every(ObjectKind::Deployment)
                && !inventory.deployments.values().any(|one| is_it(&one.meta.namespace, &one.meta.name))
        }
        "StatefulSet" => {
            inventory.has_every(ObjectKind::StatefulSet)
                && !inventory.stateful_sets.values().any(|one| is_it(&one.meta.namespace, &one.meta.name))
        }
        _ => false,
    }
}

fn evidence(it: &HorizontalPodAutoscaler) -> String {
    let since = it.state_since.map_or_else(String::new, |since| format!(", seen so since {since}"));
    let measured: Vec<String> = it
        .metrics
        .iter()
        .map(|metric| match metric.of_aim_permille {
            // So much is told of all that is more.
            Some(permille @ 100_000..) => {
                format!("{} at {} % of its aim or more", metric.name, permille / 10)
            }
            Some(permille) => format!("{} at {} % of its aim", metric.name, permille / 10),
            None => format!("{} unknown", metric.name),
        })
        .collect();
    let measured = if measured.is_empty() { "nothing that is told".to_owned() } else { measured.join(", ") };
    let wanted = match it.wanted() {
        Some((wanted, true)) => {
            format!("by that about {wanted} replicas would do, if all that are there are ready")
        }
        Some((wanted, false)) => format!("by what is known about {wanted} replicas would do at least"),
        None => "how many replicas would do is not known".to_owned(),
    };
    format!(
        "HorizontalPodAutoscaler {}/{}: it asks for {} of at most {} replicas of {}{since}, and measures {measured}; {wanted}",
        it.meta.namespace,
        it.meta.name,
        it.current_replicas,
        it.max_replicas,
        target(it)
    )
}

/// What speaks against more replicas, for a person; `None` where nothing does that is told.
fn against(it: &HorizontalPodAutoscaler, inventory: &Inventory) -> Option<String> {
    unschedulable(it, inventory).or_else(|| unwell(it, inventory))
}

/// A pod that cannot be scheduled: more of them would wait as well.
pub(crate) fn unschedulable(it: &HorizontalPodAutoscaler, inventory: &Inventory) -> Option<String> {
    let waits = pods_of_target(it, inventory).find(|pod| !pod.unschedulable.is_empty())?;
    let first = if waits.unschedulable.contains("Insufficient") {
        "add nodes, or lower what its pods request"
    } else {
        "see to that"
    };
    Some(format!(
        "pod {} of {} cannot be scheduled ({}), and more of them would wait as well: {first}, before spec.maxReplicas is raised",
        waits.meta.name,
        target(it),
        waits.unschedulable
    ))
}

/// Pods that are missing or not ready, which may pass in a moment.
pub(crate) fn unwell(it: &HorizontalPodAutoscaler, inventory: &Inventory) -> Option<String> {
    let pods: Vec<&Pod> = pods_of_target(it, inventory).collect();
    if pods.len() < usize::try_from(it.current_replicas).unwrap_or(0) {
        return Some(format!(
            "fewer pods of {} are there than are asked for: see what keeps them from being made, such as a quota, before spec.maxReplicas is \
             raised",
            target(it)
        ));
    }
    pods.iter().any(|pod| !pod.ready).then(|| {
        format!(
            "pods of {} are not ready, and the load is on those that are: see to them before spec.maxReplicas is raised",
            target(it)
        )
    })
}

/// Where its maximum is raised.
pub(crate) fn raise_by_hand(it: &HorizontalPodAutoscaler) -> String {
    let place = if it.manager.is_empty() {
        format!("raise spec.maxReplicas ({}) of {}/{}", it.max_replicas, it.meta.namespace, it.meta.name)
    } else {
        let (by, why) = (manager_name(&it.manager), &it.manager_evidence);
        format!("raise its maximum ({}) where {by} keeps it ({why})", it.max_replicas)
    };
    format!(
        "{place}, where the cluster and what is behind {} have room for more; the evidence says how many would do",
        target(it)
    )
}

fn target(it: &HorizontalPodAutoscaler) -> String {
    format!("{} {}", it.target_kind, it.target_name)
}

/// The pods of what it scales that have not ended.
pub(crate) fn pods_of_target<'a>(
    it: &'a HorizontalPodAutoscaler,
    inventory: &'a Inventory,
) -> impl Iterator<Item = &'a Pod> {
    inventory.pods_of_namespace(&it.meta.namespace).filter(move |pod| {
        let workload = inventory.workload_of(pod);
        let object = workload.object();
        pod.is_active() && object.kind == it.target_kind && object.name == it.target_name
    })
}
