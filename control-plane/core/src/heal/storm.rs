//! Storms: so much is wrong in a cluster at once that the cause is shared, and acting on each part of it would
//! make things worse. One incident says so with its figures, and nothing automatic runs while it is open.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::{IdSource, IncidentId};

use super::record::{Record, stand};
use super::resolve;
use crate::model::{Incident, IncidentKind, IncidentState, ObjectRef, Severity, Versioned};
use crate::settings::{StormLimits, earlier};
use crate::snapshot::{Scope, Snapshot};
use crate::world::{Inventory, Pod};

/// How bad it is in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Figures {
    pods: u64,
    unhealthy: u64,
    nodes: u64,
    not_ready: u64,
    incidents: u64,
}

/// By cluster UID why nothing automatic runs there now; looked up once for a pass.
pub(crate) type Storms = BTreeMap<String, String>;

/// The storms that rage now.
pub(crate) fn survey(snapshot: &Snapshot<'_>, now: Timestamp) -> Storms {
    let rages = |uid: &String| Some((uid.clone(), rages(snapshot, uid, now)?));
    snapshot.world.clusters.keys().filter_map(rages).collect()
}

/// Why nothing automatic runs in a cluster now; `None` when there is no storm.
///
/// The open incident says it, and the figures say it before that incident is written.
fn rages(snapshot: &Snapshot<'_>, cluster: &str, now: Timestamp) -> Option<String> {
    let open =
        snapshot.incidents.iter().map(|i| &i.doc).find(|i| {
            i.kind == IncidentKind::Storm && i.is_open() && i.cluster_uid.as_deref() == Some(cluster)
        });
    if let Some(storm) = open {
        return Some(format!("nothing automatic runs: incident {}, {}", storm.id, storm.title));
    }
    let inventory = snapshot.world.clusters.get(cluster)?;
    let incidents = snapshot.incidents.iter().map(|i| &i.doc);
    let figures = Figures::of(inventory, cluster, incidents, &snapshot.settings.storm, now);
    let over = figures.over(&snapshot.settings.storm, 1);
    over.first().map(|what| format!("nothing automatic runs: storm, {what}"))
}

/// Opens, updates and closes the storm incident of each cluster that is known. Runs after the other incidents of
/// this pass are in `record`.
pub(super) fn watch(s: &Snapshot<'_>, record: &mut Record, now: Timestamp, ids: &mut dyn IdSource) {
    for (uid, inventory) in &s.world.clusters {
        let scope = Scope::Cluster(uid.clone());
        if s.known(&scope).is_err() {
            continue;
        }
        let changed: BTreeSet<&IncidentId> = record.changes.incidents.iter().map(|i| &i.doc.id).collect();
        let before = s.incidents.iter().filter(|i| !changed.contains(&i.doc.id));
        let incidents = before.chain(&record.changes.incidents).map(|i| &i.doc).filter(|i| i.is_open());
        let limits = &s.settings.storm;
        let figures = Figures::of(inventory, uid, incidents, limits, now);
        let over = figures.over(limits, 1);
        let key = format!("storm/{uid}");
        match s.incidents.iter().find(|i| i.doc.key == key && i.doc.is_open()) {
            None if over.is_empty() => {}
            None => open(s, record, (uid, key), &over.join(", "), figures.say(), now, ids),
            Some(storm) if figures.over(limits, 2).is_empty() => {
                let reason = format!("the storm is over: {}", figures.say());
                resolve::close(s, record, storm, &reason, resolve::End::Healthy, now);
            }
            Some(storm) => {
                let mut after = storm.doc.clone();
                after.evidence = vec![figures.say()];
                record.incident(storm, after);
            }
        }
    }
}

fn open(
    s: &Snapshot<'_>,
    record: &mut Record,
    (uid, key): (&str, String),
    over: &str,
    figures: String,
    now: Timestamp,
    ids: &mut dyn IdSource,
) {
    let cluster = s.name_of(&Scope::Cluster(uid.to_owned()));
    let title = format!("storm in cluster {cluster}: {over}");
    let reason = format!(
        "{title}; so much at once has a shared cause (a change, DNS, an admission webhook, the network): nothing \
         automatic runs until it is under half of the limit"
    );
    let mut incident = Incident {
        id: IncidentId::new(ids),
        key,
        kind: IncidentKind::Storm,
        severity: Severity::Critical,
        state: IncidentState::Open,
        cluster_uid: Some(uid.to_owned()),
        cluster: cluster.clone(),
        agent_id: None,
        object: ObjectRef {
            kind: "Cluster".to_owned(),
            namespace: String::new(),
            name: cluster.clone(),
            uid: uid.to_owned(),
        },
        owner: None,
        title: title.clone(),
        reason: String::new(),
        evidence: vec![figures],
        symptoms: Vec::new(),
        created_at: now,
        updated_at: now,
        resolved_at: None,
        plan_id: None,
        approval_id: None,
        job_id: None,
        attempts: 0,
        next_attempt_at: None,
        silenced_until: None,
        denied_digest: None,
        history: Vec::new(),
    };
    stand(&mut incident, IncidentState::Open, &reason, now);
    record.audit("incident.opened", &incident.id, &cluster, title);
    record.changes.incidents.push(Versioned::new(incident));
}

impl Figures {
    fn of<'a>(
        inventory: &Inventory,
        cluster: &str,
        incidents: impl Iterator<Item = &'a Incident>,
        limits: &StormLimits,
        now: Timestamp,
    ) -> Self {
        let ready = inventory.readiness();
        let lost = |pod: &Pod| !pod.ready && ready.get(pod.node.as_str()) == Some(&false);
        let since = earlier(now, SignedDuration::from_secs(limits.window_s.into()));
        let recent = |i: &&Incident| {
            i.kind != IncidentKind::Storm && i.cluster_uid.as_deref() == Some(cluster) && i.created_at > since
        };
        let pods = || inventory.pods.values().filter(|pod| pod.is_active());
        Self {
            pods: pods().count() as u64,
            unhealthy: pods().filter(|pod| pod.is_unhealthy() || lost(pod)).count() as u64,
            nodes: inventory.nodes.len() as u64,
            not_ready: inventory.nodes.values().filter(|node| !node.is_ready()).count() as u64,
            incidents: incidents.filter(recent).count() as u64,
        }
    }

    /// The limits (divided by `divisor`) that are reached, each with its figure.
    fn over(&self, limits: &StormLimits, divisor: u64) -> Vec<String> {
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
        if self.incidents * divisor >= u64::from(limits.incidents) {
            over.push(format!(
                "{} incidents within {} s (limit {})",
                self.incidents, limits.window_s, limits.incidents
            ));
        }
        over
    }

    fn say(&self) -> String {
        format!(
            "{} of {} pods unhealthy, {} of {} nodes not ready, {} recent incidents",
            self.unhealthy, self.pods, self.not_ready, self.nodes, self.incidents
        )
    }
}
