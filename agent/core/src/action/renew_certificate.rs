//! The agent's rules for `renew_certificate`, the action that asks cert-manager to issue a Certificate anew.
//!
//! What is read again is the Certificate and its issuer: that they are what was planned on, that issuing it failed and nobody is at work at
//! it, and that its renewal is due by this agent's own clock.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{to_micros, v1};

use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::observe::kube::CERT_MANAGER;
use crate::refusal::Refusal;

/// However the control plane is set up, this agent asks no sooner after a failure: authorities bound how often one may fail.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// What is read again right before acting; `None` for what no longer exists.
#[derive(Debug, Clone, Copy)]
pub struct CertificateNow<'a> {
    /// The Certificate.
    pub certificate: Option<&'a v1::Certificate>,
    /// Its issuer, where that is one of cert-manager's own.
    pub issuer: Option<&'a v1::Issuer>,
    /// The agent's own time.
    pub now: Timestamp,
}

/// Is whoever issues it of cert-manager's own, so that its state can be read?
pub fn is_of_cert_manager(action: &v1::RenewCertificate) -> bool {
    action.issuer_group == CERT_MANAGER
}

/// Was it issued anew since this was planned, and is cert-manager done with it?
pub fn is_renewed(action: &v1::RenewCertificate, now: &v1::Certificate) -> bool {
    now.revision > action.revision
        && now.not_after_us > action.not_after_us
        && now.ready == "True"
        && now.issuing != "True"
}

/// Did issuing it fail once more since this was planned?
pub fn failed_again(action: &v1::RenewCertificate, now: &v1::Certificate) -> bool {
    now.last_failure_us > action.last_failure_us && now.issuing != "True"
}

fn at(micros: i64) -> Timestamp {
    nimbus_protocol::from_micros(micros)
}

impl AgentRules for v1::RenewCertificate {
    type Found<'a> = CertificateNow<'a>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// Nothing that serves is touched before there is a new certificate.
    fn needs_approval(&self) -> bool {
        false
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        object::named("renew_certificate.certificate", self.certificate.as_ref())?;
        for (field, text) in [
            ("renew_certificate.issuer_group", &self.issuer_group),
            ("renew_certificate.issuer_kind", &self.issuer_kind),
            ("renew_certificate.issuer_name", &self.issuer_name),
        ] {
            if text.is_empty() {
                return malformed(field, "the API group, kind and name of an issuer");
            }
        }
        if is_of_cert_manager(self) && !matches!(self.issuer_kind.as_str(), "Issuer" | "ClusterIssuer") {
            return malformed("renew_certificate.issuer_kind", "Issuer or ClusterIssuer");
        }
        if self.not_after_us <= 0 || self.last_failure_us <= 0 {
            return malformed(
                "renew_certificate",
                "a time until which it is valid, and one at which issuing it failed",
            );
        }
        Ok(())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Namespace(object::namespace(self.certificate.as_ref()))]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let wanted = self.certificate.as_ref();
        let name = object::name(wanted);
        let Some(now) = found.certificate else {
            return Err(unexpected(format!("expected Certificate {name}, found none")));
        };
        object::same("Certificate", wanted, now.meta.as_ref())?;
        let issuer = |group: &str, kind: &str, name: &str| format!("{kind}.{group} {name}");
        let (planned, asked) = (
            issuer(&self.issuer_group, &self.issuer_kind, &self.issuer_name),
            issuer(&now.issuer_group, &now.issuer_kind, &now.issuer_name),
        );
        if planned != asked {
            return Err(unexpected(format!("expected {name} to be issued by {planned}, found {asked}")));
        }
        if now.revision != self.revision || now.not_after_us != self.not_after_us {
            return Err(unexpected(format!(
                "expected {name} as it was issued for time {}, valid until {}, found time {}, until {}",
                self.revision,
                at(self.not_after_us),
                now.revision,
                at(now.not_after_us)
            )));
        }
        if now.issuing == "True" {
            return Err(unexpected(format!(
                "expected nobody to be at work at {name}, found that cert-manager is issuing it: {}",
                now.issuing_message
            )));
        }
        if now.last_failure_us != self.last_failure_us {
            return Err(unexpected(format!(
                "expected that issuing {name} failed last at {}, found {}",
                at(self.last_failure_us),
                at(now.last_failure_us)
            )));
        }
        if found.now.duration_since(at(now.last_failure_us)) < LEAST_PAUSE {
            return Err(unexpected(format!(
                "expected that issuing {name} failed {LEAST_PAUSE:#} ago or longer, found that it did at {}",
                at(now.last_failure_us)
            )));
        }
        let due = if now.renewal_time_us > 0 { now.renewal_time_us } else { before_its_end(now) };
        if to_micros(found.now) < due {
            return Err(unexpected(format!(
                "expected {name} to be due, found that it is from {} on",
                at(due)
            )));
        }
        match found.issuer {
            _ if !is_of_cert_manager(self) => Ok(()),
            Some(issuer) if issuer.ready == "True" => Ok(()),
            Some(issuer) => Err(unexpected(format!(
                "expected {planned} to be ready, found: {} {}",
                issuer.ready_reason, issuer.ready_message
            ))),
            None => Err(unexpected(format!("expected {planned}, found none"))),
        }
    }

    fn permissions() -> &'static [Permission] {
        &[
            Permission { group: "cert-manager.io", resource: "certificates", verbs: &["get"] },
            // The only change is the condition Issuing.
            Permission { group: "cert-manager.io", resource: "certificates/status", verbs: &["patch"] },
            Permission { group: "cert-manager.io", resource: "clusterissuers", verbs: &["get"] },
            Permission { group: "cert-manager.io", resource: "issuers", verbs: &["get"] },
        ]
    }
}

