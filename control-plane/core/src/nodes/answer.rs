//! The answer in words.

use nimbus_disruption::{Block, Change, Cluster, Drain, Goes, Order, Verdict, drain, order};

use super::question::Question;

/// Most pods of one sort, rounds, and reasons that an answer names.
pub const MOST_NAMED: usize = 200;

/// What draining nodes would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// Can it finish, if the replacements of its pods become ready?
    pub verdict: Verdict,
    /// How many pods would go.
    pub going: usize,
    /// How many stay: of DaemonSets, the kubelet's own, and those that have ended.
    pub staying: usize,
    /// Each pod that is in the way, of so many at most.
    pub in_the_way: Vec<InTheWay>,
    /// How many more there are.
    pub in_the_way_left_out: usize,
    /// Each of the others fits alone somewhere, and there is no room for so many of them together.
    pub without_room: usize,
    /// What could not be told.
    pub not_known: Vec<String>,
    /// What a person could do so that it finishes.
    pub changes: Vec<String>,
    /// Whether fewer of these would not do.
    pub changes_are_fewest: bool,
    /// The pods that go, round by round, as the budgets leave it; of a drain that finishes.
    pub rounds: Vec<Vec<String>>,
    /// Milliseconds that these would take if each replacement becomes ready as its pod did; `None` where that is not known.
    pub takes_ms: Option<u64>,
    /// One of the ways in which all find room: each pod and its node.
    pub places: Vec<(String, String)>,
    /// One node after another, each opened again before the next; of several nodes.
    pub one_by_one: Vec<Step>,
}

impl Drained {
    /// The same where nothing can be promised for these reasons. What is in the way stays in the way, unless `is_old`: then all of it may be
    /// out of date.
    fn doubted(mut self, doubts: &[String], is_old: bool) -> Self {
        if doubts.is_empty() {
            return self;
        }
        let doubt = |verdict| match verdict {
            Verdict::Blocked if !is_old => Verdict::Blocked,
            Verdict::Blocked | Verdict::Finishes | Verdict::NotKnown => Verdict::NotKnown,
        };
        self.verdict = doubt(self.verdict);
        self.not_known.splice(0..0, doubts.iter().cloned());
        self.changes_are_fewest = false;
        (self.rounds, self.places, self.takes_ms) = (Vec::new(), Vec::new(), None);
        for step in &mut self.one_by_one {
            step.verdict = doubt(step.verdict);
            if step.why.is_empty() {
                step.why.clone_from(&doubts[0]);
            }
        }
        self
    }
}

/// A pod in the way, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTheWay {
    /// Namespace and name.
    pub pod: String,
    /// The node that it is on.
    pub node: String,
    /// Each reason in words.
    pub why: Vec<String>,
}

/// One node in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: String,
    /// Can it be drained then?
    pub verdict: Verdict,
    /// Where it cannot, or that is not known: the first reason.
    pub why: String,
}

impl Question {
    /// The answer: all of the nodes at once, and one after another with each opened again. It takes up to a second or two of a
    /// processor where many pods fit on few nodes.
    pub fn answer(&self) -> Drained {
        let together = drain(&self.cluster, &self.drained);
        let one_by_one = (self.drained.len() > 1).then(|| order(&self.cluster, &self.drained));
        answer(self, &together, one_by_one).doubted(&self.doubts, self.is_old)
    }
}

