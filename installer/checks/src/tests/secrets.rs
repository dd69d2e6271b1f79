//! The check of the Secrets that values name.

use jiff::SignedDuration;

use super::preflight::{at, report, unread};
use super::{text, verdict};
use crate::check::Unread;
use crate::check::Verdict::{Failure, Pass, Unknown, Warning};
use crate::doctor::Life;
use crate::needs::Needs;
use crate::preflight::{Held, Looked, Values};
use crate::secrets::{JOIN, Named, PULL, TLS};

/// The Secret that this value names.
fn looked(value: &'static str, keys: &[&str], found: Result<Option<Held>, Unread>) -> Looked {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let named = Named { name: "own".to_owned(), value, keys, is_of_agents: value == JOIN };
    Looked { named, namespace: "nimbus".to_owned(), at: at(), found }
}

#[allow(clippy::unnecessary_wraps, reason = "it is what reading a Secret gives")]
fn held(keys: &[&str]) -> Result<Option<Held>, Unread> {
    Ok(Some(Held { keys: keys.iter().map(|key| (*key).to_owned()).collect(), certificate: None }))
}

/// A Secret with a certificate that ends in so many days.
fn certified(days: i64) -> Result<Option<Held>, Unread> {
    let (from, until) = (at() - SignedDuration::from_hours(24), at() + SignedDuration::from_hours(days * 24));
    let life = Life { of: "the certificate in the Secret own".to_owned(), from, until };
    held(&["tls.crt", "tls.key"]).map(|held| held.map(|held| Held { certificate: Some(Ok(life)), ..held }))
}

#[test]
fn secrets() {
    let of_tls = |found| looked(TLS, &["tls.crt", "tls.key"], found);
    let no_certificate = Held { certificate: Some(unread()), ..certified(60).unwrap().unwrap() };
    for (secret, expected, words) in [
        (
            of_tls(certified(60)),
            Pass,
            ["the certificate in the Secret own is valid until", "1 Secret is there"],
        ),
        (of_tls(certified(13)), Warning, ["expires in 13 days", "renew it"]),
        (of_tls(certified(0)), Failure, ["expired at", "renew it"]),
        (of_tls(Ok(Some(no_certificate))), Failure, ["it was not read", "read it"]),
        (
            of_tls(Ok(None)),
            Failure,
            ["there is no Secret own in nimbus, which tls.existingSecret names", "tls.key"],
        ),
        (
            of_tls(held(&["tls.crt", "ca.crt"])),
            Failure,
            ["has nothing under tls.key; found tls.crt, ca.crt", "anew"],
        ),
        (of_tls(held(&[])), Failure, ["tls.crt, tls.key; found none", "anew"]),
        (of_tls(unread()), Unknown, ["own in nimbus (tls.existingSecret): it was not read", "read it"]),
        (
            looked("database.existingSecret", &["url"], held(&["url"])),
            Pass,
            ["database.existingSecret", "own"],
        ),
        (looked("extraEnvFrom", &[], held(&[])), Pass, ["extraEnvFrom", "own"]),
        (looked(JOIN, &["token"], Ok(None)), Warning, ["join.existingSecret", "nimbus agents token create"]),
        (looked(PULL, &[".dockerconfigjson"], Ok(None)), Failure, ["image.pullSecrets", ".dockerconfigjson"]),
        (looked(PULL, &[".dockerconfigjson"], held(&[".dockercfg"])), Pass, ["image.pullSecrets", "own"]),
    ] {
        let report = report(|snapshot| {
            snapshot.values = Ok(Values::Taken(Needs::default()));
            snapshot.secrets = Some(vec![secret.clone()]);
        });
        assert_eq!(verdict(&report, "secrets"), Some(expected), "{secret:?}");
        let said = text(&report, "secrets");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    let of = |secrets: Option<Vec<Looked>>| {
        report(|snapshot| {
            snapshot.values = Ok(Values::Taken(Needs::default()));
            snapshot.secrets = secrets;
        })
    };
    // The worst of several is what it comes to, and what cannot be told is no pass.
    let mixed = of(Some(vec![of_tls(certified(60)), looked(JOIN, &["token"], Ok(None)), of_tls(unread())]));
    assert_eq!(verdict(&mixed, "secrets"), Some(Unknown), "{mixed:?}");
    assert_eq!(verdict(&of(Some(Vec::new())), "secrets"), Some(Pass));
    assert_eq!(verdict(&of(None), "secrets"), None);
}
