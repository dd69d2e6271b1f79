//! Who may know whom, held over `cargo metadata`: the direction of the arrows is the one thing that stays.
//! Needs no server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds something else"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;

use serde_json::Value;

/// Workspace crates that a crate may depend on directly (without its dev-dependencies).
const ARROWS: &[(&str, &[&str])] = &[
    ("nimbus-protocol", &[]),
    ("nimbus-agent-core", &["nimbus-protocol"]),
    ("nimbus-agent", &["nimbus-agent-core", "nimbus-protocol"]),
    ("nimbus-control-core", &["nimbus-protocol"]),
    ("nimbus-store", &["nimbus-control-core", "nimbus-protocol"]),
    ("nimbus-api", &["nimbus-protocol"]),
    ("nimbus-control-plane", &["nimbus-api", "nimbus-control-core", "nimbus-protocol", "nimbus-store"]),
    // A client of the API; `nimbus up` alone starts the other two as libraries.
    ("nimbus", &["nimbus-agent", "nimbus-api", "nimbus-control-plane", "nimbus-protocol"]),
    ("xtask", &[]),
];

/// Crates without clock, randomness, socket or file, and what would bring one in.
const PURE: &[&str] = &["nimbus-protocol", "nimbus-agent-core", "nimbus-control-core"];
const IMPURE: &[&str] = &[
    "tokio",
    "quinn",
    "sqlx",
    "sqlx-core",
    "kube",
    "kube-client",
    "hyper",
    "reqwest",
    "tonic",
    "axum",
    "notify",
    "mio",
];

fn metadata() -> Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--manifest-path", manifest])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Name by package id, and the ids that each package's normal and build dependencies resolve to.
fn graph(metadata: &Value) -> (BTreeMap<String, String>, BTreeMap<String, Vec<String>>) {
    let text = |v: &Value| v.as_str().expect("a string").to_owned();
    let list = |v: &Value| v.as_array().expect("an array").clone();
    let names = list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let normal = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|k| k["kind"].is_null());
    let edges = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let to = list(&node["deps"]).iter().filter(|d| normal(d)).map(|d| text(&d["pkg"])).collect();
            (text(&node["id"]), to)
        })
        .collect();
    (names, edges)
}

#[test]
fn the_arrows_point_where_the_design_says() {
    let metadata = metadata();
    let (names, edges) = graph(&metadata);
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).chain(["nimbus-tests"]).collect();
    for (id, name) in names.iter().filter(|(_, name)| ours.contains(name.as_str())) {
        let Some((_, allowed)) = ARROWS.iter().find(|(crate_, _)| crate_ == name) else { continue };
        for to in edges[id].iter().map(|to| names[to].as_str()).filter(|to| ours.contains(to)) {
            assert!(allowed.contains(&to), "{name} must not know {to}; it may know {allowed:?}");
        }
    }
    let members = metadata["workspace_members"].as_array().expect("members").len();
    assert_eq!(members, ours.len(), "a new crate needs its arrows written down here");
}

#[test]
fn the_pure_crates_cannot_reach_a_socket_or_a_runtime() {
    let (names, edges) = graph(&metadata());
    for pure in PURE {
        let start = names.iter().find(|(_, name)| name == pure).map(|(id, _)| id.clone()).expect("a member");
        let (mut queue, mut seen) = (VecDeque::from([start]), BTreeSet::new());
        while let Some(id) = queue.pop_front() {
            let name = names[&id].as_str();
            assert!(!IMPURE.contains(&name), "{pure} reaches {name}");
            queue.extend(edges[&id].iter().filter(|to| seen.insert((*to).clone())).cloned());
        }
        assert!(!seen.is_empty(), "{pure}: nothing was walked");
    }
}
