//! The epoch with which a restored control plane goes on.

/// What is left free above the epoch of the backup, for the starts that the backup does not know of.
const ABOVE: u64 = 1 << 20;

/// An epoch above every one that a control plane with these keys took before `now_ms` (milliseconds since 1970), when the
/// backup knows of `known`.
///
/// The control plane may have started again after the backup, and another restore of the same backup may have been in use:
/// neither is in it. A start takes one epoch and longer than a millisecond, so the clock is above all of them, also above
/// those of an earlier restore. Where the clock is wrong and says less, a distance of a million starts is left.
pub fn after_restore(known: u64, now_ms: u64) -> u64 {
    now_ms.max(known.saturating_add(ABOVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_above_whatever_was_taken_since_the_backup_and_by_an_earlier_restore() {
        let (first_ms, minute) = (1_800_000_000_000, 60_000);
        let first = after_restore(12, first_ms);
        assert!(first > 12 + 1_000);
        // The first restore was started a hundred times within a minute; then the same backup is restored again.
        let second = after_restore(12, first_ms + minute);
        assert!(second > first + 100);
        // A backup of the restored control plane, and a clock that is behind.
        assert!(after_restore(second + 3, 5) > second + 1_000);
        assert_eq!(after_restore(u64::MAX, 5), u64::MAX);
    }
}
