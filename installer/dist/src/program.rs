//! The three programs that are shipped.

/// A program: its file, its package in the workspace and its package of a distribution have one name.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// That name.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// What it is, in one paragraph.
    pub description: &'static str,
    /// The profile of the workspace that it is built with.
    pub profile: &'static str,
}

/// The operator's command.
pub const COMMAND: Program = Program {
    name: "nimbus",
    summary: "The operator's command for Nimbus",
    description: "Shows incidents, plans and agents of a Nimbus control plane, and answers what waits for approval. \
                  `nimbus up` runs a control plane and an agent in one process.",
    profile: "dist",
};

/// The agent.
pub const AGENT: Program = Program {
    name: "nimbus-agent",
    summary: "The agent of Nimbus for a host or a Kubernetes cluster",
    description: "Streams what it sees to a Nimbus control plane, and carries out the signed jobs that its own local \
                  policy allows. Without a policy it only observes.",
    profile: "dist-agent",
};

/// The control plane.
pub const CONTROL_PLANE: Program = Program {
    name: "nimbus-control-plane",
    summary: "The control plane of Nimbus",
    description: "Finds the root cause of what is failing, plans one remedy, asks for approval where policy requires it \
                  and sends a signed job to the agent. Keeps its state in SQLite or PostgreSQL.",
    profile: "dist",
};

/// Every one.
pub const ALL: [&Program; 3] = [&COMMAND, &AGENT, &CONTROL_PLANE];
