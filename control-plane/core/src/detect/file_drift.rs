//! A watched file that is not what was accepted as true.

use nimbus_protocol::ids::AgentId;

use super::Finding;
use crate::model::{IncidentKind, ObjectRef};
use crate::plan::report::file_changes;
use crate::snapshot::Scope;
use crate::world::{FileDrift, HostFacts};

pub(super) fn detect(agent: &AgentId, facts: &HostFacts) -> Vec<Finding> {
    let finding = |drift: &FileDrift| Finding {
        scope: Scope::Host(agent.clone()),
        ..Finding::of_cluster(
            IncidentKind::FileDrift,
            "",
            ObjectRef {
                kind: "File".to_owned(),
                namespace: String::new(),
                name: drift.path.clone(),
                uid: String::new(),
            },
            evidence(drift),
        )
    };
    facts.files.values().map(finding).collect()
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
    lines.extend(file_changes(&drift.baseline, &drift.current));
    if !drift.problem.is_empty() {
        lines.push(drift.problem.clone());
    }
    lines
}
