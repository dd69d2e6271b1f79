//! The cause `certificate_expiring`: a Certificate of cert-manager is due to be renewed for a while, and is not.
//!
//! cert-manager renews by itself, as a rule with a third of the lifetime left, so nothing is found before it should have: a
//! certificate that merely comes to its end soon is none that anybody has to look at. One that was never issued is not found either:
//! nothing that served expires.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::certificates::Certificates;
use crate::settings::{Settings, earlier, later};
use crate::snapshot::Snapshot;
use crate::world::{Certificate, Inventory, Issued, Issuer, Object as _};

pub(super) struct CertificateExpiring;

const NEEDS: &[ObjectKind] = &[ObjectKind::Certificate];

impl Cause for CertificateExpiring {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "certificate"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let issued = inventory.certificates.values().filter(|it| !it.meta.deleting);
        let finding = |it: &Certificate| {
            let issued = it.issued?;
            let scope = Scope::Cluster(cluster.to_owned());
            let evidence = evidence(it, issued, inventory);
            let mut finding = Finding::new(IncidentKind::CertificateExpiring, scope, it.object(), evidence);
            let what = if is_expired(it) { "it expired" } else { "it is due to be renewed, and is not" };
            what.clone_into(&mut finding.what);
            Some(finding)
        };
        issued.filter_map(finding).collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let found = s.inventory(scope).and_then(|all| all.certificates.get(object.uid()));
        let due = found.and_then(|it| Some(overdue_from(it.issued?, &s.settings.certificates)));
        due.is_some_and(|from| from <= now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: {}", finding.object, finding.what)
    }

    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity {
        let found = inventory.and_then(|all| all.certificates.get(finding.object.uid()));
        if found.is_some_and(is_expired) { Severity::Critical } else { Severity::Warning }
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let inventory = s.inventory(&incident.scope)?;
        let object = &incident.object;
        let Some(it) = inventory.certificates.get(object.uid()).filter(|it| !it.meta.deleting) else {
            return Some(format!("{object} no longer exists"));
        };
        let issued = it.issued?;
        // What cert-manager is still at work at is not renewed yet, whatever times its status has.
        let is_renewed =
            overdue_from(issued, &s.settings.certificates) > now && it.ready == "True" && !it.is_issuing();
        is_renewed.then(|| format!("{object} was renewed: it is valid until {:.0}", issued.not_after))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        match self.recovered(s, incident, s.now) {
            Some(_) => Agreement::Agrees,
            None => Agreement::Disagrees(format!("{} is not renewed, as far as was seen", incident.object)),
        }
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "a Certificate of cert-manager is due to be renewed, and is not: what stands in the way its conditions say, and those of its \
         CertificateRequest and issuer (`cmctl status certificate`)"
    }
}

/// From when on it is told that a certificate is not renewed: when its renewal is overdue; where it is not known when that is due,
/// as it comes to its end.
pub(crate) fn overdue_from(issued: Issued, settings: &Certificates) -> Timestamp {
    let lifetime = issued.lifetime();
    let from = match issued.renewal {
        Some(due) => later(due, settings.overdue(lifetime)),
        None => earlier(issued.not_after, settings.warn(lifetime)),
    };
    from.min(issued.not_after)
}

/// The issuer of cert-manager's own that it is asked of; `None` where there is none of that name, or it is another's.
pub(crate) fn issuer_of<'a>(it: &Certificate, inventory: &'a Inventory) -> Option<&'a Issuer> {
    if !it.is_of_cert_manager() {
        return None;
    }
    if it.issuer_kind == "ClusterIssuer" {
        let mut all = inventory.cluster_issuers.values();
        return all.find(|one| one.0.meta.name == it.issuer_name).map(|one| &one.0);
    }
    let here = |one: &&Issuer| one.meta.namespace == it.meta.namespace && one.meta.name == it.issuer_name;
    inventory.issuers.values().find(here)
}

/// Does cert-manager itself say that it is over?
fn is_expired(it: &Certificate) -> bool {
    it.ready == "False" && it.ready_reason == "Expired"
}

fn evidence(it: &Certificate, issued: Issued, inventory: &Inventory) -> Vec<String> {
    let names = if it.names.is_empty() { String::new() } else { format!(" for {}", it.names.join(", ")) };
    let due = issued.renewal.map_or_else(
        || "when it is to be renewed is not told".to_owned(),
        |due| format!("its renewal was due at {due:.0}"),
    );
    let mut all = vec![format!(
        "{}{names}, in Secret {}: valid until {:.0}; {due}",
        it.object(),
        it.secret_name,
        issued.not_after
    )];
    if let Some(at) = it.last_failure {
        let times = match it.failed_attempts {
            0 | 1 => String::new(),
            many => format!(", {many} times in a row"),
        };
        all.push(format!("issuing it failed at {at:.0}{times}: {}", it.issuing_message));
    }
    if it.is_issuing() {
        let since = it.issuing_since.map_or_else(String::new, |since| format!(" since {since:.0}"));
        all.push(format!("cert-manager is issuing it{since}: {}", it.issuing_message));
    }
    if let Some(issuer) = issuer_of(it, inventory).filter(|issuer| issuer.ready != "True") {
        all.push(format!("{} is not ready: {} {}", it.issuer(), issuer.ready_reason, issuer.ready_message));
    }
    all
}
