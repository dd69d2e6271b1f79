//! Do this command, the control plane and the agents go together? Neighbouring minor versions do.

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::version::Version;
use crate::words::{count, list, sentences};

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "versions", what: "command, control plane and agents are of neighbouring versions", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let plane = snapshot.plane()?;
    let Some(version) = Version::parse(&plane.version) else {
        return Ok(Outcome::unknown(
            format!("the control plane says that its version is {:?}", plane.version),
            "compare `nimbus version`",
        ));
    };
    let is_far = |text: &str| {
        Version::parse(text).is_some_and(|other| other.minors_to(version).is_none_or(|minors| minors > 1))
    };
    let mut far = Vec::new();
    if is_far(&snapshot.build) {
        far.push(format!("this command is {}", snapshot.build));
    }
    let agents: Vec<String> = plane
        .agents
        .iter()
        .filter(|agent| is_far(&agent.version))
        .map(|agent| format!("{} ({})", agent.name, agent.version))
        .collect();
    if !agents.is_empty() {
        let what = count(agents.len(), "agent is", "agents are");
        far.push(format!("{what} of another version: {}", list(&agents)));
    }
    let untold = plane.agents.iter().filter(|agent| Version::parse(&agent.version).is_none()).count();
    Ok(if !far.is_empty() {
        Outcome::warning(
            format!(
                "the control plane is {version}; {}; expected at most one minor version between",
                sentences(&far)
            ),
            "upgrade the control plane first, then the agents, one minor version after the other (docs/upgrade.md)",
        )
    } else if untold > 0 {
        Outcome::unknown(
            format!("{} not yet said its version", count(untold, "agent has", "agents have")),
            "wait for their first report, then run this again",
        )
    } else {
        let agents = match plane.agents.len() {
            0 => "no agent has joined".to_owned(),
            1 => "1 agent is of this version or a neighbouring one".to_owned(),
            several if plane.has_more_agents => {
                format!("the first {several} agents are of this version or neighbouring ones")
            }
            several => format!("{several} agents are of this version or neighbouring ones"),
        };
        Outcome::pass(format!("this command is {}, the control plane {version}; {agents}", snapshot.build))
    })
}
