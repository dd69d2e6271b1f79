//! Finishes the jobs that are under way before an agent ends whose journal ends with it, as that of a pod does: nobody else
//! could say what became of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::files::journal::JournalStore;
use crate::status::SharedStatus;

/// Between two looks at the journal.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until every job in the journal is done and the control plane has what became of it, for so long at most. This agent leads
/// no cluster from now on: what it did not begin yet is refused, and the next leader's to do.
pub async fn jobs(status: &SharedStatus, journal: &Mutex<JournalStore>, at_most: Duration) {
    if at_most.is_zero() || is_done(journal) {
        return;
    }
    tracing::info!("jobs are under way: going on with them for {} s at most", at_most.as_secs());
    status.update(|status| status.leaving = true);
    let done = async {
        while !is_done(journal) {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(at_most, done).await.is_err() {
        tracing::warn!("jobs are still under way; the next start on this data directory goes on with them");
    }
}

fn is_done(journal: &Mutex<JournalStore>) -> bool {
    let journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    let journal = journal.get();
    journal.interrupted().is_empty() && journal.unacknowledged(1, |_| false).is_empty()
}
