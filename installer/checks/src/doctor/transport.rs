//! Which way do the agents come? QUIC is the way; TCP is what remains where a network blocks UDP.

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::words::{count, list};

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "transport", what: "agents come by QUIC over UDP", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let plane = snapshot.plane()?;
    let connected: Vec<_> = plane.agents.iter().filter(|agent| agent.is_connected).collect();
    let beside: Vec<String> = connected
        .iter()
        .filter_map(|agent| {
            let way = agent.transport.as_deref().filter(|way| *way != "quic")?;
            Some(format!("{} ({way})", agent.name))
        })
        .collect();
    let untold = connected.iter().filter(|agent| agent.transport.is_none()).count();
    Ok(if connected.is_empty() {
        Outcome::unknown("no agent is connected", "see the check `agents`")
    } else if !beside.is_empty() {
        Outcome::warning(
            format!("{} not by QUIC: {}", count(beside.len(), "agent comes", "agents come"), list(&beside)),
            "open UDP to the agents' port in both directions; probe it from there: nimbus doctor --agents HOST:PORT. \
             Where that is not wanted nothing is to be done",
        )
    } else if untold > 0 {
        Outcome::unknown(
            format!("the control plane does not say how {} come", count(untold, "agent", "agents")),
            "compare the versions: nimbus version",
        )
    } else {
        Outcome::pass(format!("{} by QUIC", count(connected.len(), "agent comes", "agents come")))
    })
}
