//! What the solver answers is what trying everything answers, on small clusters of every shape; and whatever is not known may
//! turn out either way without making its answer wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's own words")]

use std::sync::Arc;

use nimbus_disruption::{Budget, Change, Cluster, Goes, Node, Pod, Room, Says, Verdict, drain, order};
use proptest::collection::vec;
use proptest::prelude::*;

/// Nodes that are never drained, beside the drained ones.
const OTHERS: usize = 3;
/// Nodes that are drained.
const DRAINED: [usize; 2] = [0, 1];

fn says(with_unknown: bool) -> BoxedStrategy<Says> {
    let no = Just(Says::No(Arc::from("its taint")));
    let not_known = Just(Says::NotKnown(Arc::from("its volume")));
    if with_unknown {
        prop_oneof![5 => Just(Says::Yes), 2 => no, 1 => not_known].boxed()
    } else {
        prop_oneof![4 => Just(Says::Yes), 1 => no].boxed()
    }
}

fn room(most: i64) -> impl Strategy<Value = Room> {
    (0..=most, 0..=most).prop_map(|(cpu_milli, memory_bytes)| Room { cpu_milli, memory_bytes, pods: 1 })
}

fn goes(with_unknown: bool) -> BoxedStrategy<Goes> {
    let known = prop_oneof![
        12 => Just(Goes::Replaced),
        1 => Just(Goes::Stays),
        1 => Just(Goes::Bare),
        1 => Just(Goes::Loses("an emptyDir".to_owned())),
        1 => Just(Goes::AsksNot("an annotation".to_owned())),
    ];
    if with_unknown {
        prop_oneof![8 => known, 1 => Just(Goes::NotKnown("no owner is told".to_owned()))].boxed()
    } else {
        known.boxed()
    }
}

fn pod(budgets: usize, with_unknown: bool) -> impl Strategy<Value = Pod> {
    let guards = vec(0..budgets.max(1), 0..=2).prop_map(move |mut all| {
        all.sort_unstable();
        all.dedup();
        all.retain(|budget| *budget < budgets);
        all
    });
    let guards = prop_oneof![
        12 => guards.prop_map(Some),
        u32::from(with_unknown) => Just(None),
    ];
    let nodes = DRAINED.len() + OTHERS;
    let apart = prop_oneof![3 => Just(Vec::new()), 1 => Just(vec![0]), 1 => Just(vec![1])];
    (
        0..DRAINED.len(),
        room(3),
        goes(with_unknown),
        any::<bool>(),
        guards,
        vec(says(with_unknown), nodes),
        apart,
        0_u64..50,
    )
        .prop_map(|(node, asks, goes, is_ready, budgets, may_run, apart, takes)| Pod {
            name: "shop/web".to_owned(),
            node,
            asks,
            goes,
            is_ready,
            budgets,
            may_run,
            apart,
            takes_ms: Some(takes),
        })
}

fn budget(with_unknown: bool) -> impl Strategy<Value = Budget> {
    (0..4_i64, 0..4_i64, 0..3_i64, any::<bool>(), 0..6_u8).prop_map(
        move |(healthy, needed, sick, lets_unready_go, current)| Budget {
            name: "shop/web".to_owned(),
            healthy,
            needed,
            allowed: (healthy - needed).max(0),
            expected: healthy + sick,
            lets_unready_go,
            is_current: !with_unknown || current > 0,
        },
    )
}

fn cluster(with_unknown: bool) -> impl Strategy<Value = Cluster> {
    let nodes = (vec(room(5), DRAINED.len() + OTHERS), vec(says(with_unknown), DRAINED.len() + OTHERS));
    (nodes, 0..3_usize).prop_flat_map(move |((rooms, takes), budgets)| {
        let nodes: Vec<Node> = rooms
            .into_iter()
            .zip(takes)
            .enumerate()
            .map(|(number, (free, takes))| Node {
                name: format!("node-{number}"),
                free: Room { pods: 2, ..free },
                takes,
            })
            .collect();
        (vec(pod(budgets, with_unknown), 0..=5), vec(budget(with_unknown), budgets))
            .prop_map(move |(pods, budgets)| Cluster { nodes: nodes.clone(), pods, budgets })
    })
}

