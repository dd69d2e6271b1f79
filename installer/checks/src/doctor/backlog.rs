//! Does the control plane keep up with what the agents send?

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};

/// Batches that are stored and not applied, from which it is worth a look: a short burst leaves fewer.
const NOTICED: u64 = 1_000;
/// From here decisions are made on what is long past; the chart's alert has the same bound.
const TOO_MANY: u64 = 10_000;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "backlog", what: "what agents sent is applied", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let plane = snapshot.plane()?;
    let Ok(behind) = u64::try_from(plane.stored.saturating_sub(plane.applied)) else {
        return Ok(Outcome::unknown(
            format!(
                "the control plane says that it applied up to position {} and stored up to {}; expected no more than it stored",
                plane.applied, plane.stored
            ),
            "run this again; if it stays so, look at the control plane's log",
        ));
    };
    let found = format!("{behind} batches are stored and not applied yet");
    let remedy = "look at the control plane's processor and at the database's latency (nimbus_commit_seconds), and whether \
                  the figure falls";
    Ok(if behind >= TOO_MANY {
        Outcome::failure(format!("{found}; expected fewer than {TOO_MANY}"), remedy)
    } else if behind >= NOTICED {
        Outcome::warning(format!("{found}; expected fewer than {NOTICED}"), remedy)
    } else {
        Outcome::pass(found)
    })
}
