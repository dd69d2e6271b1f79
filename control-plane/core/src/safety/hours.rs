//! The hourly budget of each agent: how many jobs its own policy takes an hour, and how many it has had.
//!
//! The agent refuses what is beyond its budget, whatever it is sent. The planner knows the figure and waits, so that no
//! approval is used up by a job that would be refused. An agent that does not say its budget (an older one) is not
//! held back here.
//!
//! What is known here may be less than what the agent counts: after a lost history, or where a report was lost. So one
//! refusal as one too many is believed at once and for the whole agent: it has had what its budget allows, and nothing more
//! goes out to it before one of those jobs is an hour old.
//!
//! What was refused before and is asked for again gets a part of the hour only: a pod whose budget never allows its eviction
//! would use up all of it, and what a person approved meanwhile would wait.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::AgentId;

use crate::model::{Agent, Job, JobState};
use crate::settings::{earlier, later};
use crate::snapshot::Snapshot;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// The shortest time for which a refusal as one too many holds the others back: what is known of the hour may be wrong.
const CLOSED_AT_LEAST: SignedDuration = SignedDuration::from_mins(1);

/// One in so many places of an agent's hour may be of what was refused before. Half of those go out as soon as they are due, the
/// others one at a time, so that the hour is not used up in a burst.
const AGAIN_ONE_IN: u32 = 2;

/// The agent's word for a job that is one too many in its hour.
pub(crate) const HOURLY_BUDGET: &str = "hourly_budget";
/// The words for what an agent finds only when it acts: such a job was taken, and counts there from then on. Any other
/// refusal is one of a job that was not taken, but for few that waited until their time was over.
const TAKEN_FIRST: [&str; 2] = ["precondition_failed", "eviction_refused"];

/// How many jobs of the last hour each agent has had; made once for a pass, and told of each job that the pass makes.
#[derive(Debug)]
pub(crate) struct Hours {
    now: Timestamp,
    agents: BTreeMap<AgentId, Hour>,
    /// Of these, those that were asked for again after a refusal: until when each counts, the soonest first.
    again: BTreeMap<AgentId, Vec<Timestamp>>,
}

/// The last hour of one agent.
#[derive(Debug, Clone, Copy, Default)]
struct Hour {
    /// Jobs that count against it, as far as they are known.
    had: usize,
    /// The last refusal of it as one too many.
    refused: Option<TooMany>,
}

/// The agent said at this moment that its hour was full.
#[derive(Debug, Clone, Copy)]
struct TooMany {
    at: Timestamp,
    /// Jobs that are known to have counted then.
    known: usize,
    /// When the oldest of them was taken; the moment of the refusal where that is not known of any.
    oldest: Timestamp,
}

impl TooMany {
    fn hear(&mut self, job: &Job, now: Timestamp) {
        if job.created_at > self.at {
            return;
        }
        if counts_until(job, now).is_some_and(|until| self.at < until) {
            self.known += 1;
        }
        if let Some(taken) = taken(job).filter(|taken| *taken <= self.at && self.at < later(*taken, HOUR)) {
            self.oldest = self.oldest.min(taken);
        }
    }

    /// Nothing goes to the agent before: then one of the jobs that it counted is an hour old for certain.
    fn closed_until(&self) -> Timestamp {
        later(self.oldest, HOUR).max(later(self.at, CLOSED_AT_LEAST))
    }
}

impl Hours {
    /// Those of the hour before `now`.
    pub(crate) fn of(snapshot: &Snapshot<'_>, now: Timestamp) -> Self {
        let mut agents: BTreeMap<AgentId, Hour> = BTreeMap::new();
        let mut again: BTreeMap<AgentId, Vec<Timestamp>> = BTreeMap::new();
        for job in snapshot.all_jobs() {
            let hour = agents.entry(job.agent_id).or_default();
            let counts = counts_until(job, now).filter(|until| now < *until);
            hour.had += usize::from(counts.is_some());
            if job.again > 0 {
                again.entry(job.agent_id).or_default().extend(counts);
            }
            let Some(at) = too_many(job, now) else { continue };
            if hour.refused.is_none_or(|last| last.at < at) {
                hour.refused = Some(TooMany { at, known: 0, oldest: at });
            }
        }
        for job in snapshot.all_jobs() {
            if let Some(refused) = agents.get_mut(&job.agent_id).and_then(|hour| hour.refused.as_mut()) {
                refused.hear(job, now);
            }
        }
        for until in again.values_mut() {
            until.sort_unstable();
        }
        Self { now, agents, again }
    }