/// The eviction API, with nothing else going on and every replacement ready: does it ever let this pod go?
fn is_let_go(pod: &Pod, budgets: &[Budget]) -> bool {
    let guards = pod.budgets.as_ref().expect("known");
    if guards.len() > 1 {
        return false;
    }
    guards.iter().all(|guard| {
        let Budget { healthy, needed, lets_unready_go, .. } = budgets[*guard];
        let unready = !pod.is_ready && (lets_unready_go || (healthy >= needed && needed > 0));
        unready || healthy > needed
    })
}

/// Does a drain finish, by trying every place for every pod? Only of what is known in full.
fn finishes(cluster: &Cluster, drained: &[usize]) -> bool {
    let going: Vec<&Pod> =
        cluster.pods.iter().filter(|pod| drained.contains(&pod.node) && pod.goes != Goes::Stays).collect();
    let none_is_in_the_way =
        going.iter().all(|pod| pod.goes == Goes::Replaced && is_let_go(pod, &cluster.budgets));
    none_is_in_the_way && place(cluster, drained, &going, &mut Vec::new())
}

fn place(cluster: &Cluster, drained: &[usize], going: &[&Pod], placed: &mut Vec<usize>) -> bool {
    let Some(pod) = going.get(placed.len()) else { return true };
    for (number, node) in cluster.nodes.iter().enumerate() {
        if drained.contains(&number) || node.takes != Says::Yes || pod.may_run[number] != Says::Yes {
            continue;
        }
        let beside: Vec<&Pod> =
            placed.iter().zip(going).filter(|(at, _)| **at == number).map(|(_, other)| *other).collect();
        let sum = |figure: fn(&Room) -> i64| -> i64 {
            beside.iter().map(|other| figure(&other.asks)).sum::<i64>() + figure(&pod.asks)
        };
        let has = |figure: fn(&Room) -> i64| figure(&pod.asks) == 0 || sum(figure) <= figure(&node.free);
        let there = cluster.pods.iter().filter(|other| other.node == number);
        let apart = beside
            .iter()
            .copied()
            .chain(there)
            .all(|other| other.apart.iter().all(|group| !pod.apart.contains(group)));
        if apart && has(|room| room.cpu_milli) && has(|room| room.memory_bytes) && has(|room| room.pods) {
            placed.push(number);
            let found = place(cluster, drained, going, placed);
            placed.pop();
            if found {
                return true;
            }
        }
    }
    false
}

fn changed(cluster: &Cluster, changes: &[Change]) -> Cluster {
    let mut cluster = cluster.clone();
    for change in changes {
        match change {
            Change::Budget(budget) => cluster
                .pods
                .iter_mut()
                .for_each(|pod| pod.budgets.as_mut().expect("known").retain(|guard| guard != budget)),
            Change::Pod(pod) => cluster.pods[*pod].goes = Goes::Stays,
        }
    }
    cluster
}

/// The fewest changes by trying all sets of them.
fn fewest(cluster: &Cluster, drained: &[usize]) -> usize {
    let all: Vec<Change> = (0..cluster.budgets.len())
        .map(Change::Budget)
        .chain((0..cluster.pods.len()).map(Change::Pod))
        .collect();
    let sets = (0..1_u32 << all.len()).map(|set| {
        let chosen = all.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, change)| *change);
        chosen.collect::<Vec<_>>()
    });
    let clearing = sets.filter(|chosen| finishes(&changed(cluster, chosen), drained));
    clearing.map(|chosen| chosen.len()).min().expect("without any pod it finishes")
}

/// The fewest rounds by trying every set of pods in each.
fn fewest_rounds(cluster: &Cluster, pods: &[usize]) -> usize {
    let may_go = |set: u32| {
        (0..cluster.budgets.len()).all(|budget| {
            let Budget { healthy, needed, lets_unready_go, .. } = cluster.budgets[budget];
            let passes = lets_unready_go || (healthy >= needed && needed > 0);
            let counted =
                pods.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).filter(|(_, pod)| {
                    let pod = &cluster.pods[**pod];
                    pod.budgets.as_ref().expect("known").contains(&budget) && (pod.is_ready || !passes)
                });
            i64::try_from(counted.count()).unwrap() <= (healthy - needed).max(0)
        })
    };
    let all = (1_u32 << pods.len()) - 1;
    let mut least = vec![usize::MAX; 1 << pods.len()];
    least[0] = 0;
    for done in 0..=all {
        let Some(so_far) = least.get(done as usize).copied().filter(|it| *it < usize::MAX) else { continue };
        for more in 1..=all {
            if done & more == 0 && may_go(more) {
                let next = (done | more) as usize;
                least[next] = least[next].min(so_far + 1);
            }
        }
    }
    least[all as usize]
}

