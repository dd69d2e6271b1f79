//! Several control planes and a database on a virtual clock: answers come late or never, effects come after whoever asked
//! gave up, processes freeze and wake, and no two clocks agree.

use proptest::prelude::*;

use super::*;

/// A generator of numbers without a pattern (SplitMix64): the same seed gives the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What the database keeps.
#[derive(Default)]
struct Database {
    newest: u64,
    until: Option<i64>,
}

impl Database {
    /// As the store does it: one transaction for each.
    fn execute(&mut self, request: Request, epoch: u64, now: i64) -> Answer {
        match request {
            Request::Take if is_over(self.until, now) => {
                self.newest += 1;
                self.until = Some(until(now));
                Answer::Taken(self.newest)
            }
            Request::Take => Answer::Held,
            Request::Renew if epoch == self.newest => {
                self.until = Some(until(now));
                Answer::Renewed
            }
            Request::Renew => Answer::Superseded,
        }
    }
}

/// A request under way: when the database runs it, and when its answer arrives (never: lost).
struct Call {
    request: Request,
    epoch: u64,
    runs: u64,
    arrives: Option<u64>,
    gives_up: Duration,
    answer: Option<Answer>,
}

struct Replica {
    leadership: Leadership,
    offset: Duration,
    /// Percent of the true rate.
    rate: u32,
    frozen_until: u64,
    call: Option<Call>,
    /// Calls that were given up and may still have an effect.
    stray: Vec<(u64, Request, u64)>,
}

impl Replica {
    fn new(random: &mut Random, ms: u64) -> Self {
        let offset = Duration::from_secs(random.below(1_000_000));
        let rate = u32::try_from(90 + random.below(21)).unwrap_or(100);
        let mut new = Self {
            leadership: Leadership::new(Duration::ZERO),
            offset,
            rate,
            frozen_until: 0,
            call: None,
            stray: Vec::new(),
        };
        new.leadership = Leadership::new(new.clock(ms));
        new
    }

    fn clock(&self, ms: u64) -> Duration {
        self.offset + Duration::from_millis(ms) * self.rate / 100
    }
}

struct World {
    random: Random,
    database: Database,
    replicas: Vec<Replica>,
    takeovers: u64,
}

impl World {
    fn new(seed: u64, replicas: usize) -> Self {
        let mut random = Random(seed);
        let replicas = (0..replicas).map(|_| Replica::new(&mut random, 0)).collect();
        Self { random, database: Database::default(), replicas, takeovers: 0 }
    }

    /// One millisecond of one replica. `trouble` in a thousand calls are slow or lost.
    fn advance(&mut self, at: usize, ms: u64, trouble: u64) {
        // The database's clock has its own zero.
        let database_now = i64::try_from(ms * 1000).unwrap_or(i64::MAX) + 1_700_000_000_000_000;
        let replica = &mut self.replicas[at];
        let due: Vec<_> = replica.stray.extract_if(.., |(runs, ..)| *runs <= ms).collect();
        for (_, request, epoch) in due {
            self.database.execute(request, epoch, database_now);
        }
        // The database runs what was sent, whether or not its sender is awake.
        if let Some(call) = &mut replica.call
            && call.answer.is_none()
            && call.runs <= ms
        {
            call.answer = Some(self.database.execute(call.request, call.epoch, database_now));
        }
        if ms < replica.frozen_until {
            return;
        }
        let now = replica.clock(ms);
        if let Some(call) = replica.call.take() {
            let arrived = call.arrives.is_some_and(|at| at <= ms);
            if let Some(answer) = call.answer.filter(|_| arrived) {
                replica.leadership.answer(answer, now);
                self.takeovers += u64::from(matches!(answer, Answer::Taken(_)));
            } else if now >= call.gives_up {
                replica.leadership.answer(Answer::Failed, now);
                if call.answer.is_none() {
                    replica.stray.push((call.runs, call.request, call.epoch));
                }
            } else {
                replica.call = Some(call);
            }
        }
        match replica.leadership.step(now) {
            Step::Send(request) => {
                let slow = self.random.below(1000) < trouble;
                let runs = ms + 1 + self.random.below(if slow { 6000 } else { 30 });
                let lost = slow && self.random.below(3) == 0;
                let arrives = (!lost).then(|| runs + 1 + self.random.below(if slow { 3000 } else { 30 }));
                let epoch = replica.leadership.epoch(now).unwrap_or(0);
                let gives_up = now + PATIENCE;
                replica.call = Some(Call { request, epoch, runs, arrives, gives_up, answer: None });
            }
            Step::WaitUntil(_) => {}
            // The process ends and comes back.
            Step::End(_) => {
                let stray = std::mem::take(&mut replica.stray);
                *replica = Replica::new(&mut self.random, ms);
                replica.stray = stray;
            }
        }
        if self.random.below(20_000) < trouble {
            self.replicas[at].frozen_until = ms + self.random.below(12_000);
        }
    }

