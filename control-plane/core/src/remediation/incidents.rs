//! Opens an incident for each root cause, keeps it up to date, and resolves it on evidence.
//!
//! Nothing is concluded from a part of the world that is not known (see [`Snapshot::known`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nimbus_protocol::ids::{IdSource, IncidentId};

use super::index::Index;
use super::record::{Record, transition};
use super::{resolution, storms};
use crate::causes::{self, Agreement, Diagnosis, correlate};
use crate::model::{ChangeSet, Incident, IncidentKind, IncidentState, ObjectRef, Scope, Versioned};
use crate::remedies::NIMBUS;
use crate::snapshot::Snapshot;

/// Most incidents that one pass opens; the rest follows in the next one.
pub const MAX_OPENED: usize = 500;

/// Most open incidents of one cluster or host. What is found beyond that is opened as others end: a mass change of
/// files must not crowd out everything else.
pub const MAX_OPEN_PER_SCOPE: usize = 1_000;
/// Most open incidents everywhere: half of what may be read at once.
pub const MAX_OPEN: usize = 10_000;

/// Opens, updates and resolves incidents, storms included.
pub fn incidents(s: &Snapshot<'_>, now: Timestamp, ids: &mut dyn IdSource) -> ChangeSet {
    let mut known = Known::default();
    let diagnoses = due(s, now);
    let open: BTreeMap<&str, &Versioned<Incident>> =
        s.incidents.iter().filter(|i| i.doc.is_open()).map(|i| (i.doc.key.as_str(), i)).collect();

    let index = Index::of(s);
    let mut record = Record::new(now);
    let mut opened = 0;
    let mut crowd: BTreeMap<Scope, usize> = BTreeMap::new();
    for incident in open.values() {
        *crowd.entry(incident.doc.scope.clone()).or_default() += 1;
    }
    for diagnosis in &diagnoses {
        match open.get(diagnosis.key.as_str()) {
            Some(incident) => update(&mut record, incident, diagnosis, now),
            None if opened < MAX_OPENED && open.len() + opened < MAX_OPEN => {
                let here = crowd.entry(diagnosis.scope.clone()).or_default();
                if *here >= MAX_OPEN_PER_SCOPE {
                    continue;
                }
                *here += 1;
                opened += 1;
                begin(s, &mut record, diagnosis, now, ids);
            }
            None => {}
        }
    }
    let seen: BTreeSet<&str> = diagnoses.iter().map(|d| d.key.as_str()).collect();
    let deeper: BTreeMap<&str, &Diagnosis> =
        diagnoses.iter().flat_map(|d| d.explains.iter().map(move |key| (key.as_str(), d))).collect();
    for (key, incident) in &open {
        if s.is_off(&incident.doc.scope) {
            if !index.at_work(incident.doc.id) {
                let reason = "closed, not known to be put right: its cluster was switched off";
                resolution::close(s, &mut record, incident, reason, resolution::End::Merged, now);
            }
            continue;
        }
        let quiet = !seen.contains(key) && incident.doc.kind != IncidentKind::Storm;
        // What a person ordered is carried out, or dropped with a reason, before its incident can be over.
        let ordered =
            incident.doc.plan_id.and_then(|id| index.plan(id)).is_some_and(|p| p.requested_by != NIMBUS);
        if ordered
            || !quiet
            || !known.of(s, &incident.doc.scope, incident.doc.kind)
            || index.at_work(incident.doc.id)
        {
            continue;
        }
        if lost_with_every_node(s, &incident.doc) {
            let reason =
                "explained by a deeper cause: every node of the cluster is not ready at once".to_owned();
            resolution::close(s, &mut record, incident, &reason, resolution::End::Merged, now);
        } else if let Some(cause) = deeper.get(key) {
            let reason = format!("explained by a deeper cause: {}", cause.title);
            resolution::close(s, &mut record, incident, &reason, resolution::End::Merged, now);
        } else if let Some(evidence) = causes::of(incident.doc.kind).recovered(s, &incident.doc, now) {
            resolution::close(s, &mut record, incident, &evidence, resolution::End::Healthy, now);
        } else {
            note_quiet(s, &mut record, incident, now);
        }
    }
    for incident in open.values().filter(|incident| !index.at_work(incident.doc.id)) {
        let written = record.changes.incidents.iter().any(|changed| changed.doc.id == incident.doc.id);
        if !written && agent_is_revoked(s, &incident.doc.scope) {
            let reason =
                "closed, not known to be healed: its agent was revoked and nobody watches that host any more";
            resolution::close(s, &mut record, incident, reason, resolution::End::Merged, now);
        }
    }
    storms::watch(s, &mut record, now, ids);
    record.changes
}