    /// One more goes to `agent`: for the first time, or `again` after a refusal.
    pub(crate) fn take(&mut self, agent: AgentId, again: bool) {
        self.agents.entry(agent).or_default().had += 1;
        if again {
            // No other one counts for longer.
            self.again.entry(agent).or_default().push(later(self.now, HOUR));
        }
    }

    /// Why nothing that was refused before goes to `agent` now, though its hour is not full.
    ///
    /// When a place comes free is said only where every look says the same moment: not of what is out.
    pub(super) fn tries_used(&self, agent: &Agent) -> Option<String> {
        let (budget, left) = (agent.jobs_per_hour?, self.left(agent)?);
        if left == 0 {
            return None;
        }
        let most = (budget / AGAIN_ONE_IN).max(1);
        let at_once = most.div_ceil(2) as usize;
        let tries = self.again.get(&agent.id)?;
        let newest = tries.last().filter(|_| tries.len() >= at_once)?;
        let (ends, next) = if let Some(oldest) = tries.len().checked_sub(most as usize) {
            tries.get(oldest).map(|ends| (*ends, *ends))?
        } else {
            let apart = HOUR / i32::try_from(most as usize - at_once).unwrap_or(i32::MAX).max(1);
            (*newest, earlier(*newest, HOUR - apart))
        };
        if next <= self.now {
            return None;
        }
        // Of one that is out each look would say another moment.
        let when =
            if ends < later(self.now, HOUR) { format!("at about {next:.0}") } else { "later".to_owned() };
        Some(format!(
            "its turn is over for now: what was refused before goes to agent {} at most {most} times an hour, half of \
             `jobs_per_hour` in its policy, the last of them one at a time; the next {when}, by itself",
            agent.name
        ))
    }

    /// Why `agent` would refuse one more now.
    ///
    /// When a place comes free is said only after a refusal. Otherwise it is another moment after each job, and whatever
    /// waits would be written again each time.
    pub(super) fn full(&self, agent: &Agent) -> Option<String> {
        let how = match self.closed_until(agent) {
            Some(until) => format!(
                "says that it has had them; nothing is sent to it before {until:.0}, then it goes on by itself"
            ),
            None if self.left(agent)? == 0 => "has had them; it goes on by itself".to_owned(),
            None => return None,
        };
        let most =
            agent.jobs_per_hour.map_or_else(|| "only so many".to_owned(), |most| format!("at most {most}"));
        Some(format!(
            "waits: agent {} takes {most} jobs an hour (`jobs_per_hour` in its policy) and {how}",
            agent.name
        ))
    }

    /// How many more `agent` would take now; `None` when it does not say its budget.
    pub(crate) fn left(&self, agent: &Agent) -> Option<u32> {
        let budget = agent.jobs_per_hour?;
        if self.closed_until(agent).is_some() {
            return Some(0);
        }
        let hour = self.hour(agent);
        // What the agent had by then and is not known here counts too, as if it had just been taken then.
        let unknown =
            hour.refused.map_or(0, |refused| u64::from(budget).saturating_sub(count(refused.known)));
        let left = u64::from(budget).saturating_sub(count(hour.had)).saturating_sub(unknown);
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }

    fn closed_until(&self, agent: &Agent) -> Option<Timestamp> {
        let until = self.hour(agent).refused?.closed_until();
        (self.now < until).then_some(until)
    }

    fn hour(&self, agent: &Agent) -> Hour {
        self.agents.get(&agent.id).copied().unwrap_or_default()
    }
}