fn answer(question: &Question, drain: &Drain, one_by_one: Option<Order>) -> Drained {
    let cluster = &question.cluster;
    let staying = cluster.pods.iter().filter(|pod| pod.goes == Goes::Stays).count();
    let blocks = drain.blocks.iter();
    let in_the_way = blocks.take(MOST_NAMED).map(|(pod, blocks)| InTheWay {
        pod: cluster.pods[*pod].name.clone(),
        node: cluster.nodes[cluster.pods[*pod].node].name.clone(),
        why: blocks.iter().map(|block| sentence(question, block)).collect(),
    });
    let names = |pods: &Vec<usize>| pods.iter().map(|pod| cluster.pods[*pod].name.clone()).collect();
    let place =
        |(pod, node): &(usize, usize)| (cluster.pods[*pod].name.clone(), cluster.nodes[*node].name.clone());
    let mut not_known = drain.not_known.clone();
    not_known.sort();
    not_known.dedup();
    not_known.truncate(MOST_NAMED);
    let finishes = drain.verdict == Verdict::Finishes;
    Drained {
        verdict: drain.verdict,
        going: cluster.pods.len() - staying,
        staying,
        in_the_way: in_the_way.collect(),
        in_the_way_left_out: drain.blocks.len().saturating_sub(MOST_NAMED),
        without_room: drain.without_room,
        not_known,
        changes: drain.changes.iter().take(MOST_NAMED).map(|change| words(cluster, drain, *change)).collect(),
        changes_are_fewest: drain.changes_are_fewest,
        rounds: drain.rounds.iter().map(names).collect(),
        takes_ms: drain.takes_ms,
        places: drain.places.iter().filter(|_| finishes).map(place).collect(),
        one_by_one: one_by_one.map(|order| steps(question, &order)).unwrap_or_default(),
    }
}

fn steps(question: &Question, order: &Order) -> Vec<Step> {
    let cluster = &question.cluster;
    let step = |(node, drain): &(usize, Drain)| {
        let why = drain.blocks.first().map(|(pod, blocks)| {
            let why = blocks.first().map(|block| sentence(question, block)).unwrap_or_default();
            format!("{}: {why}", cluster.pods[*pod].name)
        });
        let short = || format!("no room for {} of its pods together", drain.without_room);
        let why = why.or_else(|| drain.not_known.first().cloned()).unwrap_or_else(|| match drain.verdict {
            Verdict::Finishes => String::new(),
            Verdict::Blocked | Verdict::NotKnown => short(),
        });
        Step { node: cluster.nodes[*node].name.clone(), verdict: drain.verdict, why }
    };
    order.sequence.iter().chain(&order.stuck).map(step).collect()
}

fn sentence(question: &Question, block: &Block) -> String {
    // Its namespace is the pod's.
    let budget = |at: usize| &question.figures[at];
    match block {
        Block::Bare => "no controller makes another one".to_owned(),
        Block::Loses(what) => format!("it would lose {what}"),
        Block::AsksNot(mark) => format!("it asks not to be disturbed: {mark}"),
        Block::Never(at) => format!("PodDisruptionBudget {} never lets a pod go", budget(*at)),
        Block::Waits(at) => {
            format!("PodDisruptionBudget {} lets none go until more of its pods are healthy", budget(*at))
        }
        Block::Several(all) => {
            let names: Vec<&str> = all.iter().map(|at| budget(*at).as_str()).collect();
            format!(
                "the eviction API refuses a pod that several PodDisruptionBudgets guard: {}",
                names.join(" and ")
            )
        }
        Block::NoPlace(why) if why.is_empty() => "there is no other node".to_owned(),
        Block::NoPlace(why) => format!("no other node takes it: {}", why.join("; ")),
    }
}

fn words(cluster: &Cluster, drain: &Drain, change: Change) -> String {
    match change {
        Change::Budget(at) => {
            let waits = drain.blocks.iter().any(|(_, blocks)| blocks.contains(&Block::Waits(at)));
            let name = &cluster.budgets[at].name;
            if waits {
                format!("wait until more pods of PodDisruptionBudget {name} are healthy, or change it")
            } else {
                format!("change PodDisruptionBudget {name} so that it lets its pods go")
            }
        }
        Change::Pod(at) => {
            let name = &cluster.pods[at].name;
            let blocks = drain.blocks.iter().find(|(pod, _)| *pod == at).map(|(_, blocks)| blocks.as_slice());
            match blocks.unwrap_or_default().first() {
                None | Some(Block::NoPlace(_)) => {
                    format!("make room for {name} on another node, scale its workload down, or remove it")
                }
                Some(Block::AsksNot(_)) => {
                    format!("take the mark of {name} away once it may be disturbed, or remove it yourself")
                }
                Some(
                    Block::Bare | Block::Loses(_) | Block::Never(_) | Block::Waits(_) | Block::Several(_),
                ) => format!("move or remove {name} yourself"),
            }
        }
    }
}
