//! The tables of allowed dependencies. `cargo xtask arrows --print` prints the tables of the folders as the code has
//! them.

use super::check::Line;

/// Crates that a crate may depend on directly, its tests apart.
pub const CRATES: &[(&str, &[&str])] = &[
    ("nimbus-platform", &[]),
    ("nimbus-protocol", &[]),
    ("nimbus-agent-core", &["nimbus-protocol"]),
    ("nimbus-agent", &["nimbus-agent-core", "nimbus-platform", "nimbus-protocol"]),
    ("nimbus-control-core", &["nimbus-protocol"]),
    ("nimbus-store", &["nimbus-control-core", "nimbus-protocol"]),
    ("nimbus-api", &[]),
    (
        "nimbus-control-plane",
        &["nimbus-api", "nimbus-control-core", "nimbus-platform", "nimbus-protocol", "nimbus-store"],
    ),
    // A client of the API, built beside the control plane and the agent.
    ("nimbus-release", &[]),
    // Makes a release from the tree; it runs cargo and knows none of the programs.
    ("nimbus-dist", &["nimbus-release"]),
    ("nimbus-cli", &["nimbus-api", "nimbus-platform", "nimbus-release"]),
    // `nimbus up` alone starts the other two as libraries.
    (
        "nimbus",
        &[
            "nimbus-agent",
            "nimbus-api",
            "nimbus-cli",
            "nimbus-control-plane",
            "nimbus-platform",
            "nimbus-protocol",
        ],
    ),
    (
        "nimbus-tests",
        &[
            "nimbus-agent",
            "nimbus-agent-core",
            "nimbus-control-core",
            "nimbus-platform",
            "nimbus-protocol",
            "nimbus-store",
        ],
    ),
    ("xtask", &[]),
];

/// Crates without clock, randomness, socket or file.
pub const PURE: &[&str] = &["nimbus-protocol", "nimbus-agent-core", "nimbus-control-core"];

/// What would bring one of these in.
pub const IMPURE: &[&str] = &[
    "axum",
    "hyper",
    "kube",
    "kube-client",
    "mio",
    "nimbus-platform",
    "notify",
    "quinn",
    "reqwest",
    "sqlx",
    "sqlx-core",
    "tokio",
    "tonic",
];

/// Every crate whose folders may not know each other in a circle; where there is a table, it is held too.
pub const FOLDERS: &[(&str, Option<&[Line]>)] = &[
    ("platform", None),
    ("protocol", None),
    ("agent/core", Some(AGENT_CORE)),
    ("agent/daemon", Some(AGENT_DAEMON)),
    ("control-plane/core", Some(CONTROL_CORE)),
    ("control-plane/store", None),
    ("control-plane/api", None),
    ("control-plane/server", Some(SERVER)),
    ("control-plane/cli", None),
    ("control-plane/up", None),
    ("installer/dist", None),
];

const AGENT_CORE: &[Line] = &[
    ("clock", &[]),
    ("election", &[]),
    ("observe", &[]),
    ("path", &[]),
    ("record", &[]),
    ("refusal", &[]),
    ("action", &["observe", "path", "refusal"]),
    ("policy", &["action", "path", "refusal"]),
    ("admit", &["action", "policy", "refusal"]),
    ("journal", &["admit", "record", "refusal"]),
    ("session", &[]),
    ("spool", &["record"]),
];

