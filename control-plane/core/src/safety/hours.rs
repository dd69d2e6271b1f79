//! The hourly budget of each agent: how many jobs its own policy takes an hour, and how many it has had.
//!
//! The agent refuses what is beyond its budget, whatever it is sent. The planner knows the figure and waits, so that no
//! approval is used up by a job that would be refused. An agent that does not say its budget (an older one) is not
//! held back here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::AgentId;

use crate::model::{Agent, Job, JobState};
use crate::settings::later;
use crate::snapshot::Snapshot;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How many jobs of the last hour each agent has had; made once for a pass, and told of each job that the pass makes.
#[derive(Debug, Default)]
pub(crate) struct Hours(BTreeMap<AgentId, usize>);

impl Hours {
    /// Those of the hour before `now`.
    pub(crate) fn of(snapshot: &Snapshot<'_>, now: Timestamp) -> Self {
        let mut had: BTreeMap<AgentId, usize> = BTreeMap::new();
        for job in snapshot.all_jobs().filter(|job| counts_until(job, now).is_some_and(|until| now < until)) {
            *had.entry(job.agent_id).or_default() += 1;
        }
        Self(had)
    }

    /// One more goes to `agent`.
    pub(crate) fn take(&mut self, agent: AgentId) {
        *self.0.entry(agent).or_default() += 1;
    }

    /// Why `agent` would refuse one more now.
    pub(super) fn full(&self, agent: &Agent) -> Option<String> {
        let most = agent.jobs_per_hour?;
        (self.left(agent)? == 0).then(|| {
            format!(
                "waits: agent {} takes at most {most} jobs an hour (`jobs_per_hour` in its policy) and has had them; it \
                 goes on by itself",
                agent.name
            )
        })
    }

    /// How many more `agent` would take now; `None` when it does not say its budget.
    pub(crate) fn left(&self, agent: &Agent) -> Option<u32> {
        let had = u32::try_from(self.0.get(&agent.id).copied().unwrap_or(0)).unwrap_or(u32::MAX);
        Some(agent.jobs_per_hour?.saturating_sub(had))
    }
}

/// How many jobs an agent takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// An hour, by its own policy; `None`: it does not say.
    pub jobs_per_hour: Option<u32>,
    /// Of which so many are left now.
    pub left: Option<u32>,
    /// At the same time, by the caps.
    pub at_once: u32,
    /// How long a job on a file takes at least, milliseconds.
    pub file_ms: u32,
}

/// How many jobs each agent takes now.
pub fn paces(snapshot: &Snapshot<'_>, now: Timestamp) -> BTreeMap<AgentId, Pace> {
    let (hours, settings) = (Hours::of(snapshot, now), snapshot.settings);
    let pace = |agent: &Agent| Pace {
        jobs_per_hour: agent.jobs_per_hour,
        left: hours.left(agent),
        at_once: settings.caps.per_cluster.min(settings.caps.fleet),
        file_ms: settings.file_verify_ms.min(settings.verify_ms),
    };
    snapshot.agents.iter().map(|agent| (agent.doc.id, pace(&agent.doc))).collect()
}

/// Until when a job counts against its agent's hour; `None` when it does not count.
///
/// The agent counts from when it took the job. That moment is not known here, so the latest is assumed that it can have
/// been: waiting a moment too long costs less than a refusal.
fn counts_until(job: &Job, now: Timestamp) -> Option<Timestamp> {
    let taken = match job.state {
        JobState::Refused | JobState::Expired => return None,
        JobState::Pending | JobState::Dispatched | JobState::Running => now,
        JobState::Succeeded | JobState::Failed | JobState::Compensated | JobState::Unknown => {
            job.applied_at.or(job.finished_at).unwrap_or(now)
        }
    };
    // What is dated later than now was dated by a clock that was ahead; how long ago it was is not known.
    (taken <= now).then(|| later(taken, HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use crate::testing::lab::{Lab, agent, agent_id};

    fn told(budget: Option<u32>) -> Agent {
        Agent { jobs_per_hour: budget, ..agent(agent_id()) }
    }

    #[test]
    fn an_agent_that_says_no_budget_is_not_held_back_and_one_of_none_takes_nothing() {
        let mut hours = Hours::of(&Lab::new().snapshot(), at(0));
        assert_eq!((hours.left(&told(Some(2))), hours.left(&told(None))), (Some(2), None));
        assert!(hours.full(&told(Some(0))).is_some());
        for _ in 0..3 {
            hours.take(agent_id());
        }
        let why = hours.full(&told(Some(2))).unwrap();
        assert!(why.contains("agent edge takes at most 2 jobs an hour"), "{why}");
        assert_eq!((hours.full(&told(Some(4))), hours.full(&told(None))), (None, None));
    }

    #[test]
    fn a_job_counts_for_an_hour_from_the_latest_moment_at_which_it_can_have_been_taken() {
        let job = |state, applied, finished| Job {
            state,
            applied_at: applied,
            finished_at: finished,
            ..crate::testing::job(agent_id())
        };
        let until = |job: &Job| counts_until(job, at(100));
        assert_eq!(until(&job(JobState::Succeeded, Some(at(20)), Some(at(60)))), Some(at(3_620)));
        assert_eq!(until(&job(JobState::Failed, None, Some(at(60)))), Some(at(3_660)));
        assert_eq!(until(&job(JobState::Dispatched, None, None)), Some(at(3_700)));
        assert_eq!(
            until(&job(JobState::Refused, None, Some(at(60)))),
            None,
            "a refused one is not counted there either"
        );
        assert_eq!(until(&job(JobState::Expired, None, Some(at(60)))), None);
        let ahead = job(JobState::Succeeded, Some(at(90_000_000)), Some(at(90_000_000)));
        assert_eq!(until(&ahead), None, "no wait of years after a clock that was ahead");
    }
}
