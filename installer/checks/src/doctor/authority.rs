//! How long does the control plane's own CA live, by which agents and operators know it?

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
        "plan a new installation with new keys (nimbus keys create) that the agents join, before it ends",
    ))
}