/// Is nothing of it unknown?
fn is_known(cluster: &Cluster) -> bool {
    let says = |says: &Says| !matches!(says, Says::NotKnown(_));
    cluster.nodes.iter().all(|node| says(&node.takes))
        && cluster.budgets.iter().all(|budget| budget.is_current)
        && cluster.pods.iter().all(|pod| {
            pod.budgets.is_some() && !matches!(pod.goes, Goes::NotKnown(_)) && pod.may_run.iter().all(says)
        })
}

/// Every way in which what is not known may turn out; with more than some thousands of them, something is left unknown.
fn known(cluster: &Cluster) -> Vec<Cluster> {
    let mut all = vec![cluster.clone()];
    let mut each = |options: &dyn Fn(&Cluster) -> Option<Vec<Cluster>>| loop {
        let mut changed = false;
        let mut next = Vec::new();
        for one in all.drain(..) {
            match options(&one) {
                Some(options) => {
                    changed = true;
                    next.extend(options);
                }
                None => next.push(one),
            }
        }
        all = next;
        if !changed || all.len() > 4_096 {
            return;
        }
    };
    let no = || Says::No(Arc::from("it turned out so"));
    each(&|one| {
        let at = one.nodes.iter().position(|node| matches!(node.takes, Says::NotKnown(_)))?;
        Some(
            [Says::Yes, no()]
                .map(|takes| {
                    let mut one = one.clone();
                    one.nodes[at].takes = takes;
                    one
                })
                .into(),
        )
    });
    each(&|one| {
        let at = one.pods.iter().enumerate().find_map(|(pod, it)| {
            Some((pod, it.may_run.iter().position(|says| matches!(says, Says::NotKnown(_)))?))
        })?;
        Some(
            [Says::Yes, no()]
                .map(|says| {
                    let mut one = one.clone();
                    one.pods[at.0].may_run[at.1] = says;
                    one
                })
                .into(),
        )
    });
    each(&|one| {
        let at = one.pods.iter().position(|pod| matches!(pod.goes, Goes::NotKnown(_)))?;
        Some(
            [Goes::Replaced, Goes::Bare, Goes::Stays]
                .map(|goes| {
                    let mut one = one.clone();
                    one.pods[at].goes = goes;
                    one
                })
                .into(),
        )
    });
    each(&|one| {
        let at = one.pods.iter().position(|pod| pod.budgets.is_none())?;
        let mut guards = vec![Vec::new()];
        guards.extend((0..one.budgets.len()).map(|budget| vec![budget]));
        Some(
            guards
                .into_iter()
                .map(|guards| {
                    let mut one = one.clone();
                    one.pods[at].budgets = Some(guards);
                    one
                })
                .collect(),
        )
    });
    each(&|one| {
        let at = one.budgets.iter().position(|budget| !budget.is_current)?;
        let Budget { healthy, .. } = one.budgets[at];
        Some(
            [0, healthy]
                .map(|needed| {
                    let mut one = one.clone();
                    (one.budgets[at].is_current, one.budgets[at].needed) = (true, needed);
                    one.budgets[at].allowed = healthy - needed;
                    one
                })
                .into(),
        )
    });
    all
}

