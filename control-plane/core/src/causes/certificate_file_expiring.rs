//! The cause `certificate_file_expiring`: a certificate file that the agent of a host was told to watch ends soon, or is over.
//!
//! Who renews it nobody here knows: that it was not done in time is told, and what uses the file is a person's.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::certificate_expiring::overdue_from;
use super::{Agreement, Cause};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{CertificateFile, HostCertificates, Inventory};

pub(super) struct CertificateFileExpiring;

/// How the title of one that is over ends: the severity is told by it.
const EXPIRED: &str = "it expired";

impl Cause for CertificateFileExpiring {
    fn needs(&self) -> &'static [ObjectKind] {
        &[]
    }

    fn depth(&self) -> u8 {
        1
    }

    fn key_word(&self) -> &'static str {
        "certificate-file"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        let Place::Host(agent, facts) = place else { return Vec::new() };
        let Some(certificates) = &facts.certificates else { return Vec::new() };
        let finding = |(path, file): (&String, &CertificateFile)| {
            let object = ObjectRef::File { path: path.clone() };
            let of = if file.name.is_empty() { String::new() } else { format!(" for {}", file.name) };
            let evidence =
                format!("the certificate{of} in {path} is valid until {:.0}", file.issued.not_after);
            let what = if file.expired { EXPIRED } else { "its certificate ends soon" };
            let scope = Scope::Host(agent);
            let mut finding =
                Finding::new(IncidentKind::CertificateFileExpiring, scope, object, vec![evidence]);
            what.clone_into(&mut finding.what);
            finding
        };
        certificates.files.iter().map(finding).collect()
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        let found = of(s, scope).filter(|all| all.is_fresh(now)).and_then(|all| all.files.get(object.name()));
        found.is_some_and(|file| file.expired || overdue_from(file.issued, &s.settings.certificates) <= now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: {}", finding.object, finding.what)
    }

    fn severity(&self, finding: &Finding, _: Option<&Inventory>) -> Severity {
        if finding.what == EXPIRED { Severity::Critical } else { Severity::Warning }
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        s.known(&incident.scope, &[]).ok()?;
        let all = of(s, &incident.scope).filter(|all| all.is_fresh(now))?;
        let path = incident.object.name();
        match all.files.get(path) {
            Some(file) => {
                let is_renewed = !file.expired && overdue_from(file.issued, &s.settings.certificates) > now;
                is_renewed
                    .then(|| format!("{path} was renewed: it is valid until {:.0}", file.issued.not_after))
            }
            None if all.not_listed == 0 => {
                Some(format!("{path} holds no certificate that its host's agent watches any more"))
            }
            None => None,
        }
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        if self.recovered(s, incident, s.now).is_some() {
            return Agreement::Agrees;
        }
        Agreement::Disagrees(format!("{} is not renewed, as far as was seen", incident.object.name()))
    }

    fn recommendation(&self, _: &Snapshot<'_>, incident: &Incident) -> String {
        format!(
            "nobody renewed {} in time: see why whatever renews it did not, renew it, and have the programs that use it read it anew; \
             Nimbus does not",
            incident.object.name()
        )
    }

    fn sentence(&self) -> &'static str {
        "a certificate file of a host ends soon: see why it was not renewed, renew it, and have the programs that use it read it anew"
    }
}

fn of<'a>(s: &Snapshot<'a>, scope: &Scope) -> Option<&'a HostCertificates> {
    s.world.hosts.get(&scope.host()?)?.certificates.as_ref()
}