/// Where it is not told when it is to be renewed, it is due in the last third of its lifetime, as cert-manager has it.
fn before_its_end(now: &v1::Certificate) -> i64 {
    let lifetime = now.not_after_us.saturating_sub(now.not_before_us.max(0)).max(0);
    now.not_after_us.saturating_sub(lifetime / 3)
}

#[cfg(test)]
mod tests {
    use super::super::object::tests::{meta, target};
    use super::*;
    use crate::refusal::Code;

    const HOUR: i64 = 3_600_000_000;
    const NOW: i64 = 1_000 * HOUR;

    fn renew() -> v1::RenewCertificate {
        v1::RenewCertificate {
            certificate: target("c1"),
            issuer_group: CERT_MANAGER.into(),
            issuer_kind: "Issuer".into(),
            issuer_name: "ca".into(),
            not_after_us: NOW + 10 * HOUR,
            revision: 3,
            last_failure_us: NOW - 2 * HOUR,
        }
    }

    fn certificate() -> v1::Certificate {
        v1::Certificate {
            meta: meta("c1", ""),
            issuer_group: CERT_MANAGER.into(),
            issuer_kind: "Issuer".into(),
            issuer_name: "ca".into(),
            not_before_us: NOW - 80 * HOUR,
            not_after_us: NOW + 10 * HOUR,
            renewal_time_us: NOW - 20 * HOUR,
            ready: "True".into(),
            issuing: "False".into(),
            last_failure_us: NOW - 2 * HOUR,
            revision: 3,
            ..Default::default()
        }
    }

    fn issuer(ready: &str) -> v1::Issuer {
        v1::Issuer { ready: ready.into(), ..Default::default() }
    }

    fn asked(certificate: &v1::Certificate, issuer: Option<&v1::Issuer>) -> Result<(), Refusal> {
        renew().preconditions(CertificateNow { certificate: Some(certificate), issuer, now: at(NOW) })
    }