    /// The epochs of all who would act at `ms`, awake or about to wake.
    fn believers(&self, ms: u64) -> Vec<u64> {
        self.replicas.iter().filter_map(|replica| replica.leadership.epoch(replica.clock(ms))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn two_never_believe_at_once_that_they_lead(seed: u64, replicas in 2_usize..5, trouble in 0_u64..400) {
        let mut world = World::new(seed, replicas);
        for ms in 0..60_000 {
            for at in 0..replicas {
                world.advance(at, ms, trouble);
            }
            let believers = world.believers(ms);
            prop_assert!(believers.len() <= 1, "{believers:?} at {ms} ms");
            prop_assert!(believers.iter().all(|epoch| *epoch == world.database.newest), "{believers:?} at {ms} ms");
        }
        prop_assert!(world.takeovers >= 1, "somebody leads at some time");
    }

    #[test]
    fn after_the_leader_is_gone_another_one_leads_in_time(seed: u64, dies in 500_u64..20_000) {
        let mut world = World::new(seed, 3);
        for ms in 0..dies {
            (0..3).for_each(|at| world.advance(at, ms, 0));
        }
        let leads = |replica: &Replica| replica.leadership.epoch(replica.clock(dies)).is_some();
        let dead = world.replicas.iter().position(leads);
        prop_assert!(dead.is_some(), "one leads after half a second");
        world.replicas.remove(dead.unwrap());
        let before = world.takeovers;
        for ms in dies..dies + 6_000 {
            (0..2).for_each(|at| world.advance(at, ms, 0));
        }
        prop_assert_eq!(world.takeovers, before + 1, "within six seconds, and once");
    }
}

#[test]
fn who_could_not_renew_in_time_ends_and_a_late_answer_does_not_bring_it_back() {
    let second = Duration::from_secs;
    let mut one = Leadership::new(second(0));
    assert_eq!(one.step(second(0)), Step::Send(Request::Take));
    one.answer(Answer::Taken(7), second(0));
    assert_eq!((one.epoch(second(1)), one.believes_until()), (Some(7), Some(BELIEF)));
    assert_eq!(one.step(second(0)), Step::WaitUntil(RENEW));
    assert_eq!(one.step(second(1)), Step::Send(Request::Renew));
    one.answer(Answer::Renewed, second(5));
    assert_eq!((one.epoch(second(5)), one.step(second(5))), (None, Step::End(Lost::Lapsed)));
}

#[test]
fn a_standby_looks_again_whatever_it_was_answered() {
    for answer in [Answer::Held, Answer::Failed, Answer::Renewed, Answer::Superseded] {
        let mut one = Leadership::new(Duration::ZERO);
        assert_eq!(one.step(Duration::ZERO), Step::Send(Request::Take));
        one.answer(answer, Duration::ZERO);
        assert_eq!(one.step(Duration::ZERO), Step::WaitUntil(LOOK));
        assert_eq!(one.step(LOOK), Step::Send(Request::Take));
    }
}
