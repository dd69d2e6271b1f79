//! What the jobs of before say: when each changed something, and until when nobody is asked again after refusals.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Job, JobState};
use crate::settings::later;

/// No clocks of one site are so far apart.
const APART: SignedDuration = SignedDuration::from_hours(1);

/// Was this lately? What is dated far ahead was dated by a clock that has jumped since, and says nothing of when it was.
pub(super) fn lately(at: Timestamp, within: SignedDuration, now: Timestamp) -> bool {
    let ago = now.duration_since(at);
    ago < within && ago > -APART
}

/// When a job changed something, as far as is known; `None` for one that changed nothing.
pub(super) fn changed_at(job: &Job) -> Option<Timestamp> {
    match job.state {
        JobState::Succeeded | JobState::Unknown | JobState::Compensated => {
            Some(job.applied_at.or(job.finished_at).unwrap_or(job.created_at))
        }
        JobState::Failed | JobState::Expired | JobState::Running => job.applied_at,
        JobState::Pending | JobState::Dispatched | JobState::Refused => None,
    }
}

/// How long nobody is asked again after refusals for one reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    /// The words of that reason.
    pub(super) words: &'static str,
    /// Within which time they count.
    pub(super) within: SignedDuration,
    /// After the first one; twice as long after each further one.
    pub(super) first: SignedDuration,
    /// At most.
    pub(super) longest: SignedDuration,
}

impl Pause {
    /// The last refusal, and until when nobody is asked again after it; `None` where that is over.
    pub(super) fn after<'a>(
        &self,
        jobs: impl Iterator<Item = &'a Job>,
        now: Timestamp,
    ) -> Option<(&'a Job, Timestamp)> {
        let refused: Vec<&Job> = jobs
            .filter(|job| job.state == JobState::Refused && job.reason.contains(self.words))
            .filter(|job| job.finished_at.is_some_and(|at| lately(at, self.within, now)))
            .collect();
        let last = refused.iter().max_by_key(|job| job.finished_at)?;
        let times = i32::try_from(refused.len().min(6)).unwrap_or(6);
        let wait = (self.first * (1 << (times - 1))).min(self.longest);
        let until = later(last.finished_at.unwrap_or(last.created_at), wait);
        (now < until).then_some((*last, until))
    }
}
