//! When a file system is near full, and when it is well again; said once for volumes and for the disks of nodes.
//!
//! | in use | is |
//! |---|---|
//! | 90 % or more, of bytes or of inodes | near full |
//! | less than 85 %, of both | well |
//! | between them | whatever it was: neither opens nor closes an incident |
//!
//! The upper bound is where a kubelet begins to evict pods by default (`nodefs.available<10%`).

use crate::world::Filesystem;

/// From so many thousandths in use on it is near full.
const FULL: u64 = 900;
/// Below so many thousandths it is well again.
const WELL: u64 = 850;

/// What of it is near full, in words; `None` where nothing is, or where it is not known.
pub(super) fn near_full(of: &Filesystem) -> Option<String> {
    let bytes = of.used_permille().filter(|used| *used >= FULL).map(|used| {
        let left = of.available.map_or_else(String::new, |left| format!(", {} left", size(left)));
        let all = of.capacity.map_or_else(String::new, |all| format!(" of {}", size(all)));
        format!("{} %{all} in use{left}", percent(used))
    });
    let inodes = of.inodes_used_permille().filter(|used| *used >= FULL).map(|used| {
        let all = of.inodes.map_or_else(String::new, |all| format!(" of {all}"));
        format!("{} %{all} inodes in use: too many files, whatever their size", percent(used))
    });
    match (bytes, inodes) {
        (Some(bytes), Some(inodes)) => Some(format!("{bytes}; {inodes}")),
        (one, other) => one.or(other),
    }
}

/// What of an open incident's file system is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Short {
    /// Bytes are, also where they came back below the upper bound since.
    Bytes,
    /// Inodes are near full, and bytes are not.
    Inodes,
    /// Nothing is known to be.
    Nothing,
}

/// What is short of a file system that was near full.
pub(crate) fn short(of: &Filesystem) -> Short {
    let bytes = of.used_permille();
    let inodes = of.inodes_used_permille();
    let inodes_are_full = inodes.is_some_and(|used| used >= FULL);
    // Of which of the two an incident below the upper bound is, is not known where both are above the lower one.
    let inodes_are_well = inodes.is_none_or(|used| used < WELL);
    match bytes {
        Some(used) if used >= FULL || (used >= WELL && inodes_are_well) => Short::Bytes,
        Some(_) | None if inodes_are_full => Short::Inodes,
        Some(_) | None => Short::Nothing,
    }
}

/// How full it is, in words, where that is known to be well below the bound. A file system that says nothing of inodes, or
/// that it has 0 of them, has no bound on them.
pub(super) fn is_well(of: &Filesystem) -> Option<String> {
    let used = of.used_permille().filter(|used| *used < WELL)?;
    let inodes_are_well = match (of.inodes, of.inodes_used_permille()) {
        (None | Some(0), _) => true,
        (Some(_), used) => used.is_some_and(|used| used < WELL),
    };
    inodes_are_well.then(|| format!("{} % in use", percent(used)))
}

fn percent(permille: u64) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

/// Bytes in the unit that people read, one digit after the point, cut and not rounded.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = "B";
    let mut tenths = u128::from(bytes) * 10;
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        (unit, tenths) = (next, tenths / 1_024);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: (u64, u64), inodes: Option<(u64, u64)>) -> Filesystem {
        Filesystem {
            capacity: Some(bytes.0),
            available: Some(bytes.1),
            inodes: inodes.map(|(all, _)| all),
            inodes_free: inodes.map(|(_, free)| free),
        }
    }

    #[test]
    fn both_bounds_and_what_lies_between_them() {
        for (what, disk, full, well) in [
            ("just full", of((1_000, 100), None), true, false),
            ("nearly", of((1_000, 101), None), false, false),
            ("between", of((1_000, 150), None), false, false),
            ("well", of((1_000, 151), None), false, true),
            ("no inode left", of((1_000, 900), Some((50, 0))), true, false),
            ("few inodes left", of((1_000, 900), Some((100, 12))), false, false),
            ("no bound on inodes", of((1_000, 900), Some((0, 0))), false, true),
            ("no capacity", of((0, 0), None), false, false),
            ("nothing known", Filesystem::default(), false, false),
            ("inodes that make no sense", of((1_000, 900), Some((10, 11))), false, false),
        ] {
            assert_eq!((near_full(&disk).is_some(), is_well(&disk).is_some()), (full, well), "{what}");
        }
    }

    #[test]
    fn figures_are_said_in_units_that_people_read() {
        for (bytes, text) in
            [(1_023, "1023 B"), (1_024, "1.0 KiB"), (10 << 30, "10.0 GiB"), (u64::MAX, "16383.9 PiB")]
        {
            assert_eq!(size(bytes), text);
        }
        let said = near_full(&of((10 << 30, 512 << 20), Some((100, 0)))).unwrap();
        assert!(
            said.starts_with("95.0 % of 10.0 GiB in use, 512.0 MiB left; 100.0 % of 100 inodes"),
            "{said}"
        );
    }
}
