//! Scenes of Certificates that are due to be renewed and are not: asked for anew where a failure's wait alone keeps them, and left alone, with
//! what stands in the way, everywhere else.

use nimbus_protocol::to_micros;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::model::*;
use crate::testing::{ActionBody, action_of, at};

const KIND: IncidentKind = IncidentKind::CertificateExpiring;
const HOUR: i64 = 3_600;

fn see(lab: &mut Lab, told: v1::Certificate) {
    lab.see(Body::Certificate(told));
}

/// The Certificate `web`, overdue since an hour, of the Issuer `ca`, which is ready.
fn overdue(change: impl FnOnce(&mut v1::Certificate)) -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::Issuer(issuer("ca")));
    let mut told = certificate("web");
    change(&mut told);
    see(&mut lab, told);
    lab
}

fn asked(job: &v1::Job) -> v1::RenewCertificate {
    let Some(ActionBody::RenewCertificate(action)) = action_of(job) else { panic!("{job:?}") };
    action
}

/// The one job that comes of it.
fn job(lab: &mut Lab) -> v1::Job {
    let mut jobs = lab.settle();
    assert_eq!(jobs.len(), 1, "{:?}", lab.incidents.values().map(|it| &it.doc.reason).collect::<Vec<_>>());
    jobs.remove(0)
}

/// The reason of the open incident, for which nothing is done.
fn left_alone(lab: &mut Lab) -> String {
    assert!(lab.settle().is_empty());
    let incident = lab.open(KIND);
    assert_eq!(incident.plan_id, None, "{}", incident.reason);
    incident.reason.clone()
}

fn renewed(lab: &Lab) -> v1::Certificate {
    let now = lab.now.as_second() * 1_000_000;
    v1::Certificate {
        not_before_us: now,
        renewal_time_us: now + 60 * 24 * HOUR * 1_000_000,
        not_after_us: now + 90 * 24 * HOUR * 1_000_000,
        issuing: String::new(),
        issuing_reason: String::new(),
        issuing_message: String::new(),
        last_failure_us: 0,
        failed_attempts: 0,
        revision: 8,
        ..certificate("web")
    }
}

#[test]
fn one_that_waits_after_a_failure_is_asked_for_and_is_over_once_it_is_renewed() {
    let mut lab = overdue(|_| {});
    let sent = job(&mut lab);
    let action = asked(&sent);
    assert_eq!((action.revision, action.last_failure_us), (7, certificate("web").last_failure_us));
    let incident = lab.open(KIND);
    assert_eq!(incident.severity, Severity::Warning);
    assert!(incident.title.contains("it is due to be renewed, and is not"), "{}", incident.title);
    assert!(
        incident.evidence[0].contains("for web.example.com, in Secret web-tls: valid until"),
        "{:?}",
        incident.evidence
    );
    assert!(
        incident.evidence[1].contains("3 times in a row: the order is invalid"),
        "{:?}",
        incident.evidence
    );
    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert!(plan.rationale.contains("by itself cert-manager tries again at about"), "{}", plan.rationale);

    lab.apply(&sent);
    let now = renewed(&lab);
    see(&mut lab, now);
    lab.report(&sent, Phase::Succeeded, "", "");
    lab.settle();
    let ended = lab.last(KIND);
    assert_eq!(ended.state, IncidentState::Resolved, "{}", ended.reason);
}

#[test]
fn one_that_failed_again_is_asked_for_anew_after_a_while_and_after_a_few_tries_a_person_is_asked() {
    let mut lab = overdue(|_| {});
    let mut tries = 0;
    for _ in 0..60 {
        let jobs = lab.settle();
        assert!(jobs.len() <= 1);
        for sent in jobs {
            tries += 1;
            lab.apply(&sent);
            let told = v1::Certificate {
                last_failure_us: to_micros(lab.now),
                failed_attempts: 3 + tries,
                ..certificate("web")
            };
            see(&mut lab, told);
            lab.report(&sent, Phase::Failed, "", "issuing it failed again");
            lab.settle();
            assert!(lab.settle().is_empty(), "an authority bounds how often one may fail");
        }
        lab.pass(1_800);
    }
    assert_eq!(tries, lab.settings.attempts);
    assert_eq!(lab.open(KIND).state, IncidentState::Escalated);
}

