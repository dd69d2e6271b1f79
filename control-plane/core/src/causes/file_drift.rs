//! The cause `file_drift`: a watched file differs from its accepted baseline.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::drift;
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{FileDrift, HostFacts, Inventory};

/// How long an editor's or a package manager's own file may be there before it is an incident.
pub const PASSES: SignedDuration = SignedDuration::from_hours(1);
/// Most paths that are named as belonging to one.
const MAX_OTHERS: usize = 10;

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
        let subjects: BTreeSet<Cow<'_, str>> =
            facts.files.values().map(|drift| subject(facts, drift)).collect();
        let finding = |subject: Cow<'_, str>| {
            let evidence = evidence_of(facts, &subject)?;
            let object = ObjectRef::File { path: subject.into_owned() };
            Some(Finding::new(IncidentKind::FileDrift, Scope::Host(agent), object, evidence))
        };
        subjects.into_iter().filter_map(finding).collect()
    }

    /// What is there for a moment only, as a rule, becomes an incident once it stays.
    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let facts = scope.host().and_then(|agent| s.world.hosts.get(&agent));
        let Some(drift) = facts.and_then(|facts| facts.drift_of(object.name())) else { return true };
        !drift.nature().passes() || now.duration_since(drift.since) >= PASSES
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
            Some(facts) if facts.drift_of(path).is_none() => Agreement::Agrees,
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

/// The drifted files of a host that are no incident yet, since their names say that they are there for a moment only.
pub fn passing_files(facts: &HostFacts, now: Timestamp) -> Vec<&str> {
    let passes = |drift: &&FileDrift| drift.nature().passes() && now.duration_since(drift.since) < PASSES;
    facts.files.values().filter(passes).map(|drift| drift.path.as_str()).collect()
}

/// The path that a drift is told of: of directories that were added below each other the topmost.
fn subject<'a>(facts: &'a HostFacts, drift: &'a FileDrift) -> Cow<'a, str> {
    let added = |path: &str| facts.files.get(path).filter(|drift| is_added_directory(drift));
    let mut top = drift;
    if is_added_directory(drift) {
        while let Some(above) = top.path.rfind('/').and_then(|at| added(&top.path[..at])) {
            top = above;
        }
    }
    top.subject()
}

fn is_added_directory(drift: &FileDrift) -> bool {
    drift.baseline.kind == "absent" && drift.current.kind == "directory"
}

/// Of one subject and all that belongs to it; `None` where nothing differs.
fn evidence_of(facts: &HostFacts, subject: &str) -> Option<Vec<String>> {
    let drift = facts.drift_of(subject)?;
    let mut lines = evidence(drift);
    let inside = format!("{subject}/");
    let below = is_added_directory(drift).then(|| {
        let all = facts.files.range(inside.clone()..).take_while(|(path, _)| path.starts_with(&inside));
        all.map(|(_, other)| other).filter(|other| is_added_directory(other))
    });
    let others: Vec<&FileDrift> = facts
        .belonging_to(subject)
        .filter(|other| other.path != drift.path)
        .chain(below.into_iter().flatten())
        .take(MAX_OTHERS + 1)
        .collect();
    lines.extend(
        others.iter().take(MAX_OTHERS).map(|other| format!("belongs to it: {} {}", other.path, what(other))),
    );
    if others.len() > MAX_OTHERS {
        lines.push("and more that belongs to it".to_owned());
    }
    Some(lines)
}

fn evidence(drift: &FileDrift) -> Vec<String> {
    let what = what(drift);
    let mut lines = vec![format!("{} {what} (watched root {})", drift.path, drift.root)];
    lines
        .extend(drift::of_file(&drift.path, &drift.baseline, &drift.current).iter().map(ToString::to_string));
    let (before, now) = &drift.attributes;
    lines.extend(drift::of_attributes(&drift.path, before, now).iter().map(ToString::to_string));
    if let Some(outlook) = drift.restore.as_ref().filter(|outlook| !outlook.obstacle.is_empty()) {
        lines.push(format!("cannot be put back as things are: {}", outlook.reason));
    }
    if !drift.problem.is_empty() {
        lines.push(drift.problem.clone());
    }
    lines
}

fn what(drift: &FileDrift) -> &'static str {
    match (drift.baseline.kind.as_str(), drift.current.kind.as_str()) {
        ("absent", _) => "was added",
        (_, "absent") => "was deleted",
        (_, "unreadable") => "cannot be read",
        (before, now) if before != now => "is another kind of thing",
        _ if drift.baseline.sha256 != drift.current.sha256 => "was changed",
        _ if !drift.baseline.attributes_sha256.is_empty() && drift.current.attributes_sha256.is_empty() => {
            "has attributes that cannot be read"
        }
        _ if drift.baseline.attributes_sha256 != drift.current.attributes_sha256 => "has other attributes",
        _ => "has another mode or owner",
    }
}
