//! The remedy `withdraw_baseline`: withdraws an accepted baseline, on an operator's request only.

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, Place, Remedy};
use crate::drift::short;
use crate::model::{Alternative, Incident, IncidentKind, ObjectRef, Outlook};
use crate::settings::Settings;
use crate::snapshot::Snapshot;

pub(super) struct WithdrawBaseline;

impl Remedy for WithdrawBaseline {
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
        "makes a watched file's baseline what it was before a person accepted another, when a person says so"
    }

    fn name(&self) -> &'static str {
        "withdraw the accepted baseline"
    }

    fn propose(&self, _: &Incident, _: &Snapshot<'_>) -> Answer {
        Answer::NotApplicable(
            "only a person can say that an accepted baseline was wrong: `nimbus drift baseline remove ID`"
                .to_owned(),
        )
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::WithdrawBaseline(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.file_verify_ms.min(settings.verify_ms)
    }

    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms
    }
}

/// The plan to take back what `accepted` made the baseline.
pub(crate) fn withdraw(accepted: &v1::AcceptBaseline) -> Draft {
    let path = accepted.path.clone();
    let was = accepted.expect_current.as_ref();
    let changes = was.map(|facts| {
        let hash = nimbus_protocol::to_hex(&facts.sha256);
        let content = if hash.is_empty() { String::new() } else { format!(", sha256 {}", short(&hash)) };
        format!("baseline {}, mode {:04o}{content} -> what it was before", facts.kind, facts.mode)
    });
    Draft {
        summary: format!("take back the accepted baseline of {path}"),
        action: Body::WithdrawBaseline(v1::WithdrawBaseline {
            root: accepted.root.clone(),
            path: path.clone(),
            expect_baseline: accepted.expect_current.clone(),
        }),
        object: ObjectRef::File { path },
        workload: None,
        changes: changes.into_iter().collect(),
        outlook: Outlook::undone_by_a_person(
            "the file then differs from its baseline; `nimbus drift baseline add ID` accepts it again as it is",
            "where another baseline is in force, or none is kept, the agent refuses and everything stays as it is",
        ),
        rationale: "a person says that the accepted state was not right".to_owned(),
        ways: vec![Alternative::new(WithdrawBaseline.name(), true, "asked for by a person")],
    }
}
