//! How fast the disks of a host, or the volumes of a node, fill: a few figures of the last hour.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Between two figures that are kept.
const BETWEEN: SignedDuration = SignedDuration::from_mins(5);
/// For so long a figure is kept. With the pause between them, 13 of each disk at most.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Over less than this no pace is told.
const LEAST: SignedDuration = SignedDuration::from_mins(10);
/// What is farther away than this is not told: nothing fills so evenly.
const FARTHEST_S: u128 = 30 * 24 * 60 * 60;

/// What could be had, in bytes, at some moments, by the place where the disk is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct DiskTrend(BTreeMap<String, Vec<(Timestamp, u64)>>);

impl DiskTrend {
    /// Takes the figures of one sample; disks that are in it no more are forgotten.
    pub(super) fn take(&mut self, at: Timestamp, disks: &[(&str, u64)]) {
        self.0.retain(|mount, _| disks.iter().any(|(known, _)| known == mount));
        for (mount, available) in disks {
            let points = self.0.entry((*mount).to_owned()).or_default();
            // Of a clock that went back what is in its future says nothing.
            points.retain(|(then, _)| *then <= at && at.duration_since(*then) <= KEPT);
            if points.last().is_none_or(|(last, _)| at.duration_since(*last) >= BETWEEN) {
                points.push((at, *available));
            }
        }
    }

    /// Over how long the disk was seen to fill, and in how long it is full at that pace; in whole minutes. `None` where it does
    /// not fill, or was not seen for long enough.
    pub(super) fn pace(
        &self,
        mount: &str,
        available: u64,
        at: Timestamp,
    ) -> Option<(SignedDuration, SignedDuration)> {
        let (then, before) = self.0.get(mount)?.first()?;
        let span = at.duration_since(*then);
        let lost = before.checked_sub(available).filter(|lost| *lost > 0)?;
        if span < LEAST {
            return None;
        }
        let seconds = u128::from(span.as_secs().unsigned_abs()) * u128::from(available) / u128::from(lost);
        let left = i64::try_from(seconds).ok().filter(|_| seconds <= FARTHEST_S)?;
        Some((whole_minutes(span.as_secs()), whole_minutes(left)))
    }
}

fn whole_minutes(seconds: i64) -> SignedDuration {
    SignedDuration::from_mins((seconds / 60).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAR: &str = "/var";

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn seen(points: &[(i64, u64)]) -> Option<(i64, i64)> {
        let mut trend = DiskTrend::default();
        for (minute, available) in points {
            trend.take(at(*minute), &[(VAR, *available)]);
        }
        let (minute, available) = points.last()?;
        let (span, left) = trend.pace(VAR, *available, at(*minute))?;
        Some((span.as_mins(), left.as_mins()))
    }

    #[test]
    fn the_pace_is_that_of_the_last_hour_and_only_where_it_was_seen() {
        for (what, points, pace) in [
            ("1,000 in 20 min, 4,000 left", &[(0, 5_000), (20, 4_000)][..], Some((20, 80))),
            ("too short", &[(0, 5_000), (9, 4_000)], None),
            ("it empties", &[(0, 4_000), (20, 5_000)], None),
            ("it stays", &[(0, 4_000), (20, 4_000)], None),
            ("it is full", &[(0, 4_000), (20, 0)], Some((20, 1))),
            (
                "what is older than an hour is forgotten",
                &[(0, 90_000), (70, 5_000), (90, 4_000)],
                Some((20, 80)),
            ),
            ("so slow that it says nothing", &[(0, 90_001), (60, 90_000)], None),
            ("the clock went back", &[(500, 9_000), (0, 5_000), (20, 4_000)], Some((20, 80))),
            ("nothing before", &[(0, 4_000)], None),
        ] {
            assert_eq!(seen(points), pace, "{what}");
        }
    }

    #[test]
    fn few_figures_are_kept_and_none_of_a_disk_that_is_gone() {
        let mut trend = DiskTrend::default();
        for minute in 0..=600 {
            trend.take(at(minute), &[(VAR, 4_000)]);
        }
        assert_eq!(trend.0[VAR].len(), 13);
        trend.take(at(602), &[]);
        assert!(trend.0.is_empty());
    }
}
