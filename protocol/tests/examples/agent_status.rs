//! What an agent says of itself, as each version of it does.

use nimbus_protocol::v1;

use super::root;

/// With the fields that were added.
pub fn agent_status_with_budget() -> v1::AgentStatus {
    v1::AgentStatus { jobs_per_hour: Some(60), ..agent_status() }
}

/// The same, of an agent that somebody paused on its own side.
pub fn agent_status_paused() -> v1::AgentStatus {
    v1::AgentStatus { paused: "root since 02:14: disks are moved".into(), ..agent_status_with_transport() }
}

/// The same, of an agent whose policy takes a rule's word for an action.
pub fn agent_status_with_automatic_actions() -> v1::AgentStatus {
    v1::AgentStatus { automatic_actions: vec!["expand_volume".into()], ..agent_status_with_transport() }
}

/// The same, of an agent that names its transport.
pub fn agent_status_with_transport() -> v1::AgentStatus {
    v1::AgentStatus { transport: "tcp through proxy".into(), ..agent_status_with_budget() }
}

/// As the first version says it.
pub fn agent_status() -> v1::AgentStatus {
    v1::AgentStatus {
        agent_version: "0.1.0".into(),
        cluster_uid: "c-uid".into(),
        cluster_name: "production".into(),
        leading: true,
        lease_term: 5,
        allowed_actions: vec!["restart_pod".into()],
        roots: vec![root()],
        problems: vec!["no kubeconfig".into()],
        dropped: 6,
        hostname: "db-1".into(),
        jobs_per_hour: None,
        transport: String::new(),
        paused: String::new(),
        automatic_actions: Vec::new(),
    }
}
