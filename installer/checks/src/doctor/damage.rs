//! Is what is stored what was written?

use jiff::SignedDuration;

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::words::sentences;

/// How long ago the last check may be: each begins an hour after the one before, or so much later that all of them together take
/// a twentieth of the time.
const OLDEST: SignedDuration = SignedDuration::from_hours(48);

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "database", what: "everything stored was checked and is undamaged", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let plane = snapshot.plane()?;
    let storage = &plane.storage;
    Ok(match plane.checked_at {
        _ if !plane.damage.is_empty() => Outcome::failure(
            format!("damaged in {storage}: {}", sentences(&plane.damage)),
            "check the disk, and restore the last backup that verifies: nimbus backup verify, nimbus backup restore",
        ),
        Some(at) if snapshot.now.duration_since(at) > OLDEST => Outcome::warning(
            format!("{storage}, last checked at {at}; expected within two days"),
            "look at the control plane's log for what keeps its check, which it begins every hour or so, from its end",
        ),
        Some(at) => Outcome::pass(format!("{storage}, checked at {at}")),
        None => Outcome::unknown(
            format!("{storage}: the first check of what is stored has not ended yet"),
            "run this again in some minutes",
        ),
    })
}
