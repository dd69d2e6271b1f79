//! When a certificate is not asked for: where something else than cert-manager's wait after a failure keeps it from being renewed.

use jiff::{SignedDuration, Timestamp};

use super::{Answer, next_try};
use crate::causes::{issuer_of, overdue_from};
use crate::model::Incident;
use crate::settings::later;
use crate::snapshot::Snapshot;
use crate::world::{Certificate, Inventory, Issued, Object as _};

/// For so long cert-manager may be at work at one before a person is told: an authority that looks at names in the DNS takes a while.
const ISSUING: SignedDuration = SignedDuration::from_mins(30);
/// A try of its own that is so near is waited for, and so is one that should have come so lately.
const SOON: SignedDuration = SignedDuration::from_mins(10);

/// When issuing it failed last, if that is what keeps it from being renewed.
pub(super) fn why(
    incident: &Incident,
    (it, issued): (&Certificate, Issued),
    inventory: &Inventory,
    s: &Snapshot<'_>,
) -> Result<Timestamp, Answer> {
    let name = it.object();
    if overdue_from(issued, &s.settings.certificates) > s.now {
        return Err(Answer::Wait(format!(
            "{name} is not overdue any more; the incident is resolved once cert-manager says that it is ready"
        )));
    }
    of_issuer(it, inventory)?;
    let inspect = format!("`cmctl status certificate -n {} {}`", it.meta.namespace, it.meta.name);
    if it.is_issuing() {
        let since = it.issuing_since.unwrap_or(incident.created_at);
        if s.now.duration_since(since) < ISSUING {
            return Err(Answer::Wait(format!("cert-manager is issuing {name} since {since:.0}")));
        }
        return Err(Answer::Recommend(format!(
            "cert-manager is issuing {name} since {since:.0} and does not come to an end: see where its CertificateRequest waits, such as \
             for an approval or for the authority ({inspect})"
        )));
    }
    let Some(failed_at) = it.last_failure else {
        return Err(Answer::Recommend(format!(
            "{name} is due to be renewed, and cert-manager neither tries nor says that it failed: see whether its controller runs \
             (`kubectl get pods -A -l app.kubernetes.io/name=cert-manager`) and what it says; a request would wait for it as the renewal \
             does"
        )));
    };
    let from = later(failed_at, s.settings.certificates.retry());
    if s.now < from {
        return Err(Answer::Wait(format!(
            "issuing {name} failed at {failed_at:.0}; it is asked for anew from {from:.0} on"
        )));
    }
    let next = next_try(it, failed_at);
    if next.duration_since(s.now).abs() < SOON {
        return Err(Answer::Wait(format!("cert-manager tries {name} again by itself at about {next:.0}")));
    }
    Ok(failed_at)
}

/// An issuer that is not ready issues nothing, and what is the matter with it is a person's to look at.
fn of_issuer(it: &Certificate, inventory: &Inventory) -> Result<(), Answer> {
    if !it.is_of_cert_manager() {
        // Whether it is ready nobody here knows; whoever it is says so in the Certificate.
        return Ok(());
    }
    let issuer = it.issuer();
    let look = if it.issuer_kind == "ClusterIssuer" {
        format!("`kubectl describe clusterissuer {}`", it.issuer_name)
    } else {
        format!("`kubectl describe issuer -n {} {}`", it.meta.namespace, it.issuer_name)
    };
    match issuer_of(it, inventory) {
        None => Err(Answer::Recommend(format!(
            "{} names {issuer}, and there is none: put its issuerRef right, or make that issuer",
            it.object()
        ))),
        Some(found) if found.ready != "True" => Err(Answer::Recommend(format!(
            "{issuer} is not ready ({}), and issues no certificate before it is: {}; see {look}",
            found.ready_reason, found.ready_message
        ))),
        Some(_) => Ok(()),
    }
}
