//! What the checker reads of the jobs of before: how long ago each took effect.

use crate::model::{ActionKind, JobState};
use crate::snapshot::Snapshot;

/// How many seconds ago each job of this action took effect on the object with this UID, as far as is known, within so many seconds.
pub(super) fn ago(snapshot: &Snapshot<'_>, action: ActionKind, uid: &str, within_s: i64) -> Vec<i64> {
    let jobs = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|job| &job.doc);
    let took_effect = jobs.filter(|job| {
        let ended = matches!(job.state, JobState::Succeeded | JobState::Unknown | JobState::Compensated);
        job.action == action && job.object.uid() == uid && (job.applied_at.is_some() || ended)
    });
    let ago = took_effect.map(|job| {
        let at = job.applied_at.or(job.finished_at).unwrap_or(job.created_at);
        snapshot.now.as_second() - at.as_second()
    });
    // What is dated more than an hour ahead was dated by a clock that jumped.
    ago.filter(|ago| *ago < within_s && *ago > -3_600).collect()
}
