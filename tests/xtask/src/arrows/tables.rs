//! The arrows that are allowed. `cargo xtask arrows --print` shows the folders' tables as the code has them.

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
    // A client of the API; `nimbus up` alone starts the other two as libraries.
    ("nimbus", &["nimbus-agent", "nimbus-api", "nimbus-control-plane", "nimbus-platform", "nimbus-protocol"]),
    ("nimbus-tests", &["nimbus-control-core", "nimbus-protocol", "nimbus-store"]),
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
];

const AGENT_CORE: &[Line] = &[
    ("observe", &[]),
    ("path", &[]),
    ("record", &[]),
    ("refusal", &[]),
    ("session", &[]),
    ("action", &["path", "refusal"]),
    ("policy", &["action", "path", "refusal"]),
    ("admit", &["action", "policy", "refusal"]),
    ("journal", &["admit", "record", "refusal"]),
    ("spool", &["record"]),
];

const AGENT_DAEMON: &[Line] = &[
    ("board", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("counters", &[]),
    ("durable", &[]),
    ("failpoint", &[]),
    ("runtime", &[]),
    ("args", &["config"]),
    ("datadir", &["durable"]),
    ("files", &["durable"]),
    ("identity", &["board", "durable"]),
    ("outbox", &["clock"]),
    ("telemetry", &["board", "counters"]),
    ("transport", &["board", "clock", "counters", "files", "identity", "outbox"]),
    ("enrol", &["identity", "transport"]),
    ("watch", &["board", "clock", "config", "counters", "durable", "files", "identity", "outbox"]),
    ("exec", &["board", "clock", "counters", "failpoint", "files", "outbox", "transport", "watch"]),
    ("teller", &["board", "exec"]),
    ("error", &["datadir", "files", "identity", "watch"]),
    (
        "agent",
        &[
            "board",
            "clock",
            "config",
            "counters",
            "datadir",
            "enrol",
            "error",
            "exec",
            "files",
            "identity",
            "outbox",
            "telemetry",
            "teller",
            "transport",
            "watch",
        ],
    ),
];

const CONTROL_CORE: &[Line] = &[
    ("model", &[]),
    ("settings", &[]),
    ("audit", &["model"]),
    ("drift", &["model"]),
    ("approval", &["model", "settings"]),
    ("world", &["model"]),
    ("causes", &["drift", "model", "settings", "world"]),
    ("snapshot", &["causes", "model", "settings", "world"]),
    // The independent checker: it shares the contract's types with the planner, and no decision.
    ("check", &["model", "snapshot", "world"]),
    ("remedies", &["causes", "drift", "model", "settings", "snapshot", "world"]),
    ("rules", &["causes", "model", "remedies"]),
    ("safety", &["causes", "model", "remedies", "settings", "snapshot"]),
    (
        "remediation",
        &["approval", "causes", "check", "model", "remedies", "rules", "safety", "settings", "snapshot"],
    ),
];

const SERVER: &[Line] = &[
    ("caught_up", &[]),
    ("claims", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("docs", &[]),
    ("failpoint", &[]),
    ("files", &[]),
    ("health", &[]),
    ("metrics", &[]),
    ("sessions", &[]),
    ("wake", &[]),
    ("ca", &["files"]),
    ("datadir", &["files"]),
    ("operator", &["files"]),
    ("sign", &["files"]),
    ("tls", &["ca"]),
    ("error", &["ca", "datadir", "files", "tls"]),
    (
        "app",
        &["ca", "caught_up", "clock", "docs", "health", "metrics", "operator", "sessions", "sign", "wake"],
    ),
    ("directory", &["claims", "docs"]),
    ("tokens", &["app"]),
    ("tasks", &["app", "claims", "clock", "directory", "docs", "failpoint", "health", "sessions", "sign"]),
    (
        "gateway",
        &[
            "app",
            "ca",
            "claims",
            "clock",
            "directory",
            "error",
            "failpoint",
            "health",
            "sessions",
            "sign",
            "tls",
        ],
    ),
    ("rest", &["app", "docs", "failpoint", "sessions", "tokens"]),
    ("http", &["ca", "config", "error", "tls"]),
    (
        "control_plane",
        &[
            "app", "ca", "clock", "config", "datadir", "error", "gateway", "health", "http", "operator",
            "rest", "sessions", "sign", "tasks", "tls", "tokens",
        ],
    ),
];
