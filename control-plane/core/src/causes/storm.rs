//! Storms: so much is wrong in a cluster at once that the cause is shared, and acting on each part of it would
//! make things worse.
//!
//! A storm is not found on an object: the figures of the whole cluster declare it, and they end it.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, Finding, Place};
use crate::model::{Incident, Severity};
use crate::settings::{Settings, StormLimits};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Pod};

/// Without these nothing can be said about a storm, and so nothing automatic runs.
pub(crate) const NEEDS: &[ObjectKind] = &[ObjectKind::Pod, ObjectKind::Node];

pub(super) struct Storm;

impl Cause for Storm {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        5
    }

    fn key_word(&self) -> &'static str {
        "storm"
    }

    fn detect(&self, _: Place<'_>, _: &Settings) -> Vec<Finding> {
        Vec::new()
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: storm", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Critical
    }

    fn recovered(&self, _: &Snapshot<'_>, _: &Incident, _: Timestamp) -> Option<String> {
        None
    }

    fn agreement(&self, _: &Snapshot<'_>, _: &Incident) -> Agreement {
        Agreement::Disagrees("a storm ends by its figures, not by a job".to_owned())
    }

    fn recommendation(&self) -> &'static str {
        "look for what is shared: a change, DNS, an admission webhook, the network"
    }
}

/// How many pods and nodes of a cluster are unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Figures {
    pods: u64,
    unhealthy: u64,
    nodes: u64,
    not_ready: u64,
}

impl Figures {
    /// Of a cluster.
    pub(super) fn of(inventory: &Inventory) -> Self {
        let ready = inventory.readiness();
        let lost = |pod: &Pod| !pod.ready && ready.get(pod.node.as_str()) == Some(&false);
        let mut figures = Self::default();
        for pod in inventory.pods.values().filter(|pod| pod.is_active()) {
            figures.pods += 1;
            figures.unhealthy += u64::from(pod.is_unhealthy() || lost(pod));
        }
        for node in inventory.nodes.values() {
            figures.nodes += 1;
            figures.not_ready += u64::from(!node.is_ready());
        }
        figures
    }

    /// The limits (divided by `divisor`) that are reached, each with its figure.
    pub(crate) fn over(&self, incidents: u64, limits: &StormLimits, divisor: u64) -> Vec<String> {
        let mut over = Vec::new();
        let share = |part: u64, whole: u64, percent: u32, least: u32| {
            whole >= u64::from(least).max(1) && part * 100 * divisor >= whole * u64::from(percent)
        };
        if share(self.unhealthy, self.pods, limits.pod_percent, limits.min_pods) {
            let percent = self.unhealthy * 100 / self.pods.max(1);
            over.push(format!(
                "{} of {} pods unhealthy ({percent} %, limit {} %)",
                self.unhealthy, self.pods, limits.pod_percent
            ));
        }
        if share(self.not_ready, self.nodes, limits.node_percent, limits.min_nodes) {
            let percent = self.not_ready * 100 / self.nodes.max(1);
            over.push(format!(
                "{} of {} nodes not ready ({percent} %, limit {} %)",
                self.not_ready, self.nodes, limits.node_percent
            ));
        }
        if incidents * divisor >= u64::from(limits.incidents) {
            over.push(format!(
                "{} incidents within {} s (limit {})",
                incidents, limits.window_s, limits.incidents
            ));
        }
        over
    }

    /// The figures, for people.
    pub(crate) fn say(&self, incidents: u64) -> String {
        format!(
            "{} of {} pods unhealthy, {} of {} nodes not ready, {} recent incidents",
            self.unhealthy, self.pods, self.not_ready, self.nodes, incidents
        )
    }
}
