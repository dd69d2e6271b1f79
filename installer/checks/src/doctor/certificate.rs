//! How long does the certificate live that operators see? One of the own CA is renewed by itself.

use super::{Snapshot, asked, life};
use crate::check::{Check, Judged};

/// Days before its end from which it is worth a look: one that is renewed by itself is renewed long before.
const NOTICED_DAYS: i64 = 7;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "certificate", what: "the certificate that operators see is valid for days", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let found =
        asked(snapshot.certificate.as_ref(), "an address with https://; http:// on this machine shows none")?;
    Ok(life(
        found,
        snapshot.now,
        NOTICED_DAYS,
        "one of a Secret or file is renewed by whoever made it (tls.existingSecret, cert-manager), and served after a restart \
         of the control plane; one of the own CA is renewed by the control plane: look at its log",
    ))
}
