//! Finishes the jobs that are under way before an agent ends whose journal ends with it, as that of a pod does: nobody else
//! could say what became of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::files::journal::JournalStore;
use crate::status::SharedStatus;

/// Between two looks at the journal.
const LOOK: Duration = Duration::from_millis(100);

/// What is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Jobs are under way.
    Jobs,
    /// The control plane does not have every report yet.
    Reports,
    /// Nothing that time would change.
    Nothing,
}

/// Waits until every job in the journal is done and the control plane has what became of it, for so long at most. This agent leads
/// no cluster from now on: what it did not begin yet is refused, and the next leader's to do. A control plane that refuses this
/// agent gets no report from it, and is not waited for.
pub async fn jobs(status: &SharedStatus, journal: &Mutex<JournalStore>, at_most: Duration) {
    if at_most.is_zero() || left(status, journal) == Left::Nothing {
        return;
    }
    tracing::info!("jobs are under way, or not reported: going on for {} s at most", at_most.as_secs());
    status.update(|status| status.leaving = true);
    let done = async {
        while left(status, journal) != Left::Nothing {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(at_most, done).await.is_err() {
        match left(status, journal) {
            Left::Jobs => tracing::warn!(
                "jobs are still under way; the next start on this data directory goes on with them"
            ),
            Left::Reports => tracing::warn!(
                "what became of a job did not reach the control plane; the next start on this data directory tells it"
            ),
            Left::Nothing => {}
        }
    }
}

fn left(status: &SharedStatus, journal: &Mutex<JournalStore>) -> Left {
    let journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    let (journal, now) = (journal.get(), status.status());
    if !journal.interrupted().is_empty() {
        Left::Jobs
    } else if journal.has_reports() && !(now.rejected || now.unknown) {
        Left::Reports
    } else {
        Left::Nothing
    }
}
