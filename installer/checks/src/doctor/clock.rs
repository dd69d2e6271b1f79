//! Do this machine and the control plane agree on the time?

use super::Snapshot;
use crate::check::{Check, Judged};
use crate::clock;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "clock", what: "this machine's clock and the control plane's agree", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    Ok(clock::judge(&snapshot.plane()?.clock, "the control plane"))
}
