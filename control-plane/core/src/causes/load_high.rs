//! The cause `load_high`: the pods of a workload that asks to be scaled out use most of the CPU that they ask for, and have for a while.
//!
//! A workload asks for it by its label `nimbus.dev/scale-to`; of others nobody tells how busy they are. Figures that move are in the evidence
//! alone, so that they write no history.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Object as _, WorkloadLoad};

pub(super) struct LoadHigh;

pub(super) const NEEDS: &[ObjectKind] = &[ObjectKind::Deployment, ObjectKind::StatefulSet];
/// How long it is seen not to be busy before it is over: at the edge it comes and goes.
pub(super) const WELL: SignedDuration = SignedDuration::from_mins(2);
/// After so long without a word of it nothing is said of it any more.
const SILENT: SignedDuration = SignedDuration::from_hours(1);

impl Cause for LoadHigh {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "workload-load"
    }

    fn detect(&self, place: Place<'_>, settings: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let busy = inventory.loads.values().filter(|load| {
            load.scale_to.is_some()
                && load.permille().is_some_and(|permille| permille >= settings.load.busy())
        });
        let finding = |load: &WorkloadLoad| {
            let scope = Scope::Cluster(cluster.to_owned());
            let (object, workload) = workload(load, inventory)?;
            let finding = Finding::new(IncidentKind::LoadHigh, scope, object, vec![evidence(load)]);
            Some(Finding { workload: Some(workload), ..finding })
        };
        busy.filter_map(finding).collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let load = s.inventory(scope).and_then(|all| all.loads.get(object.uid()));
        let busy = s.settings.load.busy();
        let since = load.and_then(|load| load.since(now, |permille| permille >= busy));
        since.is_some_and(|since| later(since, s.settings.load.busy_for()) <= now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: its pods use most of the CPU that they ask for", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let inventory = s.inventory(&incident.scope)?;
        let object = &incident.object;
        if is_gone(inventory, object.uid()) {
            return Some(format!("{object} no longer exists"));
        }
        let load = inventory.loads.get(object.uid())?;
        if let Some(silent) = silent(load, now) {
            return Some(format!("{object}: {silent}"));
        }
        if load.scale_to.is_none() {
            return Some(format!("{object} does not ask to be scaled out any more"));
        }
        let busy = s.settings.load.busy();
        let since = load.since(now, |permille| permille < busy)?;
        (later(since, WELL) <= now).then(|| format!("{object} is busy no more: {}", shown(load)))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let load = s.inventory(&incident.scope).and_then(|all| all.loads.get(incident.object.uid()));
        match load.and_then(|load| load.permille_now(s.now)) {
            Some(permille) if permille < s.settings.load.busy() => Agreement::Agrees,
            Some(_) => Agreement::Disagrees(format!("{} is busy", incident.object)),
            None => Agreement::Disagrees(format!("how busy {} is is not known", incident.object)),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a workload is busy and asks to be scaled out: give it more pods, or make each of them do with less"
    }
}

/// Nobody tells any more how busy it is: its label may have been taken away while no agent looked.
pub(super) fn silent(load: &WorkloadLoad, now: Timestamp) -> Option<String> {
    (now.duration_since(load.at) > SILENT).then(|| {
        format!("nobody has told how busy it is, or that it asks to be scaled, since {:.0}; opened again if it is busy", load.at)
    })
}

/// Is there neither a Deployment nor a StatefulSet of this UID, where both are listed?
pub(super) fn is_gone(inventory: &Inventory, uid: &str) -> bool {
    NEEDS.iter().all(|kind| inventory.has_every(*kind))
        && inventory.deployments.get(uid).is_none()
        && inventory.stateful_sets.get(uid).is_none()
}

/// The workload, as the object that shows it, and as what attempts are counted on.
pub(super) fn workload(load: &WorkloadLoad, inventory: &Inventory) -> Option<(ObjectRef, Workload)> {
    let uid = &load.meta.uid;
    let deployment =
        inventory.deployments.get(uid).map(|one| (one.object(), Workload::Deployment(one.reference())));
    let set =
        || inventory.stateful_sets.get(uid).map(|one| (one.object(), Workload::StatefulSet(one.reference())));
    deployment.or_else(set)
}

/// How busy it is, for people.
pub(crate) fn shown(load: &WorkloadLoad) -> String {
    let busy = load.permille().map_or_else(
        || format!("{} of its {} pods were measured", load.measured, load.pods),
        |permille| format!("its {} pods use {} % of the CPU that they ask for", load.pods, permille / 10),
    );
    format!("{busy} ({}m of {}m)", load.used_milli, load.asked_milli)
}

pub(super) fn evidence(load: &WorkloadLoad) -> String {
    let bound = load.scale_to.map_or_else(
        || "it asks for nothing".to_owned(),
        |to| format!("it may have {to} by its label nimbus.dev/scale-to"),
    );
    format!(
        "{} {}/{}: {} at {:.0}; {bound}",
        load.kind,
        load.meta.namespace,
        load.meta.name,
        shown(load),
        load.at
    )
}
