//! Is there room for what the charts request? What nodes may give to pods in all is compared, not what is free now.

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::kubernetes::Node;
use crate::needs::Request;
use crate::quantity::bytes;
use crate::words::{count, list};

pub(super) const CHECK: Check<Snapshot> = Check {
    name: "resources",
    what: "the nodes have the processor and memory that the charts request",
    judge,
};

fn judge(snapshot: &Snapshot) -> Judged {
    let nodes = snapshot.nodes.as_ref()?;
    let needs = snapshot.needs()?;
    let known = |node: &&Node| node.milli_cpu.is_some() && node.memory.is_some();
    let (told, untold): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(known);
    let both = Request {
        milli_cpu: needs.control_plane.milli_cpu.saturating_add(needs.agent.milli_cpu),
        memory: needs.control_plane.memory.saturating_add(needs.agent.memory),
    };
    let tight: Vec<&str> =
        told.iter().filter(|node| !has(node, needs.agent)).map(|node| node.name.as_str()).collect();
    let open = told.iter().filter(|node| node.is_ready && !node.is_closed && has(node, both)).count();
    Ok(if told.is_empty() {
        Outcome::unknown(
            "no node says what it may give to pods",
            "look at status.allocatable: kubectl get nodes -o yaml",
        )
    } else if open == 0 {
        Outcome::failure(
            format!("no node that is ready and open has {} for a control plane and an agent", words(both)),
            "add a node, make one larger, or lower the value resources.requests",
        )
    } else if !tight.is_empty() {
        Outcome::warning(
            format!(
                "{} of {} has not {} for an agent: {}",
                tight.len(),
                told.len(),
                words(needs.agent),
                list(&tight)
            ),
            "lower the agents' value resources.requests, or keep them off these nodes with nodeSelector",
        )
    } else if !untold.is_empty() {
        let names: Vec<&str> = untold.iter().map(|node| node.name.as_str()).collect();
        Outcome::unknown(
            format!("these nodes do not say what they may give to pods: {}", list(&names)),
            "look at status.allocatable: kubectl get nodes -o yaml",
        )
    } else {
        let replicas = usize::try_from(needs.replicas).unwrap_or(usize::MAX);
        Outcome::pass(format!(
            "{} and an agent on each node fit, by what the nodes may give in all",
            count(replicas, "control plane", "control planes")
        ))
    })
}

fn has(node: &Node, request: Request) -> bool {
    node.milli_cpu.is_some_and(|cpu| cpu >= request.milli_cpu)
        && node.memory.is_some_and(|memory| memory >= request.memory)
}

fn words(request: Request) -> String {
    format!("{}m of processor and {} of memory", request.milli_cpu, bytes(request.memory))
}
