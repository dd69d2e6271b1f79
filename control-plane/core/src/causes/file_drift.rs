//! The cause `file_drift`: a watched file differs from its accepted baseline.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::drift;
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{FileDrift, Inventory};

pub(super) struct FileDrifted;

impl Cause for FileDrifted {
    fn needs(&self) -> &'static [ObjectKind] {
        &[]
    }

    fn depth(&self) -> u8 {
        5
    }

    fn key_word(&self) -> &'static str {
        "file"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Host(agent, facts) = place else { return Vec::new() };
        let finding = |drift: &FileDrift| {
            let object = ObjectRef::File { path: drift.path.clone() };
            Finding::new(IncidentKind::FileDrift, Scope::Host(agent), object, evidence(drift))
        };
        facts.files.values().map(finding).collect()
    }

    fn is_due(&self, _: &Snapshot<'_>, _: &ObjectRef, _: &Scope, _: Timestamp) -> bool {
        true
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        finding.evidence.first().cloned().unwrap_or_else(|| format!("{} drifted", finding.object))
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, _: Timestamp) -> Option<String> {
        let path = incident.object.name();
        let agrees = s.world.hosts.get(&incident.scope.host()?)?.agrees(path);
        agrees.then(|| format!("{path} is as its baseline says"))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, &[]) {
            return Agreement::Disagrees(unknown);
        }
        let path = incident.object.name();
        let facts = incident.scope.host().and_then(|agent| s.world.hosts.get(&agent));
        match facts {
            Some(facts) if !facts.files.contains_key(path) => Agreement::Agrees,
            Some(_) => Agreement::Disagrees(format!("{path} still differs from its baseline")),
            None => Agreement::Disagrees(format!("unknown: nothing was reported of the host of {path}")),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a watched file differs from its baseline: put it right, or accept it as it is"
    }
}

fn evidence(drift: &FileDrift) -> Vec<String> {
    let what = match (drift.baseline.kind.as_str(), drift.current.kind.as_str()) {
        ("absent", _) => "was added",
        (_, "absent") => "was deleted",
        (_, "unreadable") => "cannot be read",
        (before, now) if before != now => "is another kind of thing",
        _ if drift.baseline.sha256 != drift.current.sha256 => "was changed",
        _ => "has another mode or owner",
    };
    let mut lines = vec![format!("{} {what} (watched root {})", drift.path, drift.root)];
    lines
        .extend(drift::of_file(&drift.path, &drift.baseline, &drift.current).iter().map(ToString::to_string));
    if !drift.problem.is_empty() {
        lines.push(drift.problem.clone());
    }
    lines
}
