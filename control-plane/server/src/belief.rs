//! Until when this control plane believes that it leads, for everybody here who would act on it.
//!
//! The database's fence holds back what one writes that does not lead any more. What is only sent is held back here: one
//! that was frozen and wakes up looks before it hands a job on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A moment of the monotonic clock, shared; cheap to clone, every clone says the same.
#[derive(Debug, Clone)]
pub struct Belief(Arc<AtomicU64>);

impl Default for Belief {
    /// Of one that runs alone, which nobody takes the lead from by a lease: for good.
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Belief {
    /// From now on it holds until this moment; `None`: it does not hold.
    pub fn until(&self, at: Option<Duration>) {
        let millis = at.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        self.0.store(millis, Ordering::Release);
    }

    /// Does it hold at this moment?
    pub fn holds(&self, now: Duration) -> bool {
        now.as_millis() < u128::from(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_for_good_without_a_lease_and_with_one_until_its_end() {
        let (belief, at) = (Belief::default(), Duration::from_secs);
        assert!(belief.holds(at(1_000_000)));
        let seen = belief.clone();
        belief.until(Some(at(10)));
        assert!(seen.holds(Duration::from_millis(9_999)));
        assert!(!seen.holds(at(10)), "its last moment is not part of it");
        belief.until(None);
        assert!(!seen.holds(at(0)));
    }
}
