//! The cause `autoscaler_at_maximum`: a HorizontalPodAutoscaler has made as many replicas as it may for a while, and would make more.
//!
//! How many it would make is reckoned from what it measures, as Kubernetes does; where that is not known, nothing is said of it. Whether
//! a greater maximum helps is another question, and the recommendation says what speaks against it: pods of its target that wait for
//! room or do not run well, and whoever keeps its bounds.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{HorizontalPodAutoscaler, Inventory, Object as _, Pod, manager_name};

pub(super) struct AutoscalerAtMaximum;

const NEEDS: &[ObjectKind] = &[ObjectKind::HorizontalPodAutoscaler];

/// How long one is at its maximum before a person is told: what is over sooner was a peak.
const LASTING: SignedDuration = SignedDuration::from_mins(5);

impl Cause for AutoscalerAtMaximum {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "autoscaler"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let at_maximum =
            inventory.horizontal_pod_autoscalers.values().filter(|it| it.at_maximum_since().is_some());
        at_maximum
            .map(|it| {
                let scope = Scope::Cluster(cluster.to_owned());
                Finding::new(IncidentKind::AutoscalerAtMaximum, scope, it.object(), vec![evidence(it)])
            })
            .collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let found = s.inventory(scope).and_then(|all| all.horizontal_pod_autoscalers.get(object.uid()));
        found
            .and_then(HorizontalPodAutoscaler::at_maximum_since)
            .is_some_and(|since| later(since, LASTING) <= now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: it is at its maximum, and would make more replicas", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, _: Timestamp) -> Option<String> {
        let inventory = s.inventory(&incident.scope)?;
        match inventory.horizontal_pod_autoscalers.get(incident.object.uid()) {
            None => Some(format!("{} no longer exists", incident.object)),
            Some(it) if is_within(it) => Some(format!(
                "{} is within its bounds again: it makes {} of at most {} replicas",
                incident.object, it.desired_replicas, it.max_replicas
            )),
            Some(_) => None,
        }
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let inventory = s.inventory(&incident.scope);
        let found = inventory.and_then(|all| all.horizontal_pod_autoscalers.get(incident.object.uid()));
        match found.filter(|it| is_within(it)) {
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
            Some(advice(it, inventory))
        });
        found.unwrap_or_else(|| self.sentence().to_owned())
    }

    fn sentence(&self) -> &'static str {
        "an autoscaler makes as many replicas as it may and would make more: see whether the cluster has room for them and whether what \
         it measures is what lacks, then raise spec.maxReplicas; Nimbus does not write it"
    }
}

/// Does its controller say of its present specification that it scales, and that its maximum holds nothing back?
fn is_within(it: &HorizontalPodAutoscaler) -> bool {
    let is_seen = it.observed_generation == 0 || it.observed_generation >= it.generation;
    is_seen && it.scaling_active == "True" && it.limited_reason != "TooManyReplicas"
}

fn evidence(it: &HorizontalPodAutoscaler) -> String {
    let since = it.limited_since.map_or_else(String::new, |since| format!(" since {since}"));
    let measured: Vec<String> = it
        .metrics
        .iter()
        .map(|metric| match metric.of_aim_permille {
            Some(permille) => format!("{} at {} % of its aim", metric.name, permille / 10),
            None => format!("{} unknown", metric.name),
        })
        .collect();
    let measured = if measured.is_empty() { "nothing that is told".to_owned() } else { measured.join(", ") };
    format!(
        "HorizontalPodAutoscaler {}/{}: it makes {} of at most {} replicas of {} {}{since}, and measures {measured}",
        it.meta.namespace, it.meta.name, it.current_replicas, it.max_replicas, it.target_kind, it.target_name
    )
}

/// What a person is told: how many would do, and what speaks against more.
fn advice(it: &HorizontalPodAutoscaler, inventory: &Inventory) -> String {
    let wanted = it.wanted().filter(|wanted| u64::try_from(it.max_replicas).is_ok_and(|max| *wanted > max));
    let many = match wanted {
        Some(wanted) => format!("by what it measures about {wanted} replicas of {} would do", target(it)),
        None => format!("how many replicas of {} would do is not known from what it measures", target(it)),
    };
    let pods: Vec<&Pod> = pods_of_target(it, inventory).collect();
    let pending = pods.iter().filter(|pod| !pod.unschedulable.is_empty()).count();
    if pending > 0 {
        return format!(
            "{many}, but {pending} of its pods wait for a node that has room: more of them would wait as well. Add nodes, or lower what \
             its pods request, before spec.maxReplicas is raised"
        );
    }
    let unwell = pods.iter().filter(|pod| !pod.ready).count();
    if unwell > 0 {
        return format!(
            "{many}, but {unwell} of its {} pods are not ready: the load is on those that are. See to them before spec.maxReplicas ({}) is \
             raised",
            pods.len(),
            it.max_replicas
        );
    }
    let where_to = if it.manager.is_empty() {
        format!("raise spec.maxReplicas ({}) of {}/{}", it.max_replicas, it.meta.namespace, it.meta.name)
    } else {
        format!(
            "raise its maximum ({}) where {} keeps it ({})",
            it.max_replicas,
            manager_name(&it.manager),
            it.manager_evidence
        )
    };
    format!(
        "{many}: {where_to}, where the cluster and what is behind its target have room for them; Nimbus does not write it"
    )
}

fn target(it: &HorizontalPodAutoscaler) -> String {
    format!("{} {}", it.target_kind, it.target_name)
}

/// The pods of what it scales that have not ended.
fn pods_of_target<'a>(
    it: &'a HorizontalPodAutoscaler,
    inventory: &'a Inventory,
) -> impl Iterator<Item = &'a Pod> {
    inventory.pods_of_namespace(&it.meta.namespace).filter(move |pod| {
        let workload = inventory.workload_of(pod);
        let object = workload.object();
        pod.is_active() && object.kind == it.target_kind && object.name == it.target_name
    })
}
