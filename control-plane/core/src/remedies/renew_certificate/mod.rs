//! The remedy `renew_certificate`: asks cert-manager to issue a Certificate anew now, where its renewal is overdue because issuing it failed.
//!
//! After a failure cert-manager waits for an hour, and after each further one twice as long, up to 32 hours; what stood in the way may be
//! gone long before. When the remedy refrains is [`refrain`]'s: what has another cause than that wait is not asked for.

mod refrain;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, to_micros, v1};

use super::{Answer, Consent, Draft, Footprint, NOTHING_REPORTED, Place, Remedy};
use crate::model::{Alternative, Incident, IncidentKind, Outlook};
use crate::settings::{Settings, later};
use crate::snapshot::Snapshot;
use crate::world::{Certificate, Issued, Object as _};

pub(super) struct RenewCertificate;

/// No agent watches for longer.
const HOUR_MS: u32 = 3_600_000;
/// cert-manager's wait after a first failure, and the longest; both can be set there, and are not told.
const FIRST_WAIT: SignedDuration = SignedDuration::from_hours(1);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(32);

impl Remedy for RenewCertificate {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::CertificateExpiring]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[ObjectKind::Certificate, ObjectKind::Issuer, ObjectKind::ClusterIssuer]
    }

    fn consent(&self) -> Consent {
        Consent::Rule
    }

    fn place(&self) -> Place {
        Place::Cluster
    }

    fn sentence(&self) -> &'static str {
        "asks cert-manager to issue a Certificate anew whose renewal is overdue because issuing it failed, once its issuer is ready"
    }

    fn name(&self) -> &'static str {
        "ask cert-manager to renew it now"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let Some(inventory) = s.inventory(&incident.scope) else {
            return Answer::Wait(NOTHING_REPORTED.to_owned());
        };
        let object = &incident.object;
        let found = inventory.certificates.get(object.uid()).filter(|it| !it.meta.deleting);
        let Some((it, issued)) = found.and_then(|it| Some((it, it.issued?))) else {
            return Answer::Wait(format!(
                "{object} no longer exists, or says no more what was issued; the incident is resolved once that is certain"
            ));
        };
        match refrain::why(incident, (it, issued), inventory, s) {
            Err(answer) => answer,
            Ok(failed_at) => renew(it, issued, failed_at),
        }
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::RenewCertificate(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.verify_ms
    }

    /// An authority that has to look at a name takes minutes.
    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms.saturating_mul(3).min(HOUR_MS).max(settings.verify_timeout_ms)
    }
}

/// When cert-manager tries again by itself, about: its waits can be set otherwise than they come.
fn next_try(it: &Certificate, failed_at: Timestamp) -> Timestamp {
    let doublings = it.failed_attempts.saturating_sub(1).min(10);
    let wait = FIRST_WAIT.saturating_mul(1 << doublings);
    later(failed_at, wait.min(LONGEST_WAIT))
}

fn renew(it: &Certificate, issued: Issued, failed_at: Timestamp) -> Answer {
    let name = format!("{}/{}", it.meta.namespace, it.meta.name);
    let authority = it.issuer();
    let next = next_try(it, failed_at);
    let until = issued.not_after;
    Answer::Act(Box::new(Draft {
        action: Body::RenewCertificate(v1::RenewCertificate {
            certificate: Some(it.meta.target()),
            issuer_group: it.issuer_group.clone(),
            issuer_kind: it.issuer_kind.clone(),
            issuer_name: it.issuer_name.clone(),
            not_after_us: to_micros(until),
            revision: issued.revision,
            last_failure_us: to_micros(failed_at),
        }),
        object: it.object(),
        workload: None,
        summary: format!("ask cert-manager to renew Certificate {name}, which is valid until {until:.0}"),
        changes: vec![
            format!("the condition Issuing of {name} becomes True, as by `cmctl renew {}`", it.meta.name),
            format!(
                "cert-manager asks {authority} for another certificate, as a rule with another key, and writes both to Secret {} once it \
                 has them; what is in use stays until then",
                it.secret_name
            ),
        ],
        rationale: format!(
            "its renewal is overdue as issuing it failed at {failed_at:.0}, and {authority} is not known to be in the way now: by itself \
             cert-manager tries again at about {next:.0}"
        ),
        outlook: Outlook::not_undone(
            "what was asked for cert-manager does or says why not; a certificate that was issued stays issued",
            "the certificate in use stays. cert-manager waits for twice as long after another failure, and authorities bound how many there \
             may be; so it is not asked for again at once, and after a few tries a person is asked",
        ),
        ways: vec![
            Alternative::new(
                "ask for it now",
                true,
                "nothing that serves is touched before there is a new one",
            ),
            Alternative::new(
                "wait for cert-manager",
                false,
                format!("its next try is at about {next:.0}, and the certificate ends at {until:.0}"),
            ),
            Alternative::new(
                "delete its Secret",
                false,
                "it is issued anew then, too, and until it is there is none at all",
            ),
        ],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::objects::certificate;

    #[test]
    fn its_own_next_try_comes_after_an_hour_and_after_each_failure_twice_as_late() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (failures, hours) in [(0, 1), (1, 1), (2, 2), (5, 16), (6, 32), (7, 32), (u32::MAX, 32)] {
            let told = v1::Certificate { failed_attempts: failures, ..certificate("web") };
            let next = next_try(&Certificate::from(told), at);
            assert_eq!(next.duration_since(at), SignedDuration::from_hours(hours), "{failures}");
        }
    }
}
