//! Do the agents report problems: rights that are missing, paths that are not there, observations that were dropped?

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::words::{count, sentences};

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "agent-problems", what: "no agent reports a problem or dropped observations", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let plane = snapshot.plane()?;
    let mut troubled = Vec::new();
    for agent in &plane.agents {
        let name = &agent.name;
        if let Some(first) = agent.problems.first() {
            let more = agent.problems.len() - 1;
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            troubled.push(format!("{name}: {first}{rest}"));
        }
        if agent.dropped > 0 {
            let dropped = usize::try_from(agent.dropped).unwrap_or(usize::MAX);
            troubled.push(format!("{name} dropped {}", count(dropped, "observation", "observations")));
        }
    }
    Ok(if troubled.is_empty() {
        Outcome::pass("no agent reports a problem")
    } else {
        Outcome::warning(
            sentences(&troubled),
            "see each one's problems with what to do: nimbus agents show NAME; what was dropped was listed anew",
        )
    })
}