    #[test]
    fn one_whose_renewal_failed_a_while_ago_may_be_asked_for() {
        assert_eq!(renew().well_formed(), Ok(()));
        assert_eq!(asked(&certificate(), Some(&issuer("True"))), Ok(()));
        // What was issued without a time of renewal is due in its last third.
        let told = v1::Certificate { renewal_time_us: 0, ..certificate() };
        assert_eq!(asked(&told, Some(&issuer("True"))), Ok(()));
        let of_another = v1::RenewCertificate {
            issuer_group: "awspca.cert-manager.io".into(),
            issuer_kind: "AWSPCAIssuer".into(),
            ..renew()
        };
        let now = v1::Certificate {
            issuer_group: "awspca.cert-manager.io".into(),
            issuer_kind: "AWSPCAIssuer".into(),
            ..certificate()
        };
        let found = CertificateNow { certificate: Some(&now), issuer: None, now: at(NOW) };
        assert_eq!(of_another.preconditions(found), Ok(()), "nobody here can read whether it is ready");
    }

    #[test]
    fn any_change_since_it_was_planned_refuses() {
        let changes: [fn(&mut v1::Certificate); 10] = [
            |it| it.meta.as_mut().unwrap().uid = "c2".into(),
            |it| it.meta.as_mut().unwrap().deleting_since_us = 1,
            |it| it.issuer_name = "other".into(),
            |it| it.revision = 4,
            |it| it.not_after_us += 1,
            |it| it.issuing = "True".into(),
            |it| it.last_failure_us = 0,
            |it| it.last_failure_us = NOW - HOUR,
            |it| it.renewal_time_us = NOW + 1,
            |it| (it.renewal_time_us, it.not_before_us) = (0, NOW - HOUR),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut now = certificate();
            change(&mut now);
            let refusal = asked(&now, Some(&issuer("True"))).expect_err(&number.to_string());
            assert_eq!(refusal.code, Code::PreconditionFailed);
        }
        for issuer in [None, Some(&issuer("False")), Some(&issuer("Unknown"))] {
            assert!(asked(&certificate(), issuer).is_err());
        }
        let gone = CertificateNow { certificate: None, issuer: None, now: at(NOW) };
        assert!(renew().preconditions(gone).is_err());
    }

    #[test]
    fn a_failure_of_a_moment_ago_is_left_to_pass_whatever_was_planned() {
        let lately = NOW - 4 * HOUR / 60;
        let action = v1::RenewCertificate { last_failure_us: lately, ..renew() };
        let now = v1::Certificate { last_failure_us: lately, ..certificate() };
        let issuer = issuer("True");
        let found = CertificateNow { certificate: Some(&now), issuer: Some(&issuer), now: at(NOW) };
        assert!(action.preconditions(found).unwrap_err().reason.contains("ago or longer"));
    }

    #[test]
    fn what_cannot_be_carried_out_is_malformed() {
        let changes: [fn(&mut v1::RenewCertificate); 6] = [
            |it| it.certificate = None,
            |it| it.issuer_name.clear(),
            |it| it.issuer_group.clear(),
            |it| it.issuer_kind = "Widget".into(),
            |it| it.not_after_us = 0,
            |it| it.last_failure_us = 0,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut action = renew();
            change(&mut action);
            assert_eq!(action.well_formed().expect_err(&number.to_string()).code, Code::Malformed);
        }
    }

    #[test]
    fn it_is_renewed_once_there_is_a_later_one_that_is_ready_and_failed_where_a_failure_is_newer() {
        let (action, before) = (renew(), certificate());
        assert!(!is_renewed(&action, &before) && !failed_again(&action, &before));
        let after = v1::Certificate { revision: 4, not_after_us: NOW + 90 * HOUR, ..certificate() };
        assert!(is_renewed(&action, &after));
        for other in [
            v1::Certificate { not_after_us: before.not_after_us, ..after.clone() },
            v1::Certificate { issuing: "True".into(), ..after.clone() },
            v1::Certificate { ready: "False".into(), ..after.clone() },
            v1::Certificate { revision: 3, ..after.clone() },
        ] {
            assert!(!is_renewed(&action, &other), "{other:?}");
        }
        assert!(failed_again(&action, &v1::Certificate { last_failure_us: NOW, ..before.clone() }));
        let again = v1::Certificate { last_failure_us: NOW, issuing: "True".into(), ..before };
        assert!(!failed_again(&action, &again), "it is at work once more");
    }
}
