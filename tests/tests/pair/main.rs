//! An agent's session and the gateway's, in memory, on a virtual clock: frames are late, reordered between the two streams
//! and doubled, connections break in the middle, links are slow or silent for a while, and either side restarts.
//!
//! Both machines are the real ones (`nimbus_agent_core::session`, `nimbus_control_core::gateway`). The link, the store and
//! the spool are models: they stand for QUIC's ordered streams, for the log's mark with its commit times, and for a durable
//! queue. Whatever happens, every observation that is acknowledged is stored, each once and in order, every report of a
//! job is stored once, and when the trouble is over the session comes back and nothing is left to send.
//!
//! A seed that fails is printed. Add it to `seeds.txt`, which is tried first.
#![allow(clippy::expect_used, clippy::panic, reason = "a test: what cannot be is said by failing")]

mod agent;
mod link;
mod plane;
mod random;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agent::Agent;
use link::Link;
use plane::Plane;
use random::Random;

/// Seeds of the ordinary run, beside those of the file.
const SEEDS: u64 = 10_000;
/// For so long things go wrong …
const TROUBLE: Duration = Duration::from_mins(3);
/// … and for so long afterwards nothing does: longer than every wait of either side together.
const CALM: Duration = Duration::from_mins(12);
/// Between two looks.
const STEP: Duration = Duration::from_millis(250);

/// What one history came to.
#[derive(Debug, Default)]
struct Summary {
    stored: u64,
    connections: u64,
    reports: u64,
}

/// One history from one seed.
fn run(seed: u64) -> Summary {
    let mut random = Random::new(seed);
    let (mut agent, mut plane) = (Agent::new(), Plane::new());
    let mut link = Link::new(&mut random);
    let mut now = Duration::ZERO;
    while now < TROUBLE + CALM {
        let trouble = now < TROUBLE;
        if trouble {
            agent.observe(random.below(4));
            if random.one_in(40) {
                plane.order_job(&mut random);
            }
            if random.one_in(60) {
                agent.finish_jobs();
            }
            if random.one_in(400) {
                agent.restart(now);
                link.cut(&mut random, now);
            }
            if random.one_in(400) {
                plane.restart();
                link.cut(&mut random, now);
            }
            if random.one_in(200) {
                link.cut(&mut random, now);
            }
            if random.one_in(300) {
                link.silence(&mut random, now);
            }
        } else {
            agent.finish_jobs();
            link.heal();
            // A settled history is stepped through in larger steps.
            if agent.is_done() && plane.is_idle() && agent.is_live() {
                break;
            }
        }
        for frame in link.due_at_plane(now) {
            plane.receive(frame, now);
        }
        for news in link.due_at_agent(now) {
            agent.receive(news, now, &mut random);
        }
        agent.step(now, &mut link, &mut random);
        plane.step(now, &mut link, &mut random);
        agent.holds_against(&plane);
        now += STEP;
    }
    assert!(agent.is_live(), "the session did not come back: {:?}", agent.problem());
    assert!(agent.is_done(), "something is left to send: {agent:?}");
    plane.holds_everything(&agent);
    Summary { stored: plane.stored(), connections: agent.connections(), reports: plane.reports() }
}

fn try_seed(seed: u64) -> Summary {
    catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|_| {
        panic!("seed {seed} failed; add it to tests/tests/pair/seeds.txt and mend what it shows")
    })
}

#[test]
fn seeds_that_failed_once() {
    for seed in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        try_seed(seed.trim().parse().expect("one seed a line"));
    }
}

#[test]
fn whatever_happens_to_the_link_nothing_acknowledged_is_lost_and_nothing_is_stored_twice() {
    let next = AtomicU64::new(0);
    let (stored, connections, reports) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= SEEDS {
            return;
        }
        let summary = try_seed(seed);
        stored.fetch_add(summary.stored, Ordering::Relaxed);
        connections.fetch_add(summary.connections, Ordering::Relaxed);
        reports.fetch_add(summary.reports, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a seed failed: it is printed above"));
    });
    // Histories in which nothing happened would show nothing.
    let [stored, connections, reports] =
        [stored, connections, reports].map(|n| n.load(Ordering::Relaxed) / SEEDS);
    assert!(stored > 300 && connections > 2 && reports > 10, "{stored} {connections} {reports}");
}
