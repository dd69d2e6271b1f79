//! In which rounds pods go: in each at most as many of a budget's as it allows, and the next once their replacements are ready.

use std::collections::BTreeMap;

use crate::cluster::Cluster;

/// The fewest rounds in which these pods go, none of which is in the way. Of each budget those come first whose replacement
/// takes longest, so that rounds end together.
pub(crate) fn rounds(cluster: &Cluster, pods: &[usize]) -> Vec<Vec<usize>> {
    let mut by_budget: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for &pod in pods {
        by_budget.entry(counted_by(cluster, pod)).or_default().push(pod);
    }
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for (budget, mut pods) in by_budget {
        pods.sort_by_key(|pod| (std::cmp::Reverse(cluster.pods[*pod].takes_ms), *pod));
        let at_once = match budget {
            // At least one, as it is not in the way.
            Some(budget) => usize::try_from(cluster.budgets[budget].allows()).unwrap_or(1).max(1),
            None => pods.len(),
        };
        for (round, pods) in pods.chunks(at_once).enumerate() {
            if rounds.len() == round {
                rounds.push(Vec::new());
            }
            rounds[round].extend_from_slice(pods);
        }
    }
    rounds
}

/// The budget that counts a pod when it goes.
fn counted_by(cluster: &Cluster, pod: usize) -> Option<usize> {
    let pod = &cluster.pods[pod];
    let budget = pod.budgets.as_ref()?.first().copied()?;
    (pod.is_ready || !cluster.budgets[budget].passes_unready()).then_some(budget)
}

/// Milliseconds of all rounds, each as long as its slowest replacement; `None` where one of them is not known.
pub(crate) fn takes_ms(cluster: &Cluster, rounds: &[Vec<usize>]) -> Option<u64> {
    rounds.iter().try_fold(0_u64, |sum, round| {
        let slowest =
            round.iter().try_fold(0, |most: u64, pod| Some(most.max(cluster.pods[*pod].takes_ms?)))?;
        Some(sum.saturating_add(slowest))
    })
}
