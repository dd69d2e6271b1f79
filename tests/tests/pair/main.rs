//! Runs an agent's session and the control plane's against each other in memory, over a simulated link and on a virtual
//! clock.
//!
//! The link loses connections, stalls, is slow, and orders nothing across its two streams; the control plane crashes with
//! whatever it has not committed. Whatever happens: nothing is acknowledged that is not stored, every observation is
//! stored once and in order, every job is delivered or expires, every report is taken, and in the end the session is live
//! again.
//!
//! A seed that fails is printed. Add it to `seeds.txt`, which is tried first.
#![allow(clippy::panic, reason = "a test: what cannot be is said by failing")]

mod agent;
mod control_plane;
mod link;
mod random;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use link::{Event, Link};
use random::Random;

/// Seeds of the ordinary run, beside those of the file.
const SEEDS: u64 = 10_000;
/// Faults happen in this time, and everything is observed and ordered in it.
const TROUBLE: Duration = Duration::from_secs(40);
/// By then everything has to be well again: an agent waits up to five minutes after a refusal.
const END: Duration = Duration::from_mins(15);
/// More events than any run has that settles.
const MOST_EVENTS: u32 = 50_000;

/// How often the faults happened, so that a simulation without faults shows.
#[derive(Debug, Default, Clone, Copy)]
struct Summary {
    connections: u64,
    broken: u64,
    crashes: u64,
    sent_again: u64,
    reports: u64,
}

/// Runs one seed; what is wrong with it, if anything.
fn run(seed: u64) -> Result<Summary, String> {
    let mut random = Random::new(seed);
    let mut link = Link::new(&mut random, TROUBLE);
    let mut agent = agent::Agent::new();
    let mut plane = control_plane::ControlPlane::new();
    agent.act(&mut link, &mut random)?;
    for _ in 0..MOST_EVENTS {
        let Some(event) = link.next().filter(|_| link.now() < END) else { break };
        match event {
            Event::Agent(event) => agent.handle(event, &mut link, &mut random)?,
            Event::Plane(event) => plane.handle(event, &mut link, &mut random)?,
            Event::Break => link.break_connection(&mut random),
            Event::Crash => {
                plane.crash();
                link.break_connection(&mut random);
            }
        }
        agent.check(&plane)?;
        if link.now() > TROUBLE && agent.is_settled() && plane.is_settled(link.now()) {
            break;
        }
    }
    if !agent.is_settled() || !plane.is_settled(link.now()) {
        return Err(format!("not settled at {:?}: {agent:?}, {plane:?}", link.now()));
    }
    plane.compare(&agent)?;
    Ok(Summary {
        connections: link.connections.into(),
        broken: link.broken.into(),
        crashes: plane.crashes.into(),
        sent_again: plane.sent_again,
        reports: plane.reports_again,
    })
}

fn try_seed(seed: u64) -> Summary {
    run(seed).unwrap_or_else(|wrong| {
        panic!("seed {seed}: {wrong}; add it to tests/tests/pair/seeds.txt and mend what it shows")
    })
}

#[test]
fn seeds_that_failed_once() {
    let kept = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    for seed in kept {
        try_seed(seed.trim().parse().unwrap_or_else(|_| panic!("expected one seed a line, found {seed:?}")));
    }
}

#[test]
fn nothing_is_lost_or_taken_twice_between_an_agent_and_its_control_plane() {
    let next = AtomicU64::new(0);
    let work = || {
        let mut all = Summary::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS {
                return all;
            }
            let one = try_seed(seed);
            all.connections += one.connections;
            all.broken += one.broken;
            all.crashes += one.crashes;
            all.sent_again += one.sent_again;
            all.reports += one.reports;
        }
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let parts =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panic!("a seed failed")));
        parts.fold(Summary::default(), |all, one| Summary {
            connections: all.connections + one.connections,
            broken: all.broken + one.broken,
            crashes: all.crashes + one.crashes,
            sent_again: all.sent_again + one.sent_again,
            reports: all.reports + one.reports,
        })
    });
    eprintln!("{all:?}");
    // The simulation is worth nothing where its faults do not happen.
    assert!(all.connections > 2 * SEEDS && all.broken > SEEDS && all.crashes > SEEDS / 4, "{all:?}");
    assert!(all.sent_again > SEEDS / 10 && all.reports > SEEDS / 10, "{all:?}");
}