/// One lost node of all that are lost together is no case of its own.
fn lost_with_every_node(s: &Snapshot<'_>, incident: &Incident) -> bool {
    incident.kind == IncidentKind::NodeNotReady
        && s.inventory(&incident.scope).is_some_and(|inventory| {
            inventory.lost_every_node() && inventory.nodes.get(incident.object.uid()).is_some()
        })
}

/// Nothing of an open incident shows, and it is not over: since when all is well, and since when its object is gone.
fn note_quiet(s: &Snapshot<'_>, record: &mut Record, incident: &Versioned<Incident>, now: Timestamp) {
    let mut after = incident.doc.clone();
    let well = causes::of(after.kind).agreement(s, &after) == Agreement::Agrees;
    after.well_since = after.well_since.or(Some(now)).filter(|_| well || after.well_since.is_some());
    let pods = s.inventory(&after.scope).map(|inventory| &inventory.pods);
    if pods.is_some_and(|pods| pods.get(after.object.uid()).is_none()) {
        after.object_gone_at = after.object_gone_at.or(Some(now));
    } else {
        after.object_gone_at = None;
    }
    record.incident(incident, after);
}

/// Which parts of the world are known well enough for which cause; looked up once for a pass.
#[derive(Default)]
struct Known(BTreeMap<(Scope, IncidentKind), bool>);

impl Known {
    fn of(&mut self, s: &Snapshot<'_>, scope: &Scope, kind: IncidentKind) -> bool {
        let look = || s.known(scope, causes::of(kind).needs()).is_ok();
        *self.0.entry((scope.clone(), kind)).or_insert_with(look)
    }
}

/// What is to be an incident now.
pub(super) fn due(s: &Snapshot<'_>, now: Timestamp) -> Vec<Diagnosis> {
    let mut known = Known::default();
    // What is not due yet explains nothing either.
    let due = s.assessment.findings().filter(|f| !s.is_off(&f.scope));
    let due = due.filter(|f| causes::of(f.kind).is_due(s, &f.object, &f.scope, now));
    let mut diagnoses = correlate::diagnose(s.world, due);
    diagnoses.retain(|d| known.of(s, &d.scope, d.kind));
    diagnoses
}

/// Will nothing be heard of this part of the world ever again? A host is known by its agent; a cluster may get another
/// one, which then sees what became of it.
fn agent_is_revoked(s: &Snapshot<'_>, scope: &Scope) -> bool {
    match scope {
        Scope::Host(id) => s.agent(*id).is_some_and(|agent| agent.revoked_at.is_some()),
        Scope::Cluster(_) => false,
    }
}

fn begin(
    s: &Snapshot<'_>,
    record: &mut Record,
    diagnosis: &Diagnosis,
    now: Timestamp,
    ids: &mut dyn IdSource,
) {
    let (id, key, scope) = (IncidentId::new(ids), diagnosis.key.clone(), diagnosis.scope.clone());
    let mut incident = Incident {
        severity: diagnosis.severity,
        cluster: s.name_of(&scope),
        workload: diagnosis.workload.clone(),
        title: diagnosis.title.clone(),
        evidence: diagnosis.evidence.clone(),
        symptoms: diagnosis.symptoms.clone(),
        ..Incident::found(id, key, diagnosis.kind, scope, diagnosis.object.clone(), now)
    };
    incident.note(now, format!("seen: {}", diagnosis.title));
    transition(&mut incident, IncidentState::Open, "found; a remedy is being looked for", now);
    resolution::count_attempts_again(s, record, &incident, now);
    record.audit("incident.opened", &incident.id, &incident.cluster, diagnosis.title.clone());
    record.changes.incidents.push(Versioned::new(incident));
}

/// Brings an open incident up to date. It keeps its object as long as that is among those that suffer, so that a
/// plan stays the same plan.
fn update(record: &mut Record, incident: &Versioned<Incident>, diagnosis: &Diagnosis, now: Timestamp) {
    let mut after = incident.doc.clone();
    if after.well_since.take().is_some() {
        after.returns = after.returns.saturating_add(1);
        let times = if after.returns == 1 { "once".to_owned() } else { format!("{} times", after.returns) };
        after.note(now, format!("it was well and came back, {times} since it was found"));
    }
    after.object_gone_at = None;
    let mut objects: Vec<ObjectRef> = diagnosis.symptoms.clone();
    objects.push(diagnosis.object.clone());
    objects.sort();
    if !objects.contains(&after.object) {
        after.object = diagnosis.object.clone();
        after.note(now, format!("now seen on {}", after.object));
    }
    objects.retain(|object| *object != after.object);
    after.symptoms = objects;
    after.severity = diagnosis.severity;
    after.title.clone_from(&diagnosis.title);
    after.evidence.clone_from(&diagnosis.evidence);
    record.incident(incident, after);
}