/// Room that no two pods share, as of many nodes with a little left each: the first way that is tried is the best, and the
/// question is answered without a search through all others. One that is searched ends, and says that it did.
#[test]
fn a_question_about_scattered_room_ends() {
    let node = |cpu_milli| Node {
        name: "node".to_owned(),
        free: Room { cpu_milli, memory_bytes: 1 << 40, pods: 100 },
        takes: Says::Yes,
    };
    let pod = |cpu_milli, nodes: usize| Pod {
        name: "shop/web".to_owned(),
        node: 0,
        asks: Room { cpu_milli, memory_bytes: 1, pods: 1 },
        goes: Goes::Replaced,
        is_ready: true,
        budgets: Some(Vec::new()),
        may_run: vec![Says::Yes; nodes],
        apart: Vec::new(),
        takes_ms: None,
    };
    let scattered = Cluster {
        nodes: (0..61).map(|_| node(1_000)).collect(),
        pods: (0..100).map(|_| pod(600, 61)).collect(),
        budgets: Vec::new(),
    };
    let found = drain(&scattered, &[0]);
    assert_eq!((found.verdict, found.without_room, found.changes_are_fewest), (Verdict::Blocked, 40, true));
    // Sizes of which no two fill a node, and three almost do.
    let odd = Cluster {
        nodes: (0..41).map(|_| node(1_000)).collect(),
        pods: (0..90).map(|n| pod(331 + 7 * (n % 13), 41)).collect(),
        budgets: Vec::new(),
    };
    let found = drain(&odd, &[0]);
    assert_ne!(found.verdict, Verdict::Finishes);
    assert!(
        found.verdict == Verdict::Blocked || found.not_known.iter().any(|why| why.contains("steps")),
        "{found:?}"
    );
    assert!(order(&odd, &(0..41).collect::<Vec<_>>()).sequence.len() >= 40, "empty nodes are drained");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_in_full_is_answered_as_trying_everything_does(cluster in cluster(false)) {
        let found = drain(&cluster, &DRAINED);
        let expected = if finishes(&cluster, &DRAINED) { Verdict::Finishes } else { Verdict::Blocked };
        prop_assert_eq!(found.verdict, expected, "{:?}", found);
        prop_assert!(found.not_known.is_empty() && found.changes_are_fewest);
        prop_assert_eq!(found.changes.len(), fewest(&cluster, &DRAINED), "{:?}", found);
        prop_assert!(finishes(&changed(&cluster, &found.changes), &DRAINED), "{:?}", found);
        if found.verdict == Verdict::Finishes {
            let mut pods: Vec<usize> = found.places.iter().map(|(pod, _)| *pod).collect();
            prop_assert_eq!(found.rounds.len(), fewest_rounds(&cluster, &pods));
            let mut of_rounds: Vec<usize> = found.rounds.concat();
            pods.sort_unstable();
            of_rounds.sort_unstable();
            prop_assert_eq!(of_rounds, pods, "each goes once");
        }
    }

    #[test]
    fn what_is_not_known_never_makes_the_answer_wrong(cluster in cluster(true)) {
        let found = drain(&cluster, &DRAINED);
        let ways = known(&cluster);
        // A cluster of which too much is unknown to try every way is another case.
        prop_assume!(ways.iter().all(is_known));
        let turned_out: Vec<bool> = ways.iter().map(|one| finishes(one, &DRAINED)).collect();
        match found.verdict {
            Verdict::Finishes => prop_assert!(turned_out.iter().all(|it| *it), "{:?}", found),
            Verdict::Blocked => prop_assert!(turned_out.iter().all(|it| !it), "{:?}", found),
            Verdict::NotKnown => prop_assert!(!found.not_known.is_empty(), "it says why"),
        }
    }

    #[test]
    fn each_step_of_an_order_finishes_after_those_before_it(cluster in cluster(false)) {
        let found = order(&cluster, &DRAINED);
        prop_assert_eq!(found.sequence.len() + found.stuck.len(), DRAINED.len());
        let mut now = cluster;
        for (node, step) in &found.sequence {
            prop_assert!(finishes(&now, &[*node]), "{:?}", found);
            for (pod, to) in &step.places {
                let (asks, from) = (now.pods[*pod].asks, now.pods[*pod].node);
                let add = |room: &mut Room, sign: i64| {
                    room.cpu_milli += sign * asks.cpu_milli;
                    room.memory_bytes += sign * asks.memory_bytes;
                    room.pods += sign * asks.pods;
                };
                add(&mut now.nodes[from].free, 1);
                add(&mut now.nodes[*to].free, -1);
                now.pods[*pod].node = *to;
            }
        }
        for (node, _) in &found.stuck {
            prop_assert!(!finishes(&now, &[*node]), "{:?}", found);
        }
    }
}
