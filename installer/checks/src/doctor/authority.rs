//! How long does the CA live by which operators know the control plane? It is the control plane's own, by which agents know it
//! too, or the one of a certificate that was given to it.

use super::{Snapshot, asked, life};
use crate::check::{Check, Judged};

/// Days before its end from which it is worth a look: every agent and operator has to get another one.
const NOTICED_DAYS: i64 = 90;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "authority", what: "the control plane's CA is valid for months", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let found = asked(snapshot.authority.as_ref(), "a context with a ca_file, or --data-dir DIR")?;
    Ok(life(
        found,
        snapshot.now,
        NOTICED_DAYS,
        "one of the control plane's own: plan a new installation with new keys (nimbus keys create) that the agents join, \
         before it ends; one of a given certificate (tls.existingSecret, cert-manager), on which no agent depends: put the \
         authority's next one into that file",
    ))
}
