//! Several nodes one after another, each opened again before the next: in which order can all of them be drained?

use crate::cluster::{Cluster, Goes};
use crate::drain::{Drain, Verdict, within};
use crate::pack::Effort;

/// An order for nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The nodes that can be drained, in this order, each with what would happen then.
    pub sequence: Vec<(usize, Drain)>,
    /// Those for which no place in it was found, each with what is in the way after the others.
    pub stuck: Vec<(usize, Drain)>,
}

/// An order in which these nodes can be drained, each opened again once it is empty. Those of which few pods have to move come
/// first, as what is empty then gives room to the others; those that could not be drained are tried again after them. That an order exists is shown by the one that is
/// found; where nodes are left over, another choice of places might have found one.
pub fn order(cluster: &Cluster, nodes: &[usize]) -> Order {
    let (mut now, mut left) = (cluster.clone(), nodes.to_vec());
    left.sort_unstable();
    left.dedup();
    let (mut sequence, mut effort) = (Vec::new(), Effort::new());
    loop {
        let (going, before) = (going(&now), sequence.len());
        left.sort_by_key(|node| (going.get(*node).copied(), *node));
        let mut stuck = Vec::new();
        for node in left {
            let found = within(&now, &[node], &mut effort);
            if found.verdict == Verdict::Finishes {
                moved(&mut now, &found);
                sequence.push((node, found));
            } else {
                stuck.push((node, found));
            }
        }
        // Those that moved meanwhile may have made room.
        if stuck.is_empty() || sequence.len() == before || effort.is_over() {
            return Order { sequence, stuck };
        }
        left = stuck.into_iter().map(|(node, _)| node).collect();
    }
}

/// How many pods would go from each node.
fn going(cluster: &Cluster) -> Vec<usize> {
    let mut going = vec![0; cluster.nodes.len()];
    for pod in cluster.pods.iter().filter(|pod| pod.goes != Goes::Stays) {
        going[pod.node] += 1;
    }
    going
}

/// The cluster after a drain that finished, its node opened again.
fn moved(cluster: &mut Cluster, drained: &Drain) {
    for &(pod, to) in &drained.places {
        let (asks, from) = (cluster.pods[pod].asks, cluster.pods[pod].node);
        cluster.nodes[from].free = cluster.nodes[from].free.more(asks);
        cluster.nodes[to].free = cluster.nodes[to].free.less(asks);
        let pod = &mut cluster.pods[pod];
        pod.node = to;
        // It waits for its replacement to be ready, so that the next drain finds it as it was.
        debug_assert_eq!(pod.goes, Goes::Replaced);
    }
}
