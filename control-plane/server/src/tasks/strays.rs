//! Reports on jobs that are not the agent's: a few are worth an audit row, a flood of them is not.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::AgentId;

/// Rows for one agent …
const MOST: u32 = 10;
/// … in so long. What comes beyond that is counted in the log and dropped.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// Agents remembered at most; beyond that all are forgotten.
const AGENTS: usize = 10_000;

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Strays {
    seen: HashMap<AgentId, (Timestamp, u32)>,
}

impl Strays {
    /// Counts one, and says whether it is to be written down.
    pub(super) fn may_be_audited(&mut self, agent: &AgentId, now: Timestamp) -> bool {
        if self.seen.len() >= AGENTS && !self.seen.contains_key(agent) {
            self.seen.clear();
        }
        let (since, count) = self.seen.entry(agent.clone()).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW || now < *since {
            if *count > MOST {
                tracing::warn!(%agent, count, "reports on jobs that are not its own; {MOST} of them were audited");
            }
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_agent_is_cut_and_a_new_minute_begins_anew() {
        let mut strays = Strays::default();
        let [one, other] = [1, 2].map(|n| AgentId::new(&mut || uuid::Uuid::from_u128(n)));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!((0..100).filter(|_| strays.may_be_audited(&one, now)).count(), 10);
        assert!(strays.may_be_audited(&other, now));
        assert!(strays.may_be_audited(&one, now + WINDOW));
    }
}