const AGENT_DAEMON: &[Line] = &[
    ("alive", &[]),
    ("config", &[]),
    ("args", &["config"]),
    ("counters", &[]),
    ("datadir", &[]),
    ("files", &[]),
    ("observation_queue", &[]),
    ("policy_files", &[]),
    ("runtime", &[]),
    ("status", &[]),
    ("identity", &["config", "status"]),
    ("telemetry", &["counters", "status"]),
    ("transport", &[]),
    ("enrol", &["config", "identity", "transport"]),
    ("service", &["alive", "status"]),
    ("session_loop", &["alive", "counters", "files", "identity", "observation_queue", "status", "transport"]),
    ("watch", &["config", "counters", "files", "identity", "observation_queue", "policy_files", "status"]),
    ("error", &["datadir", "files", "identity", "watch"]),
    ("exec", &["alive", "counters", "files", "policy_files", "session_loop", "status", "watch"]),
    ("status_reporter", &["exec", "observation_queue", "status"]),
    ("pod_proof", &["config", "enrol", "error", "identity", "watch"]),
    (
        "agent",
        &[
            "alive",
            "config",
            "counters",
            "datadir",
            "enrol",
            "error",
            "exec",
            "files",
            "identity",
            "observation_queue",
            "pod_proof",
            "session_loop",
            "status",
            "status_reporter",
            "telemetry",
            "watch",
        ],
    ),
];

const CONTROL_CORE: &[Line] = &[
    ("model", &[]),
    ("audit", &["model"]),
    ("drift", &["model"]),
    ("living", &[]),
    ("settings", &[]),
    ("approval", &["model", "settings"]),
    ("unsolicited_reports", &[]),
    ("world", &["living", "model"]),
    ("assessment", &["model", "settings", "world"]),
    ("cluster_binding", &["model", "world"]),
    ("directory", &["cluster_binding", "model"]),
    ("gateway", &["cluster_binding"]),
    ("snapshot", &["assessment", "model", "settings", "world"]),
    ("attestation", &["model", "snapshot", "world"]),
    ("causes", &["assessment", "drift", "model", "settings", "snapshot", "world"]),
    // The independent checker: it shares the contract's types with the planner, and no decision.
    ("check", &["model", "snapshot", "world"]),
    ("remedies", &["causes", "drift", "living", "model", "settings", "snapshot", "world"]),
    ("rules", &["causes", "model", "remedies", "settings"]),
    ("safety", &["causes", "model", "remedies", "settings", "snapshot"]),
    (
        "remediation",
        &[
            "approval", "causes", "check", "model", "remedies", "rules", "safety", "settings", "snapshot",
            "world",
        ],
    ),
];

const SERVER: &[Line] = &[
    ("alive", &[]),
    ("caught_up", &[]),
    ("config", &[]),
    ("documents", &[]),
    ("files", &[]),
    ("ca", &["files"]),
    ("datadir", &["files"]),
    ("health", &[]),
    ("ids", &[]),
    ("log_payload", &[]),
    ("metrics", &[]),
    ("not_before", &[]),
    ("operator", &["files"]),
    ("reports", &[]),
    ("sessions", &["caught_up"]),
    ("share", &[]),
    ("connections", &["share"]),
    ("sign", &["files"]),
    ("tls", &["ca", "not_before"]),
    ("error", &["ca", "datadir", "files", "tls"]),
    ("http", &["ca", "config", "connections", "error", "tls"]),
    ("wake", &[]),
    ("world_view", &[]),
    (
        "app",
        &[
            "alive",
            "ca",
            "documents",
            "health",
            "ids",
            "metrics",
            "operator",
            "reports",
            "sessions",
            "sign",
            "wake",
            "world_view",
        ],
    ),
    ("service", &["alive", "app"]),
    (
        "gateway",
        &["app", "ca", "documents", "error", "health", "log_payload", "sessions", "share", "sign", "tls"],
    ),
    ("tasks", &["app", "documents", "health", "log_payload", "sign"]),
    ("listeners", &["config", "error", "gateway"]),
    ("tokens", &["app"]),
    ("rest", &["app", "config", "connections", "documents", "tokens"]),
    (
        "control_plane",
        &[
            "alive",
            "app",
            "ca",
            "config",
            "datadir",
            "documents",
            "error",
            "gateway",
            "health",
            "http",
            "listeners",
            "operator",
            "rest",
            "sign",
            "tasks",
            "tls",
            "tokens",
            "world_view",
        ],
    ),
];
