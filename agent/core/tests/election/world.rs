//! The simulation: replicas, their clocks, the network to the API server, and the invariants that are checked after
//! every event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use jiff::Timestamp;
use nimbus_agent_core::election::{Answer, Election, Request, Step};

use crate::random::Random;
use crate::store::Store;

/// Microseconds of true time since the simulation began.
type At = u64;

const SECOND: At = 1_000_000;
/// The time of day when the simulation begins: 2026-01-01.
const EPOCH: i64 = 1_767_225_600;

/// What happened, so that a run without faults is noticed.
#[derive(Debug, Default)]
pub struct Summary {
    pub elections: u64,
    pub conflicts: u64,
    pub lost: u64,
    pub late_effects: u64,
    pub pauses: u64,
    pub restarts: u64,
    pub edits: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.elections += other.elections;
        self.conflicts += other.conflicts;
        self.lost += other.lost;
        self.late_effects += other.late_effects;
        self.pauses += other.pauses;
        self.restarts += other.restarts;
        self.edits += other.edits;
    }
}

struct Replica {
    name: &'static str,
    /// `None` while the process does not run.
    election: Option<Election>,
    duration: Duration,
    /// Local microseconds in a true second.
    rate: u64,
    /// The local monotonic clock when the simulation began.
    offset: u64,
    /// How far the time of day is off, in microseconds.
    skew: i64,
    /// The smallest step of the time of day, in microseconds.
    tick: i64,
    paused_until: At,
    cut_off_until: At,
    competing: bool,
    in_flight: Option<u64>,
    /// Wakes of an earlier process or wait do not count.
    wake: u64,
    led: Option<u64>,
}

impl Replica {
    fn monotonic(&self, at: At) -> Duration {
        Duration::from_micros(self.offset + at / SECOND * self.rate + at % SECOND * self.rate / SECOND)
    }

    fn wall(&self, at: At) -> Timestamp {
        let micros = EPOCH * 1_000_000 + i64::try_from(at).expect("a short simulation") + self.skew;
        Timestamp::from_microsecond(micros / self.tick * self.tick).expect("a time of day")
    }

    /// True microseconds that this clock takes for a local wait, at least one.
    fn true_wait(&self, local: Duration) -> At {
        u64::try_from(local.as_micros()).expect("a short wait") * SECOND / self.rate + 1
    }

    fn leads(&self, at: At) -> Option<u64> {
        self.election.as_ref().and_then(|election| election.leadership().term(self.monotonic(at)))
    }
}

enum Event {
    Wake { replica: usize, wake: u64 },
    Arrives { replica: usize, id: u64, request: Request },
    Answered { replica: usize, id: u64, answer: Answer },
    Fault,
}

struct Queued(At, u64, Event);

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct World {
    random: Random,
    store: Store,
    replicas: Vec<Replica>,
    queue: BinaryHeap<Reverse<Queued>>,
    queued: u64,
    requests: u64,
    now: At,
    /// Faults happen until then.
    calm_from: At,
    /// Somebody edits the Lease; no process restarts or gives it back then, as a term may be forgotten with both.
    hands: bool,
    /// The longest duration of a lease.
    longest: At,
    highest_led: u64,
    summary: Summary,
}

