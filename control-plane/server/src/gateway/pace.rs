//! How much one commit of observations may take, from how long the ones before took.

use std::time::Duration;

use super::limits::{GROUP_BYTES, GROUP_TIME, LEAST_GROUP_BYTES};

/// What a commit before weighs beside the one after it.
const FADES: f64 = 0.9;
/// Sizes that differ by less than this share of their mean tell nothing of what each byte costs.
const DIFFER: f64 = 0.05;

/// The pace of the disk, or of the database's server.
///
/// A commit costs something whatever it holds (a slow disk's flush, a replica that confirms), and something for each byte. Smaller groups
/// pay the first more often, so only the second decides: a line through the last commits, of which older ones weigh less. Where they
/// are all of one size everything is taken for the bytes' cost; the next group is smaller then, and tells more.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Payload bytes of the next commit.
    bytes: usize,
    /// Sums over the commits: how many, bytes, seconds, bytes squared, bytes times seconds.
    sums: [f64; 5],
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: GROUP_BYTES, sums: [0.0; 5] }
    }
}

impl Pace {
    /// Payload bytes that the next commit may take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A commit of so many payload bytes took so long. One of nothing new says nothing.
    pub fn took(&mut self, bytes: usize, took: Duration) {
        if bytes == 0 {
            return;
        }
        let (x, y) = (as_f64(bytes), took.as_secs_f64());
        for (sum, new) in self.sums.iter_mut().zip([1.0, x, y, x * x, x * y]) {
            *sum = *sum * FADES + new;
        }
        let fits = GROUP_TIME.as_secs_f64() / self.seconds_a_byte();
        // One commit that was slow, or fast, is not the whole truth: a step is at most the double or the half.
        let fits = fits.clamp(as_f64(self.bytes) / 2.0, as_f64(self.bytes) * 2.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between two positive sizes"
        )]
        let fits = fits as usize;
        self.bytes = fits.clamp(LEAST_GROUP_BYTES, GROUP_BYTES);
    }

    /// What a byte costs; more than nothing.
    fn seconds_a_byte(&self) -> f64 {
        let [count, x, y, xx, xy] = self.sums;
        let (mean_x, mean_y) = (x / count, y / count);
        let spread = xx / count - mean_x * mean_x;
        let all = mean_y / mean_x;
        let slope =
            if spread > (DIFFER * mean_x).powi(2) { (xy / count - mean_x * mean_y) / spread } else { all };
        // Not more than everything, and not less than nothing: then what is fixed would be less than that.
        slope.clamp(f64::MIN_POSITIVE, all.max(f64::MIN_POSITIVE))
    }
}

#[allow(clippy::cast_precision_loss, reason = "at most some MiB")]
fn as_f64(bytes: usize) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    /// The mean size of the last of many commits, of whole batches of 100 KiB, where each takes so many milliseconds, and so many for
    /// each MiB, beginning with what `pace` knows.
    fn settled(pace: &mut Pace, fixed: f64, each: f64) -> f64 {
        let mut last = Vec::new();
        for n in 0..300 {
            let bytes = pace.bytes().div_ceil(100 << 10) * (100 << 10);
            pace.took(bytes, Duration::from_secs_f64((fixed + each * as_f64(bytes) / MIB) / 1_000.0));
            if n >= 200 {
                last.push(as_f64(bytes));
            }
        }
        last.iter().sum::<f64>() / as_f64(last.len()) / MIB
    }

    #[test]
    fn a_commit_takes_what_fits_its_time_beside_what_each_costs_anyway() {
        let alone = |fixed, each| settled(&mut Pace::default(), fixed, each);
        assert!(alone(1.0, 5.0) > 7.9, "a fast disk is not asked for more");
        // A replica that takes 200 ms: smaller groups would pay it more often.
        for fixed in [120.0, 200.0, 1_000.0] {
            let size = alone(fixed, 1.0);
            assert!(size > 4.0, "{fixed}: {size} MiB");
        }
        let slow = alone(1.0, 100.0);
        assert!((0.5..2.0).contains(&slow), "{slow}");
        let both = alone(200.0, 100.0);
        assert!((0.5..2.0).contains(&both), "{both}");
        assert!(alone(1.0, 5_000.0) < 0.5);
    }

    #[test]
    fn what_was_learned_before_is_forgotten() {
        let mut pace = Pace::default();
        // A first commit that was slow for another reason, then a disk that is slow by the byte.
        pace.took(1_000, Duration::from_secs(5));
        let size = settled(&mut pace, 1.0, 100.0);
        assert!((0.5..2.0).contains(&size), "{size}");
        // Fast, then a replica that got slow under load, then fast again.
        let mut pace = Pace::default();
        settled(&mut pace, 2.0, 1.0);
        let size = settled(&mut pace, 200.0, 1.0);
        assert!(size > 4.0, "{size}");
        let size = settled(&mut pace, 1.0, 100.0);
        assert!((0.5..2.0).contains(&size), "{size}");
    }

    #[test]
    fn a_commit_of_nothing_new_changes_no_pace_and_one_slow_one_halves_it() {
        let mut pace = Pace::default();
        pace.took(0, Duration::from_secs(9));
        assert_eq!(pace.bytes(), GROUP_BYTES);
        pace.took(GROUP_BYTES, Duration::from_millis(5));
        pace.took(GROUP_BYTES, Duration::from_secs(9));
        assert_eq!(pace.bytes(), GROUP_BYTES / 2);
        pace.took(1, Duration::ZERO);
        assert!((LEAST_GROUP_BYTES..=GROUP_BYTES).contains(&pace.bytes()));
    }
}
