//! Is there room where the data is?

use super::{Disk, Snapshot, asked};
use crate::check::{Check, Judged, Outcome};
use crate::quantity::bytes;

/// Room below which it is worth a look: the log's retention and one backup need some.
const NOTICED: u64 = 1 << 30;
/// Room below which writing may stop at any moment: the write-ahead log alone may have that much.
const TOO_LITTLE: u64 = 64 << 20;
/// The share of the file system that is worth a look, percent.
const NOTICED_PERCENT: u64 = 10;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "disk", what: "the data directory's file system has room", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let Disk { path, total, available, is_out_of_files } = asked(snapshot.disk.as_ref(), "--data-dir DIR")?;
    let found = format!("{path}: {} of {} are available", bytes(*available), bytes(*total));
    let remedy = "make room, or enlarge the volume; while it is full nothing new is acknowledged, and nothing that was is lost";
    let share = available.saturating_mul(100) / (*total).max(1);
    Ok(if *available < TOO_LITTLE {
        Outcome::failure(format!("{found}; expected at least {}", bytes(TOO_LITTLE)), remedy)
    } else if *is_out_of_files {
        Outcome::failure(format!("{path}: no further file can be made there (no free inodes)"), remedy)
    } else if *available < NOTICED && share < NOTICED_PERCENT {
        Outcome::warning(
            format!("{found}; expected at least {} or {NOTICED_PERCENT} %", bytes(NOTICED)),
            remedy,
        )
    } else {
        Outcome::pass(found)
    })
}
