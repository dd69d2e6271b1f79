//! Looks at the Secrets that the values name: for the names of their keys, and for the certificate of one. No other value of a Secret
//! leaves kubectl.

use nimbus_checks::check::{Gathered, Unread};
use nimbus_checks::kubernetes::{SECRET, is_object_name, secret};
use nimbus_checks::preflight::{Held, Looked};
use nimbus_checks::secrets::{Named, TLS};

use super::certificate;
use super::kubectl::Kubectl;

/// The most that are looked at.
const MOST: usize = 50;

/// Looks at each, in the namespace of its chart.
pub async fn look(kubectl: &Kubectl, secrets: &[Named], namespace: impl Fn(&Named) -> String) -> Vec<Looked> {
    let mut looked = Vec::with_capacity(secrets.len());
    for (place, named) in secrets.iter().enumerate() {
        let namespace = namespace(named);
        let found = if place < MOST {
            find(kubectl, named, &namespace).await
        } else {
            Err(Unread::new(
                format!("more than {MOST} Secrets are named"),
                "look at the rest by hand: kubectl get secrets",
            ))
        };
        looked.push(Looked { named: named.clone(), namespace, at: nimbus_platform::now(), found });
    }
    looked
}

/// Each as `why` has it, where there is no cluster to look at.
pub fn none(secrets: &[Named], namespace: impl Fn(&Named) -> String, why: &Unread) -> Vec<Looked> {
    let of = |named: &Named| Looked {
        named: named.clone(),
        namespace: namespace(named),
        at: nimbus_platform::now(),
        found: Err(why.clone()),
    };
    secrets.iter().map(of).collect()
}

async fn find(kubectl: &Kubectl, named: &Named, namespace: &str) -> Gathered<Option<Held>> {
    // What is no name is none of a Secret, and would be an option of kubectl's.
    if !is_object_name(&named.name) {
        return Ok(None);
    }
    let words = ["get", "secret", named.name.as_str(), "--namespace", namespace, "-o", SECRET];
    let found = kubectl.find(&words, secret).await?;
    Ok(found.map(|secret| {
        let of = format!("the certificate in the Secret {} in {namespace}", named.name);
        let is_given = named.value == TLS;
        Held {
            certificate: is_given.then(|| certificate::of_text(&secret.certificate, &of)),
            keys: secret.keys,
        }
    }))
}