fn count(jobs: usize) -> u64 {
    u64::try_from(jobs).unwrap_or(u64::MAX)
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

/// When the agent refused this job as one too many, if that was within the last hour.
fn too_many(job: &Job, now: Timestamp) -> Option<Timestamp> {
    let at = job.finished_at.filter(|_| job.refusal() == Some(HOURLY_BUDGET))?;
    // As below, what is dated later than now says nothing.
    (at <= now && now < later(at, HOUR)).then_some(at)
}

/// Was this refused job taken first?
fn was_taken(job: &Job) -> bool {
    job.refusal().is_some_and(|code| TAKEN_FIRST.contains(&code))
}

/// When the agent took a job, the latest moment that it can have been; `None` where that is not known, or where it did not
/// take it.
fn taken(job: &Job) -> Option<Timestamp> {
    match job.state {
        JobState::Expired => None,
        JobState::Refused if !was_taken(job) => None,
        JobState::Pending
        | JobState::Dispatched
        | JobState::Running
        | JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Compensated
        | JobState::Unknown => job.applied_at.or(job.finished_at),
    }
}

/// Until when a job counts against its agent's hour; `None` when it does not count.
///
/// The agent counts from when it took the job. That moment is not known here, so the latest is assumed that it can have
/// been: waiting a moment too long costs less than a refusal.
fn counts_until(job: &Job, now: Timestamp) -> Option<Timestamp> {
    let from = match job.state {
        JobState::Expired => return None,
        JobState::Refused if !was_taken(job) => return None,
        JobState::Pending | JobState::Dispatched | JobState::Running => now,
        JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Compensated
        | JobState::Unknown => taken(job).unwrap_or(now),
    };
    // What is dated later than now was dated by a clock that was ahead; how long ago it was is not known.
    (from <= now).then(|| later(from, HOUR))
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
            hours.take(agent_id(), false);
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
        for (reason, counts) in [
            ("precondition_failed: expected a file, found none", Some(at(3_660))),
            ("eviction_refused: budget web", Some(at(3_660))),
            ("hourly_budget: 60 jobs an hour, found 60", None),
            ("policy_forbids: no", None),
        ] {
            let refused = Job { reason: reason.into(), ..job(JobState::Refused, None, Some(at(60))) };
            assert_eq!(until(&refused), counts, "as the agent counts it: {reason}");
        }
        assert_eq!(until(&job(JobState::Expired, None, Some(at(60)))), None);
        let ahead = job(JobState::Succeeded, Some(at(90_000_000)), Some(at(90_000_000)));
        assert_eq!(until(&ahead), None, "no wait of years after a clock that was ahead");
    }

    fn put_back(second: i64) -> Job {
        Job {
            state: JobState::Succeeded,
            created_at: at(second),
            applied_at: Some(at(second)),
            finished_at: Some(at(second + 5)),
            ..crate::testing::job(agent_id())
        }
    }

    fn too_many(second: i64) -> Job {
        Job {
            state: JobState::Refused,
            reason: "hourly_budget: 60 jobs an hour, found 60".into(),
            created_at: at(second),
            finished_at: Some(at(second)),
            ..crate::testing::job(agent_id())
        }
    }

    /// What is left of 60 a second before and at this moment, and why nothing goes out before.
    fn around(jobs: &[Job], moment: i64) -> ([Option<u32>; 2], Option<String>) {
        let mut lab = Lab::new();
        for (n, doc) in jobs.iter().cloned().enumerate() {
            lab.jobs.insert(n.to_string(), crate::model::Versioned { version: 1, doc });
        }
        let (before, then) = ([moment - 1, moment], told(Some(60)));
        let hours = before.map(|second| lab.look(|s| Hours::of(s, at(second))));
        (hours.each_ref().map(|hours| hours.left(&then)), hours[0].full(&then))
    }

    #[test]
    fn one_refusal_closes_the_hour_until_a_job_of_it_is_an_hour_old() {
        let cases: [(&str, &[i64], i64, u32); 4] = [
            ("the oldest that is known is an hour old", &[10, 40], 3_610, 1),
            ("none is known: an hour", &[], 3_700, 60),
            ("a place comes free at once: a minute all the same", &[-3_490], 160, 1),
            ("what was an hour old by then is none of that hour", &[-3_500], 3_700, 60),
        ];
        for (why, taken, until, left) in cases {
            let jobs: Vec<Job> =
                taken.iter().map(|second| put_back(*second)).chain([too_many(100)]).collect();
            let (around, waits) = around(&jobs, until);
            assert_eq!(around, [Some(0), Some(left)], "{why}");
            let when = format!("nothing is sent to it before {:.0}, then it goes on by itself", at(until));
            assert!(waits.as_ref().is_some_and(|waits| waits.ends_with(&when)), "{why}: {waits:?}");
        }
    }

    #[test]
    fn what_the_agent_had_before_a_refusal_counts_until_an_hour_after_it() {
        let jobs = [put_back(10), put_back(20), too_many(100)];
        assert_eq!(around(&jobs, 3_621).0, [Some(2), Some(2)], "only what is known comes free");
        assert_eq!(around(&jobs, 3_700).0, [Some(2), Some(60)]);
        let (left, waits) = around(&[too_many(9_000)], 100);
        assert_eq!((left, waits), ([Some(60); 2], None), "dated by a clock that was ahead");
    }

    #[test]
    fn the_last_refusal_counts_and_closes_the_hour_of_an_agent_that_says_no_budget_too() {
        let jobs = [put_back(10), too_many(100), too_many(104)];
        assert_eq!(around(&jobs, 3_610).0, [Some(0), Some(1)]);
        let mut lab = Lab::new();
        lab.jobs.insert("0".into(), crate::model::Versioned { version: 1, doc: too_many(100) });
        let hours = lab.look(|s| Hours::of(s, at(200)));
        let waits = hours.full(&told(None)).unwrap();
        assert!(
            waits.contains("takes only so many jobs an hour") && waits.contains("before 2027"),
            "{waits}"
        );
        assert_eq!(hours.left(&told(None)), None);
    }

    /// One that was refused before, and again at this moment.
    fn tried_again(second: i64) -> Job {
        Job {
            state: JobState::Refused,
            reason: "eviction_refused: budget web".into(),
            created_at: at(second),
            finished_at: Some(at(second)),
            again: 1,
            ..crate::testing::job(agent_id())
        }
    }

    /// At this moment: what is left of a budget of 8, why what was refused before waits, and why everything does.
    fn after_tries(jobs: &[Job], moment: i64) -> (Option<u32>, Option<String>, bool) {
        let mut lab = Lab::new();
        for (n, doc) in jobs.iter().cloned().enumerate() {
            lab.jobs.insert(n.to_string(), crate::model::Versioned { version: 1, doc });
        }
        let (hours, of) = (lab.look(|s| Hours::of(s, at(moment))), told(Some(8)));
        (hours.left(&of), hours.tries_used(&of), hours.full(&of).is_some())
    }

    #[test]
    fn what_was_refused_before_gets_half_of_the_hour_and_a_quarter_at_once() {
        for (budget, most, at_once) in [(60, 30, 15), (59, 29, 15), (8, 4, 2), (7, 3, 2), (2, 1, 1)] {
            let (mut hours, of) = (Hours::of(&Lab::new().snapshot(), at(0)), told(Some(budget)));
            for n in 0..at_once {
                assert_eq!(hours.tries_used(&of), None, "{n} of {budget}");
                hours.take(agent_id(), true);
            }
            let why = hours.tries_used(&of).unwrap();
            assert!(why.contains(&format!("to agent edge at most {most} times an hour")), "{why}");
            assert!(why.ends_with("the next later, by itself"), "{why}");
            assert_eq!(
                (hours.full(&of), hours.left(&of)),
                (None, Some(budget - at_once)),
                "the others go on"
            );
            assert_eq!(hours.tries_used(&told(None)), None, "it does not say its budget");
        }
    }

    #[test]
    fn the_next_try_goes_out_some_time_after_the_last_or_when_the_oldest_is_an_hour_old() {
        let expired = Job { state: JobState::Expired, ..tried_again(30) };
        let jobs = [tried_again(20), put_back(5), tried_again(10), tried_again(40), expired];
        let next = |second| format!("the next at about {:.0}, by itself", at(second));
        for moment in [100, 1_839] {
            let (_, why, full) = after_tries(&jobs, moment);
            let said = why.as_ref().is_some_and(|why| why.ends_with(&next(1_840)));
            assert!(said && !full, "{moment}: {why:?}");
        }
        assert_eq!(after_tries(&jobs, 100).0, Some(4), "they count as any other");
        assert_eq!(after_tries(&jobs, 1_840).1, None);
        let four = [10, 20, 30, 40].map(tried_again);
        assert!(after_tries(&four, 3_609).1.unwrap().ends_with(&next(3_610)));
        assert_eq!(after_tries(&four, 3_610).1, None);
        // A full hour is said in its own words.
        let closed = [tried_again(10), tried_again(20), too_many(100)];
        assert_eq!(after_tries(&closed, 200), (Some(0), None, true));
        let full: Vec<Job> = (0..8).map(tried_again).collect();
        assert_eq!(after_tries(&full, 200), (Some(0), None, true));
    }
}
