//! Scenes of certificates that nobody here renews, in files of hosts and in Secrets: one that ends soon is a person's, in time, and nothing is
//! concluded from what was told long ago.

use nimbus_protocol::to_micros;
use nimbus_protocol::v1::{self, observation::Body};

use super::*;
use crate::model::*;
use crate::testing::at;

const KIND: IncidentKind = IncidentKind::CertificateFileExpiring;
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
const PATH: &str = "/etc/nginx/tls/web.pem";

/// One that is valid for 90 days in all and for so many seconds more.
fn file(left: i64) -> v1::CertificateFile {
    v1::CertificateFile {
        path: PATH.into(),
        name: "web.example.com".into(),
        not_before_us: to_micros(at(left - 90 * DAY)),
        not_after_us: to_micros(at(left)),
        sha256: vec![1; 32],
        expired: false,
    }
}

fn tell(lab: &mut Lab, files: Vec<v1::CertificateFile>, not_listed: u32) {
    lab.see_host(Body::CertificateFiles(v1::CertificateFiles { files, not_listed }));
    lab.settle();
}

#[test]
fn one_that_ends_within_two_weeks_is_told_and_over_once_it_is_another_one() {
    let mut lab = Lab::new();
    tell(&mut lab, vec![file(14 * DAY + 600)], 0);
    assert!(lab.incidents.is_empty());
    lab.pass(600);
    assert!(lab.settle().is_empty(), "nothing is done by Nimbus");
    let incident = lab.open(KIND).clone();
    assert_eq!((incident.severity, incident.object.name()), (Severity::Warning, PATH));
    assert_eq!((incident.plan_id, incident.approval_id), (None, None));
    assert!(incident.title.ends_with("its certificate ends soon"), "{}", incident.title);
    assert!(
        incident.evidence[0].contains("for web.example.com in /etc/nginx/tls/web.pem is valid until"),
        "{:?}",
        incident.evidence
    );
    assert!(incident.reason.contains("have the programs that use it read it anew"), "{}", incident.reason);
    tell(&mut lab, vec![file(89 * DAY)], 0);
    let ended = lab.last(KIND);
    assert_eq!(ended.state, IncidentState::Resolved);
    assert!(ended.reason.contains("was renewed: it is valid until"), "{}", ended.reason);
}

#[test]
fn one_of_a_day_is_told_in_its_last_hours() {
    let day = |left: i64| v1::CertificateFile { not_before_us: to_micros(at(left - DAY)), ..file(left) };
    let mut lab = Lab::new();
    tell(&mut lab, vec![day(14_401)], 0);
    assert!(lab.incidents.is_empty());
    tell(&mut lab, vec![day(14_400)], 0);
    lab.open(KIND);
}

#[test]
fn one_that_is_over_by_the_clock_of_its_host_is_critical() {
    let mut lab = Lab::new();
    tell(&mut lab, vec![v1::CertificateFile { expired: true, ..file(-DAY) }], 0);
    let incident = lab.open(KIND);
    assert_eq!(incident.severity, Severity::Critical);
    assert!(incident.title.ends_with("it expired"), "{}", incident.title);
}

#[test]
fn what_is_not_watched_any_more_is_over_and_what_was_not_told_is_not() {
    let mut lab = Lab::new();
    tell(&mut lab, vec![file(DAY)], 0);
    lab.open(KIND);
    // Among more than are told it may be one that is left out.
    tell(&mut lab, Vec::new(), 3);
    lab.open(KIND);
    tell(&mut lab, Vec::new(), 0);
    assert_eq!(lab.last(KIND).state, IncidentState::Resolved);

    // Nothing is opened from what was told long ago, and nothing ends by it.
    let mut lab = Lab::new();
    tell(&mut lab, vec![file(14 * DAY + 1_200)], 0);
    lab.pass(1_200);
    lab.settle();
    assert!(lab.incidents.is_empty(), "it was told twenty minutes ago");
    tell(&mut lab, vec![file(14 * DAY)], 0);
    lab.pass(3_600);
    lab.settle();
    lab.open(KIND);
}

#[test]
fn the_certificate_of_a_secret_is_told_unless_cert_manager_has_it() {
    const KIND: IncidentKind = IncidentKind::TlsSecretExpiring;
    let see = |lab: &mut Lab, left: i64| lab.see(Body::TlsSecret(tls_secret("web-tls", left)));
    let mut lab = Lab::new();
    see(&mut lab, 14 * DAY + 1);
    lab.settle();
    assert!(lab.incidents.is_empty());
    see(&mut lab, 14 * DAY);
    assert!(lab.settle().is_empty(), "nothing is done by Nimbus");
    let incident = lab.open(KIND).clone();
    assert_eq!((incident.severity, incident.plan_id), (Severity::Warning, None));
    assert!(incident.title.contains("shop/secret/web-tls"), "{}", incident.title);
    assert!(
        incident.evidence[0].contains("for web-tls.example.com in shop/secret/web-tls"),
        "{:?}",
        incident.evidence
    );
    // What cannot be read any more is not renewed.
    lab.see(Body::TlsSecret(v1::TlsSecret { not_after_us: 0, ..tls_secret("web-tls", DAY) }));
    lab.settle();
    lab.open(KIND);
    see(&mut lab, 80 * DAY);
    lab.settle();
    assert_eq!(lab.last(KIND).state, IncidentState::Resolved);

    // cert-manager renews it, and that it does not is told of its Certificate.
    let mut lab = Lab::new();
    let now = v1::Certificate {
        renewal_time_us: to_micros(at(HOUR)),
        secret_name: "web-tls".into(),
        ..certificate("web")
    };
    lab.see(Body::Certificate(now));
    see(&mut lab, DAY);
    lab.settle();
    assert!(lab.incidents.is_empty());
    lab.see(gone("Certificate", "cert-web"));
    lab.settle();
    lab.open(KIND);
    lab.see(gone("TlsSecret", "tls-web-tls"));
    lab.settle();
    assert_eq!(lab.last(KIND).state, IncidentState::Resolved);
}
