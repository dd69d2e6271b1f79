//! Is a bound reached, beyond which things are left out?

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::words::sentences;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "bounds", what: "no bound is reached beyond which things are left out", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let bounds = &snapshot.plane()?.bounds;
    Ok(if bounds.is_empty() {
        Outcome::pass("no bound is reached")
    } else {
        Outcome::warning(
            sentences(bounds),
            "watch fewer files or objects from one agent, or resolve what is open (docs/sizing.md)",
        )
    })
}