#[test]
fn nothing_is_found_before_cert_manager_should_have_renewed_it() {
    for renewal in [to_micros(at(HOUR)), to_micros(at(-HOUR)), to_micros(at(-24 * HOUR + 60))] {
        let mut lab = overdue(|it| it.renewal_time_us = renewal);
        assert!(lab.settle().is_empty());
        assert!(lab.incidents.is_empty(), "it is due for less than a day");
    }
    // One of an hour is told within three minutes.
    let hour = |due: i64| {
        move |it: &mut v1::Certificate| {
            (it.not_before_us, it.not_after_us) =
                (to_micros(at(due - 40 * 60)), to_micros(at(due + 20 * 60)));
            it.renewal_time_us = to_micros(at(due));
        }
    };
    let mut lab = overdue(hour(-179));
    lab.settle();
    assert!(lab.incidents.is_empty());
    let mut lab = overdue(hour(-180));
    job(&mut lab);
    // Never issued: nothing that served expires.
    let mut lab = overdue(|it| (it.not_after_us, it.not_before_us, it.revision) = (0, 0, 0));
    lab.settle();
    assert!(lab.incidents.is_empty());
}

#[test]
fn where_its_renewal_is_not_told_it_is_found_as_it_comes_to_its_end() {
    let mut lab = overdue(|it| it.renewal_time_us = 0);
    lab.settle();
    assert!(lab.incidents.is_empty(), "29 days are left");
    lab.pass(15 * 24 * HOUR + HOUR);
    job(&mut lab);
}

#[test]
fn one_whose_issuer_is_not_ready_is_a_persons_with_what_the_issuer_says() {
    let mut lab = overdue(|_| {});
    let not = v1::Issuer {
        ready: "False".into(),
        ready_reason: "ErrGetKeyPair".into(),
        ready_message: "secret \"ca\" not found".into(),
        ..issuer("ca")
    };
    lab.see(Body::Issuer(not));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("Issuer ca is not ready (ErrGetKeyPair)"), "{reason}");
    assert!(reason.contains("secret \"ca\" not found; see `kubectl describe issuer -n shop ca`"), "{reason}");
    assert_eq!(lab.open(KIND).state, IncidentState::Escalated);
    // Put right, it is asked for.
    lab.see(Body::Issuer(issuer("ca")));
    job(&mut lab);

    let mut lab = overdue(|it| it.issuer_name = "gone".into());
    assert!(left_alone(&mut lab).contains("names Issuer gone, and there is none"));
    // A ClusterIssuer of that name is another one.
    lab.see(Body::ClusterIssuer(issuer("gone")));
    assert!(left_alone(&mut lab).contains("there is none"));
    let mut lab = overdue(|it| (it.issuer_kind, it.issuer_name) = ("ClusterIssuer".into(), "le".into()));
    lab.see(Body::ClusterIssuer(issuer("le")));
    job(&mut lab);
    // Of another's issuer nobody here can tell.
    let mut lab = overdue(|it| it.issuer_group = "awspca.cert-manager.io".into());
    job(&mut lab);
}

#[test]
fn while_cert_manager_is_at_work_it_is_left_to_it_and_told_where_that_does_not_end() {
    let mut lab = overdue(|it| {
        (it.issuing, it.issuing_since_us) = ("True".into(), to_micros(at(-60)));
        it.issuing_message = "Renewing certificate".into();
    });
    assert!(left_alone(&mut lab).contains("cert-manager is issuing"));
    assert_eq!(lab.open(KIND).state, IncidentState::Open);
    lab.pass(1_800);
    let reason = left_alone(&mut lab);
    assert!(reason.contains("does not come to an end"), "{reason}");
    assert!(reason.contains("`cmctl status certificate -n shop web`"), "{reason}");
}

