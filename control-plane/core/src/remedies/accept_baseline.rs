//! The remedy `accept_baseline`: makes a drifted file's present state its new baseline, on an operator's request only.

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::report::attributes_unread;
use super::restore_file::{RESTORABLE, agent_refuses_to_accept, drift};
use super::{Answer, Consent, Draft, Footprint, Place, Remedy, report};
use crate::drift::attribute_changes;
use crate::model::{Alternative, Incident, IncidentKind, ObjectRef, Outlook};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::FileDrift;

/// What is never put back and may still become the baseline, by its kind, mode and owner.
const ONLY_ACCEPTED: [&str; 2] = ["directory", "other"];

pub(super) struct AcceptBaseline;

impl Remedy for AcceptBaseline {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::FileDrift]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[]
    }

    fn consent(&self) -> Consent {
        Consent::Command
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn sentence(&self) -> &'static str {
        "takes a watched file's present state as its baseline, when a person says so"
    }

    fn name(&self) -> &'static str {
        "accept the present state"
    }

    fn propose(&self, _: &Incident, _: &Snapshot<'_>) -> Answer {
        Answer::NotApplicable(
            "only a person can say that it is right: `nimbus drift baseline add ID`".to_owned(),
        )
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::AcceptBaseline(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.file_verify_ms.min(settings.verify_ms)
    }

    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms
    }
}

/// Most attributes that a summary names; the plan's changes have all of them.
const NAMED: usize = 3;

/// What a summary says of the attributes that become part of the baseline, which nobody sees in a file's content or mode.
fn attributes(drift: &FileDrift) -> String {
    let (then, now) = (&drift.baseline, &drift.current);
    if now.kind == "absent" {
        return String::new();
    }
    if attributes_unread(drift) {
        return "; its attributes cannot be read: they are not known and no longer compared".to_owned();
    }
    let (before, after) = &drift.attributes;
    let names: Vec<&str> = attribute_changes(before, after).iter().map(|change| change.name).collect();
    if names.is_empty() {
        let both = !then.attributes_sha256.is_empty() && !now.attributes_sha256.is_empty();
        let differ = both && then.attributes_sha256 != now.attributes_sha256;
        return if differ { "; its attributes change".to_owned() } else { String::new() };
    }
    match names.len().saturating_sub(NAMED) {
        0 => format!("; its attributes change: {}", names.join(", ")),
        more => format!("; its attributes change: {} and {more} more", names[..NAMED].join(", ")),
    }
}

/// The plan to accept an incident's file as it is; why it cannot be accepted otherwise.
pub(crate) fn accept(incident: &Incident, s: &Snapshot<'_>) -> Result<Draft, String> {
    let drift = drift(incident, s.world).ok_or("no difference is reported any more")?;
    let kind = drift.current.kind.as_str();
    if !RESTORABLE.contains(&kind) && !ONLY_ACCEPTED.contains(&kind) {
        return Err(format!("expected something that can be read, found {kind}"));
    }
    if agent_refuses_to_accept(drift) {
        return Err(format!(
            "expected attributes that can be read, found: {}; look at what it has (getfattr \
             -d -m -) and take away what should not be there",
            drift.problem
        ));
    }
    Ok(Draft {
        action: Body::AcceptBaseline(v1::AcceptBaseline {
            root: drift.root.clone(),
            path: drift.path.clone(),
            expect_current: Some(drift.current.clone()),
        }),
        object: ObjectRef::File { path: drift.path.clone() },
        workload: None,
        summary: format!("take {} as it is now as the new baseline{}", drift.path, attributes(drift)),
        changes: report::accept(drift),
        outlook: Outlook::undone_by_a_person(
            "`nimbus drift baseline remove JOB` makes what is the baseline now count again, as long as no other one was \
             accepted since; `nimbus drift baseline list` shows the job",
            "a file that is not as this plan saw it is not accepted, and the baseline stays as it is",
        ),
        rationale: "a person says that the present state is right".to_owned(),
        ways: vec![
            Alternative::new("accept the present state", true, "asked for by a person"),
            Alternative::new("put the file back", false, "the person says that the present state is right"),
        ],
    })
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1;
    use nimbus_protocol::v1::observation::Body as Seen;

    use crate::model::IncidentKind;
    use crate::remediation;
    use crate::testing::lab::Lab;
    use crate::testing::objects::{file, file_state};

    const WHY: &str =
        "its attributes (access list, capabilities, extended ones) cannot be read: Permission denied";
    const UNKNOWN: &str = "cannot be read: they are not known and no longer compared";

    fn noted(state: v1::FileState) -> v1::FileState {
        v1::FileState {
            attributes: Some(v1::FileAttributes { sha256: vec![7; 32], all: Vec::new() }),
            ..state
        }
    }

    #[test]
    fn what_cannot_be_read_is_advised_and_accepted_with_a_word_where_the_agent_accepts_it() {
        let absent = || file_state("absent", 0, 0);
        let dir = |mode| file_state("directory", mode, 0);
        let regular = |content| file_state("file", 0o640, content);
        for (before, now, may) in [
            (absent(), dir(0o300), true),
            (noted(dir(0o755)), dir(0o300), true),
            (absent(), regular(2), false),
            (regular(1), regular(2), false),
            (noted(regular(1)), dir(0o300), true),
            (noted(regular(1)), regular(1), false),
            (noted(regular(1)), regular(2), false),
            (noted(dir(0o755)), regular(1), false),
        ] {
            let what = format!("{} -> {}", before.kind, now.kind);
            let now = v1::FileState { problem: WHY.into(), ..now };
            let (obstacle, reason) = ("unreadable".to_owned(), WHY.to_owned());
            let restore = Some(v1::RestoreOutlook { obstacle, reason, ..Default::default() });
            let mut lab = Lab::new();
            lab.see_host(Seen::File(v1::File { restore, ..file("/srv/etc/x", before, now) }));
            assert!(lab.settle().is_empty(), "{what}");
            let incident = lab.open(IncidentKind::FileDrift).clone();
            let advice = &incident.reason;
            assert_eq!(
                advice.contains("without its attributes, which cannot be read"),
                may,
                "{what}: {advice}"
            );
            assert_eq!(advice.contains("`nimbus drift baseline add ID`"), may, "{what}: {advice}");
            assert_eq!(advice.contains("getfattr"), !may, "{what}: {advice}");
            let mut ids = lab.ids.clone();
            match remediation::accept_baseline(&lab.snapshot(), incident.id, "operator", lab.now, &mut ids) {
                Ok(changes) => {
                    let plan = &changes.plans.first().unwrap().doc;
                    assert!(may && plan.summary.ends_with(UNKNOWN), "{what}: {}", plan.summary);
                    let line = format!("baseline attributes: {UNKNOWN}");
                    assert!(plan.changes.contains(&line), "{what}: {:?}", plan.changes);
                }
                Err(error) => {
                    let why = error.to_string();
                    assert!(!may && why.contains(WHY) && why.contains("getfattr"), "{what}: {why}");
                }
            }
        }
    }
}