/// Runs one seed; panics where something does not hold.
pub fn run(seed: u64) -> Summary {
    let mut world = World::new(seed);
    world.play();
    world.summary.conflicts = world.store.conflicts;
    world.summary
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let hands = random.chance(40);
        // With longer leases the minute, from which terms begin, moves on between two terms.
        let common = if hands { random.between(120, 180) } else { random.between(5, 20) };
        let count = random.between(2, 3);
        let mut replicas = Vec::new();
        for name in ["a", "b", "c"].into_iter().take(usize::try_from(count).expect("two or three")) {
            let seconds = if hands { common } else { random.between(common, common * 2) };
            // Without edits the Lease keeps the term, and times of day may be hours apart.
            let skew = if hands { 30 } else { 10_000 };
            let skew = i64::try_from(random.between(0, 2 * skew)).expect("small")
                - i64::try_from(skew).expect("small");
            replicas.push(Replica {
                name,
                election: None,
                duration: Duration::from_secs(seconds),
                rate: random.between(950_000, 1_050_000),
                offset: random.between(0, 1_000 * SECOND),
                skew: skew * 1_000_000,
                tick: if random.chance(20) { 1_000_000 } else { 1 },
                paused_until: 0,
                cut_off_until: 0,
                competing: true,
                in_flight: None,
                wake: 0,
                led: None,
            });
        }
        let longest = replicas.iter().map(|replica| replica.duration.as_secs()).max().expect("some") * SECOND;
        let store = Store::new(seed.is_multiple_of(50));
        Self {
            random,
            store,
            replicas,
            queue: BinaryHeap::new(),
            queued: 0,
            requests: 0,
            now: 0,
            calm_from: longest * 8,
            hands,
            longest,
            highest_led: 0,
            summary: Summary::default(),
        }
    }

    fn play(&mut self) {
        for replica in 0..self.replicas.len() {
            self.start(replica);
        }
        self.later(self.longest / 4, Event::Fault);
        self.until(self.calm_from);
        self.calm();
        // Late effects of requests from before may still come, then a lease may have to run out.
        let bound = self.now + self.longest + self.longest * 5 / 2;
        self.until(bound);
        let leads = |replica: &Replica| replica.leads(self.now).is_some();
        let leaders = self.replicas.iter().filter(|replica| leads(replica)).count();
        assert_eq!(leaders, 1, "leaders in the end");
    }

    fn until(&mut self, end: At) {
        while let Some(Reverse(Queued(at, ..))) = self.queue.peek()
            && *at <= end
        {
            let Some(Reverse(Queued(at, _, event))) = self.queue.pop() else { return };
            self.now = at;
            self.happens(event);
            self.check();
        }
        self.now = end;
        self.check();
    }

    fn later(&mut self, wait: At, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse(Queued(self.now + wait, self.queued, event)));
    }

    fn start(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        replica.election = Some(Election::new(replica.name.to_owned(), replica.duration));
        (replica.in_flight, replica.led, replica.competing) = (None, None, true);
        self.wake(number, 0);
    }

    fn wake(&mut self, number: usize, wait: At) {
        self.replicas[number].wake += 1;
        let wake = self.replicas[number].wake;
        self.later(wait, Event::Wake { replica: number, wake });
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Wake { replica, wake } => {
                let paused = self.replicas[replica].paused_until;
                if paused > self.now {
                    self.later(paused - self.now, Event::Wake { replica, wake });
                } else if wake == self.replicas[replica].wake {
                    self.step(replica);
                }
            }
            Event::Arrives { replica, id, request } => self.arrives(replica, id, request),
            Event::Answered { replica, id, answer } => {
                let paused = self.replicas[replica].paused_until;
                if paused > self.now {
                    self.later(paused - self.now, Event::Answered { replica, id, answer });
                } else if self.replicas[replica].in_flight == Some(id) {
                    self.answered(replica, answer);
                }
            }
            Event::Fault => self.fault(),
        }
    }

    /// What the daemon's loop does: one request at a time, given up after the election's patience.
    fn step(&mut self, number: usize) {
        if self.replicas[number].in_flight.is_some() {
            return self.answered(number, Answer::Failed("no answer in time".to_owned()));
        }
        let at = self.now;
        let replica = &mut self.replicas[number];
        let (now, wall) = (replica.monotonic(at), replica.wall(at));
        let Some(election) = &mut replica.election else { return };
        match election.poll(now, wall) {
            Step::Rest => {}
            Step::WaitUntil(until) => {
                let wait = until.saturating_sub(now);
                let wait = replica.true_wait(wait);
                self.wake(number, wait);
            }
            Step::Send(request) => {
                let patience = election.patience();
                let patience = replica.true_wait(patience);
                self.requests += 1;
                replica.in_flight = Some(self.requests);
                self.wake(number, patience);
                self.send(number, self.requests, &request);
            }
        }
    }

    fn answered(&mut self, number: usize, answer: Answer) {
        let at = self.now;
        let replica = &mut self.replicas[number];
        let (now, wall) = (replica.monotonic(at), replica.wall(at));
        replica.in_flight = None;
        let Some(election) = &mut replica.election else { return };
        election.answer(answer, now, wall);
        self.wake(number, 0);
    }

    /// A way through the network: mostly quick, sometimes longer than anybody waits; `None`: lost.
    fn way(&mut self) -> Option<At> {
        let calm = self.now >= self.calm_from;
        match self.random.between(1, 100) {
            _ if calm => Some(self.random.between(1_000, 20_000)),
            1..=6 => None,
            7..=12 => Some(self.random.between(0, self.longest)),
            _ => Some(self.random.between(1_000, 200_000)),
        }
    }

    fn send(&mut self, replica: usize, id: u64, request: &Request) {
        let copies = if self.now < self.calm_from && self.random.chance(5) { 2 } else { 1 };
        for _ in 0..copies {
            match self.way() {
                Some(way) => self.later(way, Event::Arrives { replica, id, request: request.clone() }),
                None => self.summary.lost += 1,
            }
        }
    }

    fn arrives(&mut self, replica: usize, id: u64, request: Request) {
        if self.replicas[replica].cut_off_until > self.now {
            self.summary.lost += 1;
            return;
        }
        let answer = self.store.serve(request);
        if self.replicas[replica].in_flight != Some(id) && matches!(answer, Answer::Lease(_)) {
            self.summary.late_effects += 1;
        }
        match self.way() {
            Some(way) => self.later(way, Event::Answered { replica, id, answer }),
            None => self.summary.lost += 1,
        }
    }

    fn fault(&mut self) {
        if self.now >= self.calm_from {
            return;
        }
        let number = self.random.below(self.replicas.len());
        let long = self.random.between(0, self.longest * 3 / 2);
        match self.random.between(1, 10) {
            1..=3 => {
                self.summary.pauses += 1;
                self.replicas[number].paused_until = self.now + long;
            }
            4..=5 => self.replicas[number].cut_off_until = self.now + long,
            6..=10 if self.hands => {
                self.summary.edits += 1;
                let most = self.longest / SECOND * 3 / 2;
                self.store.edit(&mut self.random, most);
            }
            6..=7 => {
                self.summary.restarts += 1;
                self.start(number);
            }
            8 => {
                self.replicas[number].election = None;
                self.replicas[number].led = None;
            }
            _ => {
                let competing = !self.replicas[number].competing;
                self.compete(number, competing);
            }
        }
        let wait = self.random.between(self.longest / 8, self.longest * 3 / 2);
        self.later(wait, Event::Fault);
    }

    fn compete(&mut self, number: usize, competing: bool) {
        let replica = &mut self.replicas[number];
        replica.competing = competing;
        if let Some(election) = &mut replica.election {
            election.compete(competing);
            replica.in_flight = None;
            self.wake(number, 0);
        }
    }

    /// No more faults: everybody runs, reaches the API server and competes.
    fn calm(&mut self) {
        for number in 0..self.replicas.len() {
            self.replicas[number].paused_until = 0;
            self.replicas[number].cut_off_until = 0;
            if self.replicas[number].election.is_none() {
                self.start(number);
            } else if !self.replicas[number].competing {
                self.compete(number, true);
            }
        }
    }

    fn check(&mut self) {
        let now = self.now;
        let leading: Vec<_> = self.replicas.iter().filter_map(|r| Some((r.name, r.leads(now)?))).collect();
        assert!(leading.len() < 2, "two replicas lead at {now}: {leading:?}");
        for replica in &mut self.replicas {
            let Some(term) = replica.leads(now) else { continue };
            if replica.led != Some(term) {
                assert!(
                    term > self.highest_led || self.store.term_edited,
                    "{} leads under {term} after {}",
                    replica.name,
                    self.highest_led
                );
                self.summary.elections += 1;
                self.highest_led = term;
                replica.led = Some(term);
            }
        }
    }
}
