//! Turns for jobs that look whether what they did helped.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// At most so many of them ask the API server at once: what waits to be done comes before what waits to be seen, and fifty
/// jobs that look several times a second are a load of one's own making.
const AT_ONCE: usize = 2;

/// Whose turn it is.
#[derive(Debug)]
pub struct Looks(Semaphore);

impl Default for Looks {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Looks {
    /// Waits for a turn, for so long; whoever must look by then does it out of turn.
    pub async fn turn(&self, at_most: Duration) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(at_most, self.0.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_waits_for_its_turn_and_for_no_longer_than_it_may() {
        let looks = Looks::default();
        let taken = (looks.turn(Duration::ZERO).await, looks.turn(Duration::ZERO).await);
        assert!(taken.0.is_some() && taken.1.is_some());
        assert!(looks.turn(Duration::from_millis(1)).await.is_none());
        drop(taken.0);
        assert!(looks.turn(Duration::ZERO).await.is_some());
    }
}
