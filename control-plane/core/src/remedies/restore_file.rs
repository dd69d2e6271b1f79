//! The remedy `restore_file`: returns a drifted file to its baseline, after approval.

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, Place, Remedy, report};
use crate::model::{Alternative, Incident, IncidentKind, ObjectRef};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{FileDrift, World};

/// Kinds that can be put back.
pub(super) const RESTORABLE: [&str; 3] = ["file", "symlink", "absent"];
/// Of longer files agents keep no content, bytes.
const MAX_KEPT: u64 = 1 << 20;
/// What an agent says instead of a diff when it holds no copy of a side.
const NOT_KEPT: &str = "content not kept";

pub(super) struct RestoreFile;

impl Remedy for RestoreFile {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::FileDrift]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[]
    }

    fn consent(&self) -> Consent {
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn sentence(&self) -> &'static str {
        "puts a watched file back to its baseline: content, mode and owner"
    }

    fn name(&self) -> &'static str {
        "put the file back"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let path = incident.object.name();
        let Some(drift) = drift(incident, s.world) else {
            return Answer::Wait(format!(
                "{path}: no difference is reported any more; resolved when that is certain"
            ));
        };
        if drift.current.kind == "unreadable" || drift.baseline.kind == "unreadable" {
            return Answer::Recommend(format!(
                "{path} cannot be read{}: give the agent read access, or take the path out of the watched roots",
                if drift.problem.is_empty() { String::new() } else { format!(" ({})", drift.problem) }
            ));
        }
        if let Some(kind) = unsupported(drift) {
            return Answer::Recommend(format!(
                "{path} is or was of kind {kind}: only regular files and symbolic links are put back; put it right by hand, or \
                 accept it as it is: `nimbus drift baseline add ID`"
            ));
        }
        if !is_kept(drift) {
            return Answer::Recommend(format!(
                "{path} cannot be put back: its agent keeps no copy of what was accepted ({} bytes; content is kept of \
                 files up to 1 MiB, while there is room); put it right from where it came from, or accept it as it is: \
                 `nimbus drift baseline add ID`",
                drift.sizes.0
            ));
        }
        if drift.sizes.1 > MAX_KEPT {
            return Answer::Recommend(format!(
                "{path} is {} bytes long now: an agent replaces or removes nothing that it cannot keep a copy of, which is \
                 up to 1 MiB; put it right by hand, or accept it as it is: `nimbus drift baseline add ID`",
                drift.sizes.1
            ));
        }
        Answer::Act(Box::new(restore(drift)))
    }

    fn footprint<'a>(&self, order: &'a Body) -> Option<Footprint<'a>> {
        matches!(order, Body::RestoreFile(_)).then_some(Footprint { node: None, closes: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.file_verify_ms.min(settings.verify_ms)
    }
}

/// Can the agent hold what would be put back? It reads its copy before anything else, also where only mode or owner
/// differ, and refuses without it. Of what stands there now it reads the content at once if that is a regular file:
/// beside one, or beside nothing, the missing copy is the baseline's. A link's side it never shows.
fn is_kept(drift: &FileDrift) -> bool {
    let says_no = drift.diff_withheld == NOT_KEPT && matches!(drift.current.kind.as_str(), "file" | "absent");
    drift.baseline.kind != "file" || !(says_no || drift.sizes.0 > MAX_KEPT)
}

/// What an incident's file is like now.
pub(super) fn drift<'a>(incident: &Incident, world: &'a World) -> Option<&'a FileDrift> {
    world.hosts.get(&incident.scope.host()?)?.files.get(incident.object.name())
}

/// The kind on either side that cannot be handled, if any.
fn unsupported(drift: &FileDrift) -> Option<&str> {
    [drift.baseline.kind.as_str(), drift.current.kind.as_str()].into_iter().find(|k| !RESTORABLE.contains(k))
}

fn restore(drift: &FileDrift) -> Draft {
    let what = match (drift.baseline.kind.as_str(), drift.current.kind.as_str()) {
        ("absent", _) => "remove",
        (_, "absent") => "bring back",
        _ if drift.baseline.sha256 == drift.current.sha256 => "put back mode and owner of",
        _ => "put back",
    };
    Draft {
        action: Body::RestoreFile(v1::RestoreFile {
            root: drift.root.clone(),
            path: drift.path.clone(),
            expect_current: Some(drift.current.clone()),
            restore_to: Some(drift.baseline.clone()),
        }),
        object: ObjectRef::File { path: drift.path.clone() },
        workload: None,
        summary: format!("{what} {}", drift.path),
        changes: report::restore(drift),
        rationale: "the baseline is what was accepted as true; the agent holds its content".to_owned(),
        ways: vec![
            Alternative::new(
                "put the file back",
                true,
                "it differs from what was accepted as true; a person decides",
            ),
            Alternative::new("leave it", false, "the drift would stay"),
        ],
    }
}
