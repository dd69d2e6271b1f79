//! A drifted file: put it back after approval, or take it as the new truth on a person's word.

use super::planner::{Proposal, Remedy, option};
use super::report;
use crate::model::{Action, Incident, ObjectRef};
use crate::world::{FileDrift, World};

/// Kinds that can be put back or taken as they are.
const RESTORABLE: [&str; 3] = ["file", "symlink", "absent"];
/// What is never put back and may still become the baseline, by its kind, mode and owner.
const ONLY_ACCEPTED: [&str; 2] = ["directory", "other"];
/// Of longer files agents keep no content, bytes.
const MAX_KEPT: u64 = 1 << 20;
/// What an agent says instead of a diff when it holds no copy of a side.
const NOT_KEPT: &str = "content not kept";

pub(super) fn propose(incident: &Incident, world: &World) -> Proposal {
    let path = &incident.object.name;
    let Some(drift) = drift(incident, world) else {
        return Proposal::Wait(format!(
            "{path}: no difference is reported any more; resolved when that is certain"
        ));
    };
    if drift.current.kind == "unreadable" || drift.baseline.kind == "unreadable" {
        return Proposal::Recommend(format!(
            "{path} cannot be read{}: give the agent read access, or take the path out of the watched roots",
            if drift.problem.is_empty() { String::new() } else { format!(" ({})", drift.problem) }
        ));
    }
    if let Some(kind) = unsupported(drift) {
        return Proposal::Recommend(format!(
            "{path} is or was of kind {kind}: only regular files and symbolic links are put back; put it right by hand, or \
             accept it as it is: `nimbus drift baseline add ID`"
        ));
    }
    if !is_kept(drift) {
        return Proposal::Recommend(format!(
            "{path} cannot be put back: its agent keeps no copy of what was accepted ({} bytes; content is kept of \
             files up to 1 MiB, while there is room); put it right from where it came from, or accept it as it is: \
             `nimbus drift baseline add ID`",
            drift.sizes.0
        ));
    }
    Proposal::Act(Box::new(restore(drift)))
}

/// Can the agent hold what would be put back? It reads its copy before anything else, also where only mode or owner
/// differ, and refuses without it. Of what stands there now it reads the content at once if that is a regular file:
/// beside one, or beside nothing, the missing copy is the baseline's. A link's side it never shows.
fn is_kept(drift: &FileDrift) -> bool {
    let says_no = drift.diff_withheld == NOT_KEPT && matches!(drift.current.kind.as_str(), "file" | "absent");
    drift.baseline.kind != "file" || !(says_no || drift.sizes.0 > MAX_KEPT)
}

/// What an incident's file is like now.
pub(crate) fn drift<'a>(incident: &Incident, world: &'a World) -> Option<&'a FileDrift> {
    world.hosts.get(incident.agent_id.as_ref()?)?.files.get(&incident.object.name)
}

/// The kind on either side that cannot be handled, if any.
fn unsupported(drift: &FileDrift) -> Option<&str> {
    [drift.baseline.kind.as_str(), drift.current.kind.as_str()].into_iter().find(|k| !RESTORABLE.contains(k))
}

/// The plan to accept a file as it is; why it cannot be accepted otherwise.
pub(crate) fn accept(drift: &FileDrift) -> Result<Remedy, String> {
    if !RESTORABLE.contains(&drift.current.kind.as_str())
        && !ONLY_ACCEPTED.contains(&drift.current.kind.as_str())
    {
        return Err(format!("expected something that can be read, found {}", drift.current.kind));
    }
    Ok(Remedy {
        action: Action::AcceptBaseline {
            root: drift.root.clone(),
            path: drift.path.clone(),
            expect_current: drift.current.clone(),
        },
        object: object(drift),
        owner: None,
        needs_approval: false,
        summary: format!("take {} as it is now as the new baseline", drift.path),
        changes: report::accept(drift),
        rationale: "a person says that the present state is right".to_owned(),
        considered: vec![
            option("accept the present state", true, "asked for by a person"),
            option("put the file back", false, "the person says that the present state is right"),
        ],
    })
}

fn restore(drift: &FileDrift) -> Remedy {
    let what = match (drift.baseline.kind.as_str(), drift.current.kind.as_str()) {
        ("absent", _) => "remove",
        (_, "absent") => "bring back",
        _ if drift.baseline.sha256 == drift.current.sha256 => "put back mode and owner of",
        _ => "put back",
    };
    Remedy {
        action: Action::RestoreFile {
            root: drift.root.clone(),
            path: drift.path.clone(),
            expect_current: drift.current.clone(),
            restore_to: drift.baseline.clone(),
        },
        object: object(drift),
        owner: None,
        needs_approval: true,
        summary: format!("{what} {}", drift.path),
        changes: report::restore(drift),
        rationale: "the baseline is what was accepted as true; the agent holds its content".to_owned(),
        considered: vec![
            option("put the file back", true, "it differs from what was accepted as true; a person decides"),
            option(
                "accept the present state",
                false,
                "only a person can say that it is right: `nimbus drift baseline add ID`",
            ),
            option("leave it", false, "the drift would stay"),
        ],
    }
}

fn object(drift: &FileDrift) -> ObjectRef {
    ObjectRef {
        kind: "File".to_owned(),
        namespace: String::new(),
        name: drift.path.clone(),
        uid: String::new(),
    }
}
