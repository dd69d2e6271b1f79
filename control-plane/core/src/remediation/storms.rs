//! Declares storms and ends them: while a cluster's storm incident is open, no automatic remedy runs there.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::{IdSource, IncidentId};

use super::record::{Record, transition};
use super::resolution;
use crate::causes::{correlate, storm};
use crate::model::{Incident, IncidentKind, IncidentState, ObjectRef, Scope, Severity, Versioned};
use crate::safety::Storms;
use crate::settings::earlier;
use crate::snapshot::Snapshot;

/// The storms that rage now.
pub(super) fn survey(snapshot: &Snapshot<'_>, now: Timestamp) -> Storms {
    let rages = |uid: &String| Some((uid.clone(), rages(snapshot, uid, now)?));
    snapshot.world.clusters.keys().filter_map(rages).collect()
}

/// Why nothing automatic runs in a cluster now; `None` when there is no storm.
///
/// The open incident says it, and the figures say it before that incident is written.
fn rages(snapshot: &Snapshot<'_>, cluster: &str, now: Timestamp) -> Option<String> {
    let here = |i: &&Incident| i.scope.cluster_uid() == Some(cluster) && i.is_open();
    let open = || snapshot.incidents.iter().map(|i| &i.doc).filter(here);
    if let Some(storm) = open().find(|i| i.kind == IncidentKind::Storm) {
        return Some(format!("nothing automatic runs: incident {}, {}", storm.id, storm.title));
    }
    let figures = snapshot.assessment.figures(cluster)?;
    let recent = recent(open(), snapshot, now);
    let over = figures.over(recent, &snapshot.settings.storm, 1);
    over.first().map(|what| format!("nothing automatic runs: storm, {what}"))
}

/// How many of these incidents were opened within the window. A failed Job has ended: many of them say nothing of what runs
/// now. Volumes fill on their own, and what is near full still works; so does what an autoscaler holds at its maximum, and a
/// certificate until it expires.
fn recent<'a>(incidents: impl Iterator<Item = &'a Incident>, s: &Snapshot<'_>, now: Timestamp) -> u64 {
    let since = earlier(now, SignedDuration::from_secs(s.settings.storm.window_s.into()));
    let recent = |i: &&Incident| i.created_at > since && i.created_at <= now;
    let counts = |i: &&Incident| {
        !matches!(
            i.kind,
            IncidentKind::Storm
                | IncidentKind::JobFailing
                | IncidentKind::VolumeNearFull
                | IncidentKind::AutoscalerAtMaximum
                | IncidentKind::CertificateExpiring
                | IncidentKind::CertificateFileExpiring
                | IncidentKind::TlsSecretExpiring
                | IncidentKind::LoadHigh
                | IncidentKind::ScaledOut
        )
    };
    incidents.filter(counts).filter(recent).count() as u64
}

/// Opens, updates and closes the storm incident of each cluster that is known. Runs after the other incidents of
/// this pass are in `record`.
pub(super) fn watch(s: &Snapshot<'_>, record: &mut Record, now: Timestamp, ids: &mut dyn IdSource) {
    for uid in s.world.clusters.keys() {
        let scope = Scope::Cluster(uid.clone());
        let Some(figures) = s.assessment.figures(uid) else { continue };
        if s.is_off(&scope) || s.known(&scope, storm::NEEDS).is_err() {
            continue;
        }
        let changed: BTreeSet<IncidentId> = record.changes.incidents.iter().map(|i| i.doc.id).collect();
        let before = s.incidents.iter().filter(|i| !changed.contains(&i.doc.id));
        let incidents = before.chain(&record.changes.incidents).map(|i| &i.doc);
        let recent = recent(incidents.filter(|i| i.is_open() && i.scope == scope), s, now);
        let limits = &s.settings.storm;
        let over = figures.over(recent, limits, 1);
        let key = correlate::key_of(IncidentKind::Storm, &scope, "");
        match s.incidents.iter().find(|i| i.doc.key == key && i.doc.is_open()) {
            None if over.is_empty() => {}
            None => open(s, record, (scope, key), &over.join(", "), figures.describe(recent), now, ids),
            Some(storm) if figures.over(recent, limits, 2).is_empty() => {
                let reason = format!("the storm is over: {}", figures.describe(recent));
                resolution::close(s, record, storm, &reason, resolution::End::Healthy, now);
            }
            Some(storm) => {
                let mut after = storm.doc.clone();
                after.evidence = vec![figures.describe(recent)];
                record.incident(storm, after);
            }
        }
    }
}

fn open(
    s: &Snapshot<'_>,
    record: &mut Record,
    (scope, key): (Scope, String),
    over: &str,
    figures: String,
    now: Timestamp,
    ids: &mut dyn IdSource,
) {
    let name = s.name_of(&scope);
    let title = format!("storm in cluster {name}: {over}");
    let reason = format!(
        "{title}; so much at once has a shared cause (a change, DNS, an admission webhook, the network): nothing \
         automatic runs until it is under half of the limit"
    );
    let uid = scope.cluster_uid().unwrap_or_default().to_owned();
    let object = ObjectRef::Cluster { uid, name: name.clone() };
    let mut incident = Incident {
        severity: Severity::Critical,
        cluster: name,
        title: title.clone(),
        evidence: vec![figures],
        ..Incident::found(IncidentId::new(ids), key, IncidentKind::Storm, scope, object, now)
    };
    transition(&mut incident, IncidentState::Open, &reason, now);
    record.audit("incident.opened", &incident.id, &incident.cluster, title);
    record.changes.incidents.push(Versioned::new(incident));
}
