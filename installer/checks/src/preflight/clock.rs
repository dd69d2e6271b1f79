//! Do this machine and the API server agree on the time? Certificates and join tokens of minutes depend on it.

use super::Snapshot;
use crate::check::{Check, Judged};
use crate::clock;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "clock", what: "this machine's clock and the API server's agree", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    Ok(clock::judge(snapshot.clock.as_ref()?, "the API server"))
}
