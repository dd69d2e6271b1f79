//! The checker against plans that ask for a certificate: each that is not what is there, or not to be asked for now, is refused by itself.

use nimbus_protocol::v1::{self, observation::Body};

use crate::check;
use crate::model::Plan;
use crate::testing::ActionBody;
use crate::testing::lab::Lab;
use crate::testing::objects::*;

type Change<T> = fn(&mut T);

fn planned() -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::Issuer(issuer("ca")));
    lab.see(Body::Certificate(certificate("web")));
    lab.diagnose();
    lab.plan();
    lab
}

/// The numbers of the invariants that the plan would break if it went out now, with its action changed so.
fn broken(lab: &Lab, change: fn(&mut v1::RenewCertificate)) -> Vec<u8> {
    let mut plan: Plan = lab.plans.values().next().unwrap().doc.clone();
    let Some(ActionBody::RenewCertificate(mut action)) = plan.action.body().cloned() else {
        panic!("{plan:?}")
    };
    change(&mut action);
    plan.action = ActionBody::RenewCertificate(action).into();
    plan.digest = plan.computed_digest();
    let found = check::check(&plan, &lab.snapshot(), lab.now);
    found.iter().map(|violation| violation.invariant).filter(|number| [3, 5].contains(number)).collect()
}

#[test]
fn a_request_that_says_something_else_than_what_is_there_is_refused() {
    let lab = planned();
    assert!(broken(&lab, |_| {}).is_empty(), "{:?}", broken(&lab, |_| {}));
    let changes: [fn(&mut v1::RenewCertificate); 8] = [
        |a| a.certificate = None,
        |a| a.certificate.as_mut().unwrap().uid.push('x'),
        |a| a.issuer_name = "other".into(),
        |a| a.issuer_kind = "ClusterIssuer".into(),
        |a| a.issuer_group = "example.com".into(),
        |a| a.revision += 1,
        |a| a.not_after_us += 1,
        |a| a.last_failure_us += 1,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert!(!broken(&lab, change).is_empty(), "{at}");
    }
}

#[test]
fn a_request_needs_a_renewal_that_is_due_and_a_failure_that_nobody_is_at() {
    let changes: [(Change<v1::Certificate>, u8); 7] = [
        (|it| it.meta.as_mut().unwrap().deleting_since_us = 1, 3),
        (|it| it.issuing = "True".into(), 3),
        (|it| it.renewal_time_us = it.not_after_us, 3),
        (|it| it.renewal_time_us = 0, 3),
        (|it| it.last_failure_us = 0, 3),
        (|it| it.last_failure_us += 9_000_000_000, 3),
        (|it| it.not_after_us = 0, 3),
    ];
    for (at, (change, number)) in changes.into_iter().enumerate() {
        let mut lab = planned();
        let mut told = certificate("web");
        change(&mut told);
        lab.see(Body::Certificate(told));
        assert!(broken(&lab, |_| {}).contains(&number), "{at}: {:?}", broken(&lab, |_| {}));
    }
    let mut lab = planned();
    lab.settings.certificates.retry_s = 10_801;
    assert_eq!(broken(&lab, |_| {}), [5]);
}

#[test]
fn a_request_needs_an_issuer_that_is_ready() {
    for ready in ["False", "Unknown", ""] {
        let mut lab = planned();
        lab.see(Body::Issuer(v1::Issuer { ready: ready.into(), ..issuer("ca") }));
        assert_eq!(broken(&lab, |_| {}), [3], "{ready}");
    }
    let mut lab = planned();
    lab.see(gone("Issuer", "issuer-ca"));
    assert_eq!(broken(&lab, |_| {}), [3]);
}