#[test]
fn where_no_failure_is_on_record_its_controller_does_not_work_and_a_request_would_wait_as_the_renewal_does() {
    let mut lab = overdue(|it| {
        (it.last_failure_us, it.failed_attempts) = (0, 0);
        it.issuing.clear();
    });
    let reason = left_alone(&mut lab);
    assert!(reason.contains("see whether its controller runs"), "{reason}");
}

#[test]
fn a_failure_of_a_moment_ago_and_a_try_that_is_near_are_waited_for() {
    let mut lab = overdue(|it| it.last_failure_us = to_micros(at(-600)));
    assert!(left_alone(&mut lab).contains("it is asked for anew from"));
    lab.pass(HOUR - 600);
    job(&mut lab);

    // After three failures it tries again four hours later.
    let mut lab = overdue(|it| it.last_failure_us = to_micros(at(-4 * HOUR + 300)));
    assert!(
        left_alone(&mut lab).contains("tries web again by itself at about")
            || left_alone(&mut lab).contains("by itself at about")
    );
    lab.pass(600);
    assert!(left_alone(&mut lab).contains("by itself at about"), "it may be late");
    lab.pass(600);
    job(&mut lab);
}

#[test]
fn one_that_expired_is_critical_and_asked_for_all_the_same() {
    let mut lab = overdue(|it| {
        (it.not_before_us, it.not_after_us) = (to_micros(at(-91 * 24 * HOUR)), to_micros(at(-24 * HOUR)));
        it.renewal_time_us = to_micros(at(-31 * 24 * HOUR));
        (it.ready, it.ready_reason) = ("False".into(), "Expired".into());
    });
    job(&mut lab);
    let incident = lab.open(KIND);
    assert_eq!(incident.severity, Severity::Critical);
    assert!(incident.title.ends_with("it expired"), "{}", incident.title);
}

#[test]
fn it_is_over_when_cert_manager_renews_it_itself_and_when_it_is_gone() {
    let mut lab = overdue(|it| it.last_failure_us = to_micros(at(-600)));
    left_alone(&mut lab);
    let now = renewed(&lab);
    // What it is still at work at is not renewed yet.
    see(&mut lab, v1::Certificate { issuing: "True".into(), ..now.clone() });
    lab.settle();
    lab.open(KIND);
    see(&mut lab, now);
    lab.settle();
    let ended = lab.last(KIND);
    assert_eq!(ended.state, IncidentState::Resolved);
    assert!(ended.reason.contains("was renewed: it is valid until"), "{}", ended.reason);

    let mut lab = overdue(|it| it.last_failure_us = to_micros(at(-600)));
    left_alone(&mut lab);
    lab.see(gone("Certificate", "cert-web"));
    lab.settle();
    assert_eq!(lab.last(KIND).state, IncidentState::Resolved);
}

#[test]
fn nothing_is_concluded_where_certificates_or_issuers_are_not_listed() {
    use nimbus_protocol::ObjectKind;
    let begin = |lab: &mut Lab, kind: ObjectKind| {
        lab.see(Body::Sync(v1::SyncMark {
            kind: kind.as_str().into(),
            phase: v1::sync_mark::Phase::Begin.into(),
            lease_term: 1,
        }));
    };
    let mut lab = overdue(|_| {});
    begin(&mut lab, ObjectKind::Certificate);
    lab.settle();
    assert!(lab.incidents.is_empty());
    let mut lab = overdue(|_| {});
    begin(&mut lab, ObjectKind::Issuer);
    let reason = left_alone(&mut lab);
    assert!(reason.contains("unknown"), "{reason}");
}
