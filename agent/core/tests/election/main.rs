//! Two or three replicas elect a leader by a Lease in a simulated API server, on a virtual clock: requests and answers
//! are lost, late or doubled, replicas pause, restart, are cut off and told not to compete, clocks differ in rate and in
//! time of day, and somebody deletes and edits the Lease.
//!
//! A seed that fails is printed. Add it to `seeds.txt`, which is tried first.
#![allow(clippy::expect_used, clippy::panic, reason = "a test: what cannot be is said by failing")]

mod random;
mod store;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of the ordinary run, beside those of the file.
const SEEDS: u64 = 10_000;

fn try_seed(seed: u64) -> world::Summary {
    let run = catch_unwind(AssertUnwindSafe(|| world::run(seed)));
    run.unwrap_or_else(|_| {
        panic!("seed {seed} failed; add it to agent/core/tests/election/seeds.txt and mend what it shows")
    })
}

#[test]
fn seeds_that_failed_once() {
    let kept = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    for seed in kept {
        try_seed(seed.trim().parse().expect("one seed a line"));
    }
}

#[test]
fn never_two_lead_at_once_terms_grow_and_somebody_leads_in_the_end() {
    let next = AtomicU64::new(0);
    let work = || {
        let mut all = world::Summary::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS {
                return all;
            }
            all.add(&try_seed(seed));
        }
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let mut all = world::Summary::default();
        for thread in threads {
            all.add(&thread.join().expect("a seed failed"));
        }
        all
    });
    eprintln!("{all:?}");
    // The simulation is worth nothing where its faults do not happen.
    assert!(all.elections > 2 * SEEDS && all.conflicts > SEEDS && all.lost > SEEDS && all.edits > SEEDS / 2);
    assert!(all.late_effects > SEEDS / 10 && all.pauses > SEEDS / 2 && all.restarts > SEEDS / 4);
}
