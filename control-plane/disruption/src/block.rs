//! What is in the way of one pod's eviction, whatever happens to the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cluster::{Budget, Cluster, Goes, Pod, Says};

/// Why a pod cannot be evicted as things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Nobody makes another one.
    Bare,
    /// What it keeps on its node would be lost, in words.
    Loses(String),
    /// It asks not to be disturbed, in words.
    AsksNot(String),
    /// This budget lets none of its pods go, even with all of them healthy.
    Never(usize),
    /// This budget lets none go until more of its pods are healthy.
    Waits(usize),
    /// The eviction API refuses a pod that several budgets guard.
    Several(Vec<usize>),
    /// No other node takes it, with the reasons of some.
    NoPlace(Vec<Arc<str>>),
}

impl Block {
    /// Could another budget clear it?
    pub(crate) fn is_of_budgets(&self) -> bool {
        match self {
            Self::Never(_) | Self::Waits(_) | Self::Several(_) => true,
            Self::Bare | Self::Loses(_) | Self::AsksNot(_) | Self::NoPlace(_) => false,
        }
    }
}

/// What budgets say to a pod's eviction.
pub(crate) enum Guarded {
    Free,
    Blocked(Block),
    NotKnown(String),
}

/// Most reasons that are kept of the nodes that do not take a pod.
const REASONS: usize = 3;

/// What the budgets that guard a pod say, with those of `without` out of the way.
pub(crate) fn guarded(pod: &Pod, budgets: &[Budget], without: &[usize]) -> Guarded {
    let Some(all) = &pod.budgets else {
        return Guarded::NotKnown(format!("which budgets guard {} is not known", pod.name));
    };
    let left: Vec<usize> = all.iter().copied().filter(|budget| !without.contains(budget)).collect();
    let [one] = left.as_slice() else {
        return if left.is_empty() { Guarded::Free } else { Guarded::Blocked(Block::Several(left)) };
    };
    let budget = &budgets[*one];
    // As the API does: a pod that is not ready is looked at first, whatever the budget's controller has seen.
    if !pod.is_ready && budget.passes_unready() {
        return Guarded::Free;
    }
    if !budget.is_current {
        return Guarded::NotKnown(format!(
            "budget {} was changed, and its controller has not looked since",
            budget.name
        ));
    }
    // Its controller may see what the figures do not show, such as a pod of a kind that it cannot count.
    if (budget.allowed > 0) != (budget.allows() > 0) {
        return Guarded::NotKnown(format!(
            "budget {} lets {} go, while its figures would let {}",
            budget.name,
            budget.allowed,
            budget.allows()
        ));
    }
    if budget.allows() > 0 {
        Guarded::Free
    } else if budget.expected > budget.needed {
        Guarded::Blocked(Block::Waits(*one))
    } else {
        Guarded::Blocked(Block::Never(*one))
    }
}

/// What is in the pod's own way, budgets apart: blocks, or what is not known.
pub(crate) fn of_itself(pod: &Pod) -> Result<Option<Block>, String> {
    match &pod.goes {
        Goes::Replaced | Goes::Stays => Ok(None),
        Goes::Bare => Ok(Some(Block::Bare)),
        Goes::Loses(what) => Ok(Some(Block::Loses(what.clone()))),
        Goes::AsksNot(what) => Ok(Some(Block::AsksNot(what.clone()))),
        Goes::NotKnown(why) => Err(format!("what becomes of {} is not known: {why}", pod.name)),
    }
}

/// What the nodes besides those that are `drained` say to a pod alone, with all of their room for it.
pub(crate) enum Places {
    /// These take it for certain; of others it may not be known.
    On(Vec<usize>, Option<String>),
    /// None takes it for certain, and of some it is not known.
    NotKnown(String),
    /// None takes it.
    Nowhere(Vec<Arc<str>>),
}

/// Nodes, each with a group of which a pod is there that does not go.
pub(crate) type Taken = BTreeSet<(usize, usize)>;

/// The groups on nodes that are not `drained`.
pub(crate) fn taken(cluster: &Cluster, drained: &[usize]) -> Taken {
    let stay = cluster.pods.iter().filter(|pod| !drained.contains(&pod.node));
    stay.flat_map(|pod| pod.apart.iter().map(|group| (pod.node, *group))).collect()
}

/// Where a pod could go, each node for itself.
pub(crate) fn places(pod: &Pod, cluster: &Cluster, drained: &[usize], taken: &Taken) -> Places {
    let (mut on, mut unknown, mut no) = (Vec::new(), None, Vec::new());
    for (number, node) in cluster.nodes.iter().enumerate() {
        if drained.contains(&number) || number == pod.node {
            continue;
        }
        let said = match (&node.takes, pod.may_run.get(number)) {
            (Says::No(why), _) | (_, Some(Says::No(why))) => Says::No(Arc::clone(why)),
            _ if pod.apart.iter().any(|group| taken.contains(&(number, *group))) => {
                Says::No(format!("{} has a pod that keeps away from it", node.name).into())
            }
            _ if !node.free.holds(pod.asks) => Says::No(format!("{} has not enough room", node.name).into()),
            (Says::NotKnown(why), _) | (_, Some(Says::NotKnown(why))) => Says::NotKnown(Arc::clone(why)),
            (Says::Yes, Some(Says::Yes)) => Says::Yes,
            (Says::Yes, None) => Says::NotKnown(format!("nothing is told of {}", node.name).into()),
        };
        match said {
            Says::Yes => on.push(number),
            Says::No(why) => no.push(why),
            Says::NotKnown(why) => unknown = Some(format!("{}: {why}", pod.name)),
        }
    }
    match (on.is_empty(), unknown) {
        (false, unknown) => Places::On(on, unknown),
        (true, Some(why)) => Places::NotKnown(why),
        (true, None) => {
            no.dedup();
            no.truncate(REASONS);
            Places::Nowhere(no)
        }
    }
}
