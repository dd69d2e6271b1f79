//! Agents and their hosts as the API shows them.

use nimbus_api as api;
use nimbus_control_core::model;
use nimbus_control_core::world::{HostFacts, HostSample, HostUnits};

use super::Fleet;

/// An agent, with whether it can be reached.
pub fn agent(agent: &model::Agent, fleet: &Fleet) -> api::Agent {
    let (state, reason) = state_and_reason(agent, fleet);
    api::Agent {
        id: agent.id.to_string(),
        created_at: agent.created_at,
        name: agent.name.clone(),
        kind: agent.kind.to_string(),
        state: state.to_owned(),
        reason,
        cluster: agent.cluster_uid.as_ref().map(|uid| fleet.cluster_name(uid)),
        cluster_uid: agent.cluster_uid.clone(),
        pod: agent.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.name)),
        node: agent.pod.as_ref().and_then(|pod| pod.node.clone()),
        hostname: agent.hostname.clone(),
        version: agent.version.clone(),
        // A lease is only known to be held by an agent that is here to say so.
        leading: agent.leading && state == "connected",
        allowed_actions: agent.allowed_actions.clone(),
        automatic_actions: agent.automatic_actions.clone(),
        pace: fleet.pace(agent),
        transport: fleet.transport(agent),
        roots: agent.roots.iter().map(root).collect(),
        paused: agent.paused.clone(),
        problems: agent.problems.clone(),
        dropped: agent.dropped,
        revoked_at: agent.revoked_at,
    }
}

/// The agents of a cluster that are not revoked: those that watch it, and those that are bound to it.
pub fn belonging_to<'a>(cluster_uid: &'a str, fleet: &'a Fleet) -> impl Iterator<Item = &'a model::Agent> {
    fleet.docs.agents.iter().map(|agent| &agent.doc).filter(move |agent| {
        let is_of = |uid: &Option<String>| uid.as_deref() == Some(cluster_uid);
        agent.revoked_at.is_none() && (is_of(&agent.cluster_uid) || is_of(&agent.bound_cluster))
    })
}

/// The agents of a cluster that are not revoked, by node; where they are more than [`api::SHOWN_AGENTS`], those with trouble before
/// those without.
pub fn agents_of(cluster_uid: &str, fleet: &Fleet) -> Vec<api::ClusterAgent> {
    let mut agents: Vec<api::ClusterAgent> = belonging_to(cluster_uid, fleet)
        .map(|doc| {
            let (state, problem) = state_and_reason(doc, fleet);
            let node = doc.pod.as_ref().and_then(|pod| pod.node.clone());
            api::ClusterAgent {
                id: doc.id.to_string(),
                name: doc.name.clone(),
                node: node.unwrap_or_else(|| doc.hostname.clone()),
                state: state.to_owned(),
                version: doc.version.clone(),
                transport: fleet.transport(doc),
                leading: doc.leading && state == "connected",
                problem,
            }
        })
        .collect();
    // Where not all of them are shown, those with trouble are what somebody looks for.
    let is_well = |agent: &api::ClusterAgent| agent.state == "connected" && agent.problem.is_empty();
    agents.sort_by(|a, b| (is_well(a), &a.node, &a.name).cmp(&(is_well(b), &b.node, &b.name)));
    agents.truncate(api::SHOWN_AGENTS);
    agents.sort_by(|a, b| (&a.node, &a.name).cmp(&(&b.node, &b.name)));
    agents
}

/// An agent with what it last told of its host.
pub fn agent_detail(doc: &model::Agent, facts: Option<&HostFacts>, fleet: &Fleet) -> api::AgentDetail {
    let units = facts.and_then(|facts| facts.units.as_ref());
    api::AgentDetail {
        agent: agent(doc, fleet),
        lease_term: doc.lease_term,
        host: facts.and_then(|facts| facts.sample.as_ref()).map(host),
        units: units.map(unit_health).unwrap_or_default(),
        units_not_listed: units.map_or(0, |units| units.not_listed),
    }
}

/// Those that failed first.
fn unit_health(units: &HostUnits) -> Vec<api::UnitHealth> {
    let mut all: Vec<api::UnitHealth> = units
        .units
        .iter()
        .map(|(name, unit)| api::UnitHealth {
            name: name.clone(),
            state: unit.state(),
            failed: unit.is_failed(),
            since: unit.since,
            obstacle: if unit.is_failed() { unit.reason.clone() } else { String::new() },
        })
        .collect();
    all.sort_by_key(|unit| !unit.failed);
    all
}

fn state_and_reason(agent: &model::Agent, fleet: &Fleet) -> (&'static str, String) {
    if let Some(at) = agent.revoked_at {
        ("revoked", format!("revoked at {at}"))
    } else if !fleet.connected.contains(&agent.id) {
        ("disconnected", "not connected: what it watches is unknown".to_owned())
    } else {
        let trouble = agent.roots.iter().map(|root| &root.problem).find(|problem| !problem.is_empty());
        let first = agent.paused.as_ref().or(agent.problems.first()).or(trouble);
        ("connected", first.cloned().unwrap_or_default())
    }
}

fn root(root: &model::WatchedRoot) -> api::WatchedRoot {
    api::WatchedRoot {
        path: root.path.clone(),
        files: root.files,
        problem: root.problem.clone(),
        baseline_since: root.baseline_since,
    }
}

fn host(sample: &HostSample) -> api::HostHealth {
    let disk = |disk: &nimbus_control_core::world::DiskSample| api::DiskHealth {
        mount: disk.mount.clone(),
        filesystem: disk.filesystem.clone(),
        total_bytes: disk.total,
        available_bytes: disk.available,
    };
    api::HostHealth {
        at: Some(sample.at),
        os: sample.os.clone(),
        kernel: sample.kernel.clone(),
        cores: sample.cores,
        cpu_percent: f64::from(sample.cpu_centipercent) / 100.0,
        load: sample.load_centi.map(|centi| f64::from(centi) / 100.0),
        memory_total_bytes: sample.memory_total,
        memory_available_bytes: sample.memory_available,
        swap_total_bytes: sample.swap_total,
        swap_used_bytes: sample.swap_used,
        processes: sample.processes,
        uptime_seconds: sample.uptime_s,
        disks: sample.disks.iter().map(disk).collect(),
    }
}
