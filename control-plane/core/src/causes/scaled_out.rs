//! The cause `scaled_out`: a workload that Nimbus scaled out has not been busy for a while, and still has the pods that it was given.
//!
//! It is Nimbus's own to take back, and nobody else's: where somebody set another number since, it is not scaled out any more as far as this
//! is concerned. Its label may be gone by then.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::load_high::{NEEDS, WELL, evidence, is_gone, shown, silent, workload};
use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Inventory, WorkloadLoad};

pub(super) struct ScaledOut;

impl Cause for ScaledOut {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "workload-scaled-out"
    }

    fn detect(&self, place: Place<'_>, settings: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let calm = inventory.loads.values().filter(|load| {
            let settings = &settings.load;
            let permille = load.permille().filter(|permille| *permille <= settings.calm());
            // Where it could give back none, it needs what it has.
            load.scaled_out_from().zip(permille).is_some_and(|(base, permille)| {
                settings.suits(load.replicas, permille).max(base) < load.replicas
            })
        });
        let finding = |load: &WorkloadLoad| {
            let scope = Scope::Cluster(cluster.to_owned());
            let (object, workload) = workload(load, inventory)?;
            let finding = Finding::new(IncidentKind::ScaledOut, scope, object, vec![evidence(load)]);
            Some(Finding { workload: Some(workload), ..finding })
        };
        calm.filter_map(finding).collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let load = s.inventory(scope).and_then(|all| all.loads.get(object.uid()));
        let calm = s.settings.load.calm();
        let since = load.and_then(|load| load.since(now, |permille| permille <= calm));
        since.is_some_and(|since| later(since, s.settings.load.calm_for()) <= now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: it was scaled out, and is busy no more", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Info
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
        let Some(base) = load.scaled_out_from() else {
            return Some(format!(
                "{object} has {} replicas, and none of them are Nimbus's to take back",
                load.replicas
            ));
        };
        let settings = &s.settings.load;
        let needs_all = |permille| settings.suits(load.replicas, permille).max(base) >= load.replicas;
        let since = load.since(now, |permille| permille > settings.calm() || needs_all(permille))?;
        (later(since, WELL) <= now).then(|| format!("{object} needs what it has: {}", shown(load)))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        let load = s.inventory(&incident.scope).and_then(|all| all.loads.get(incident.object.uid()));
        match load {
            Some(load) if load.scaled_out_from().is_none() => Agreement::Agrees,
            Some(_) => Agreement::Disagrees(format!("{} is still scaled out", incident.object)),
            None => Agreement::Disagrees(format!("how busy {} is is not known", incident.object)),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a workload was scaled out by Nimbus and is busy no more: it gets the number of pods that it had"
    }
}
