//! Is every agent connected?

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::words::{count, sentences};

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "agents", what: "every agent that is not revoked is connected", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let plane = snapshot.plane()?;
    let all = plane.agents.len();
    let away: Vec<String> = plane
        .agents
        .iter()
        .filter(|agent| !agent.is_connected)
        .map(|agent| {
            if agent.reason.is_empty() {
                agent.name.clone()
            } else {
                format!("{}: {}", agent.name, agent.reason)
            }
        })
        .collect();
    Ok(if all == 0 {
        Outcome::warning(
            "no agent has joined",
            "make a join token (nimbus agents token create --name NAME --kind cluster), and install an agent with it; a \
             join token is used up after one agent unless it was made with --uses",
        )
    } else if away.len() == all {
        Outcome::failure(
            format!("none of {} is connected: {}", count(all, "agent", "agents"), sentences(&away)),
            "check the way to the control plane: nimbus doctor --agents HOST:PORT on an agent's node",
        )
    } else if !away.is_empty() {
        Outcome::warning(
            format!("{} of {all} not connected: {}", away.len(), sentences(&away)),
            "look at their logs, and probe the way from their nodes: nimbus doctor --agents HOST:PORT; revoke those that are \
             gone for good: nimbus agents revoke NAME",
        )
    } else if plane.has_more_agents {
        Outcome::unknown(
            format!("the first {all} agents are connected; there are more than are looked at"),
            "look at the rest: nimbus agents list",
        )
    } else {
        Outcome::pass(format!("{} connected", count(all, "agent is", "agents are")))
    })
}
