//! A made-up cluster for the question whether its nodes can be drained.

use std::sync::Arc;

use nimbus_disruption::{Budget, Cluster, Goes, Node, Pod, Room, Says};

/// Nodes.
pub const NODES: usize = 500;
/// Pods, as many on each node.
pub const PODS: usize = 10_000;
/// Pods of one workload, which has a budget.
const OF_ONE: usize = 10;

/// [`NODES`] nodes in three zones and [`PODS`] pods: one in twenty stays, each workload lets one pod go at a time, a quarter of
/// the pods keep away from the others of theirs, and no pod may run in one of the zones. One budget lets none go.
pub fn cluster() -> Cluster {
    let node = |number: usize| Node {
        name: format!("node-{number}"),
        free: Room { cpu_milli: 1_500, memory_bytes: 6 << 30, pods: 90 },
        takes: Says::Yes,
    };
    let budget = |number: usize| Budget {
        name: format!("shop/web-{number}"),
        healthy: 10,
        needed: if number == 7 { 10 } else { 9 },
        allowed: i64::from(number != 7),
        expected: 10,
        lets_unready_go: false,
        is_current: true,
    };
    Cluster {
        nodes: (0..NODES).map(node).collect(),
        pods: (0..PODS).map(pod).collect(),
        budgets: (0..PODS / OF_ONE).map(budget).collect(),
    }
}

fn pod(number: usize) -> Pod {
    let not_in = |node: usize| {
        if node % 3 == number % 3 { Says::No(Arc::from("it is in another zone")) } else { Says::Yes }
    };
    let step = |every: usize| i64::try_from(number % every).unwrap_or(0);
    Pod {
        name: format!("shop/web-{number}"),
        node: number % NODES,
        asks: Room { cpu_milli: 50 + 20 * step(7), memory_bytes: (64 + 50 * step(5)) << 20, pods: 1 },
        goes: if number % 20 == 19 { Goes::Stays } else { Goes::Replaced },
        is_ready: true,
        budgets: Some(vec![number / OF_ONE]),
        may_run: (0..NODES).map(not_in).collect(),
        apart: if number.is_multiple_of(4) { vec![number / OF_ONE] } else { Vec::new() },
        takes_ms: Some(30_000),
    }
}

/// A node with 90 pods of many sizes, and 40 nodes with a little room each, which they almost fill: the search through all ways
/// ends at its bound.
pub fn scattered() -> Cluster {
    let node = |number: usize| Node {
        name: format!("node-{number}"),
        free: Room { cpu_milli: 1_000, memory_bytes: 1 << 40, pods: 100 },
        takes: Says::Yes,
    };
    let one = |number: usize| Pod {
        node: 0,
        asks: Room { cpu_milli: 331 + 7 * i64::try_from(number % 13).unwrap_or(0), memory_bytes: 1, pods: 1 },
        goes: Goes::Replaced,
        budgets: Some(Vec::new()),
        may_run: vec![Says::Yes; 41],
        apart: Vec::new(),
        ..pod(number)
    };
    Cluster { nodes: (0..41).map(node).collect(), pods: (0..90).map(one).collect(), budgets: Vec::new() }
}
