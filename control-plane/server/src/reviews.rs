//! How many reviews are owed: approvals that somebody gave alone where several people had to, and that nobody reviewed yet.
//!
//! Finding them looks at every approval, so what was found is kept for a while, and forgotten where it changes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nimbus_control_core::model::Approval;
use nimbus_store::{Filter, Store, StoreError};

/// For so long what was found is kept; another replica may have changed it meanwhile.
const KEPT: Duration = Duration::from_mins(1);
/// Most that are counted; so many stand for that many or more.
pub const MOST: u32 = 100;

/// What was found last, and when; and how often it changed.
#[derive(Debug, Default)]
pub struct Reviews(Mutex<(u64, Option<(Instant, u32)>)>);

impl Reviews {
    /// How many are owed, [`MOST`] at most.
    pub async fn owed(&self, store: &Store) -> Result<u32, StoreError> {
        let (changes, kept) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, owed)) = kept.filter(|(at, _)| at.elapsed() < KEPT) {
            return Ok(owed);
        }
        let filter = Filter { owes_a_review: true, limit: MOST, ..Filter::default() };
        let found = store.list::<Approval>(&filter).await?.items.len();
        let owed = u32::try_from(found).unwrap_or(MOST);
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What changed while it was looked for may be missing in it.
        if now.0 == changes {
            now.1 = Some((Instant::now(), owed));
        }
        Ok(owed)
    }

    /// One more is owed, or one fewer.
    pub fn changed(&self) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0 + 1, None);
    }
}
