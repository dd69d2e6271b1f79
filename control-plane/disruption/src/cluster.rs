//! What a drain depends on, as its caller knows it.

use std::sync::Arc;

/// A cluster, as far as the nodes that are to be drained concern it. Nodes, pods and budgets are named by their place in
/// these lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// The pods of the nodes that may be asked about. What other nodes run is in their [`Node::free`] alone.
    pub pods: Vec<Pod>,
    /// The budgets that guard any of these pods.
    pub budgets: Vec<Budget>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What pods may still ask of it, with everything counted that it runs now.
    pub free: Room,
    /// Does it take new pods at all?
    pub takes: Says,
}

/// What a pod asks of a node, or a node has for pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Room {
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Places for pods; a pod asks for one.
    pub pods: i64,
}

impl Room {
    /// Is there room for `asked`? What is not asked for is there, also where nothing is left of it.
    pub(crate) fn holds(self, asked: Self) -> bool {
        let one = |free: i64, asked: i64| asked <= 0 || free >= asked;
        one(self.cpu_milli, asked.cpu_milli)
            && one(self.memory_bytes, asked.memory_bytes)
            && one(self.pods, asked.pods)
    }

    pub(crate) fn less(self, asked: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_sub(asked.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_sub(asked.memory_bytes),
            pods: self.pods.saturating_sub(asked.pods),
        }
    }

    pub(crate) fn more(self, given: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_add(given.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_add(given.memory_bytes),
            pods: self.pods.saturating_add(given.pods),
        }
    }
}

/// An answer that may not be known, with why it is no, or not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Yes.
    Yes,
    /// No.
    No(Arc<str>),
    /// Nobody can say.
    NotKnown(Arc<str>),
}

/// A pod on a node that may be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name, as `shop/web-1`.
    pub name: String,
    /// The node that it runs on.
    pub node: usize,
    /// What it asks of a node.
    pub asks: Room,
    /// What becomes of it in a drain.
    pub goes: Goes,
    /// Is it ready?
    pub is_ready: bool,
    /// The budgets that guard it; `None` where that is not known.
    pub budgets: Option<Vec<usize>>,
    /// For each node whether its replacement may run there, but for room: its taints, labels, volumes.
    pub may_run: Vec<Says>,
    /// Groups of which no two of [`Cluster::pods`] may be on one node, wherever the other one came from, as required anti-affinity over the host's name makes them.
    pub apart: Vec<usize>,
    /// Milliseconds until its replacement is ready; `None` where that is not known.
    pub takes_ms: Option<u64>,
}

/// What becomes of a pod when its node is drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goes {
    /// It is evicted, and its controller makes another one.
    Replaced,
    /// It stays, and is in nobody's way: a DaemonSet's, or the kubelet's own.
    Stays,
    /// It would be gone: no controller makes another one.
    Bare,
    /// What it keeps on this node alone would be lost, in words.
    Loses(String),
    /// It asks not to be disturbed, in words.
    AsksNot(String),
    /// That is not known, and why.
    NotKnown(String),
}

/// A PodDisruptionBudget, with the figures of its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Namespace and name.
    pub name: String,
    /// Pods that are healthy.
    pub healthy: i64,
    /// Pods that have to be.
    pub needed: i64,
    /// How many its status lets go now.
    pub allowed: i64,
    /// Pods that it counts in all.
    pub expected: i64,
    /// May a pod that is not ready always go (`AlwaysAllow`)?
    pub lets_unready_go: bool,
    /// Has its controller seen its newest specification? Until then its figures say nothing.
    pub is_current: bool,
}

impl Budget {
    /// How many healthy pods may be gone at the same time, each with its replacement to come.
    pub(crate) fn allows(&self) -> i64 {
        (self.healthy - self.needed).max(0)
    }

    /// May a pod that is not ready go without being counted, as the eviction API has it?
    pub(crate) fn passes_unready(&self) -> bool {
        self.lets_unready_go || (self.healthy >= self.needed && self.needed > 0)
    }
}
