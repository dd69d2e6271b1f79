//! Job reports that the control plane does not expect: about jobs of another agent, and about replayed copies of a job.
//!
//! A few of them are worth an audit row, a flood of them is not. One that comes again, because its acknowledgement was
//! lost, gets no second row as long as it is remembered.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::sha256;
use nimbus_protocol::v1::JobReport;
use prost::Message as _;

/// Rows for one agent …
const MOST: u32 = 10;
/// … in so long. What comes beyond that is counted and dropped.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// Agents counted at most; beyond that all are counted anew.
const AGENTS: usize = 10_000;
/// Reports remembered at most; beyond that the oldest is forgotten.
const REMEMBERED: usize = 10_000;

/// Counts and remembers them.
#[derive(Debug, Default)]
pub struct UnsolicitedReports {
    counts: HashMap<AgentId, (Timestamp, u32)>,
    remembered: VecDeque<[u8; 32]>,
}

/// What becomes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It is to be audited.
    Audit,
    /// It was audited before.
    Known,
    /// Its agent sent too many in this minute: this many, this one included. It is dropped.
    TooMany(u32),
}

impl UnsolicitedReports {
    /// Counts one, and says whether it is to be audited.
    pub fn note(&mut self, agent: AgentId, report: &JobReport, now: Timestamp) -> Noted {
        if self.remembered.contains(&key(agent, report)) {
            return Noted::Known;
        }
        if self.counts.len() >= AGENTS && !self.counts.contains_key(&agent) {
            self.counts.clear();
        }
        let (since, count) = self.counts.entry(agent).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW || now < *since {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count > MOST {
            return Noted::TooMany(*count);
        }
        Noted::Audit
    }

    /// Its row is committed: it gets no second one.
    pub fn audited(&mut self, agent: AgentId, report: &JobReport) {
        if self.remembered.len() >= REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(key(agent, report));
    }
}

fn key(agent: AgentId, report: &JobReport) -> [u8; 32] {
    sha256(&[agent.to_string().as_bytes(), report.encode_to_vec().as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(n: u32) -> JobReport {
        JobReport { job_id: n.to_string(), ..Default::default() }
    }

    #[test]
    fn a_flood_of_one_agent_is_cut_and_a_new_minute_begins_anew() {
        let mut reports = UnsolicitedReports::default();
        let [one, other] = [1, 2].map(|n| AgentId::from(uuid::Uuid::from_u128(n)));
        let now = Timestamp::UNIX_EPOCH;
        let noted: Vec<Noted> = (0..100).map(|n| reports.note(one, &report(n), now)).collect();
        assert_eq!(noted.iter().filter(|noted| **noted == Noted::Audit).count(), 10);
        assert_eq!(noted[99], Noted::TooMany(100));
        assert_eq!(reports.note(other, &report(0), now), Noted::Audit);
        assert_eq!(reports.note(one, &report(200), now + WINDOW), Noted::Audit);
    }

    #[test]
    fn one_that_comes_again_is_not_audited_again() {
        let mut reports = UnsolicitedReports::default();
        let agent = AgentId::from(uuid::Uuid::from_u128(1));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(reports.note(agent, &report(1), now), Noted::Audit);
        assert_eq!(reports.note(agent, &report(1), now), Noted::Audit, "its row was not committed");
        reports.audited(agent, &report(1));
        assert_eq!(reports.note(agent, &report(1), now + WINDOW), Noted::Known);
        let another_phase = JobReport { phase: 2, ..report(1) };
        assert_eq!(reports.note(agent, &another_phase, now), Noted::Audit);
    }
}
