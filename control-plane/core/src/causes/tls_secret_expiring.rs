//! The cause `tls_secret_expiring`: the certificate in a Secret of type `kubernetes.io/tls` ends soon, or is over, and no Certificate of
//! cert-manager stands for it.
//!
//! Who renews it nobody here knows: that it was not done in time is told. Such Secrets are watched only where somebody gave the agent the right
//! to read them.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::certificate_expiring::overdue_from;
use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Inventory, Object as _, TlsSecret};

pub(super) struct TlsSecretExpiring;

/// Certificates as well: what cert-manager renews is told there.
const NEEDS: &[ObjectKind] = &[ObjectKind::TlsSecret, ObjectKind::Certificate];

impl Cause for TlsSecretExpiring {
    fn needs(&self) -> &'static [ObjectKind] {
        NEEDS
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "tls-secret"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Cluster(cluster, inventory) = place else { return Vec::new() };
        let finding = |it: &TlsSecret| {
            let issued = it.issued.filter(|_| !it.meta.deleting && !is_of_cert_manager(it, inventory))?;
            let of = if it.name.is_empty() { String::new() } else { format!(" for {}", it.name) };
            let evidence =
                format!("the certificate{of} in {} is valid until {:.0}", it.object(), issued.not_after);
            let scope = Scope::Cluster(cluster.to_owned());
            Some(Finding::new(IncidentKind::TlsSecretExpiring, scope, it.object(), vec![evidence]))
        };
        inventory.tls_secrets.values().filter_map(finding).collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let found = s.inventory(scope).and_then(|all| all.tls_secrets.get(object.uid()));
        let due = found.and_then(|it| Some(overdue_from(it.issued?, &s.settings.certificates)));
        due.is_some_and(|from| from <= now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: its certificate ends soon, or is over", finding.object)
    }

    fn severity(&self, _: &Finding, _: Option<&Inventory>) -> Severity {
        Severity::Warning
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        let inventory = s.inventory(&incident.scope)?;
        let object = &incident.object;
        let Some(it) = inventory.tls_secrets.get(object.uid()).filter(|it| !it.meta.deleting) else {
            return Some(format!("{object} no longer exists"));
        };
        if is_of_cert_manager(it, inventory) {
            return Some(format!(
                "{object} is cert-manager's by now: what it does is told of its Certificate"
            ));
        }
        // One that holds none that can be read is not renewed.
        let issued = it.issued?;
        let is_renewed = overdue_from(issued, &s.settings.certificates) > now;
        is_renewed.then(|| format!("{object} was renewed: it is valid until {:.0}", issued.not_after))
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if let Err(unknown) = s.known(&incident.scope, NEEDS) {
            return Agreement::Disagrees(unknown);
        }
        if self.recovered(s, incident, s.now).is_some() {
            return Agreement::Agrees;
        }
        Agreement::Disagrees(format!("{} is not renewed, as far as was seen", incident.object))
    }

    fn recommendation(&self, _: &Snapshot<'_>, incident: &Incident) -> String {
        format!(
            "nobody renewed {} in time: see why whatever renews it did not, renew it, and see that the programs that use it read it anew; Nimbus \
             does not",
            incident.object
        )
    }

    fn sentence(&self) -> &'static str {
        "the certificate in a Secret ends soon: see why it was not renewed, renew it, and see that the programs that use it read it anew"
    }
}

/// Is it written by a Certificate of cert-manager, which is watched itself?
fn is_of_cert_manager(it: &TlsSecret, inventory: &Inventory) -> bool {
    let mut all = inventory.certificates.values();
    all.any(|one| one.meta.namespace == it.meta.namespace && one.secret_name == it.meta.name)
}
