//! The journal over restarts, cuts and clocks that go wrong.

use proptest::prelude::*;

use super::*;
use crate::admit::tests::{admitted, order_number};
use crate::refusal::Code;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// The file as the daemon keeps it.
#[derive(Default, Clone)]
struct File(Vec<u8>);

impl File {
    fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Append(bytes) => self.0.extend(bytes),
                Effect::Replace(bytes) => self.0 = bytes,
            }
        }
    }

    fn start(&mut self, now: Timestamp) -> Journal {
        let (journal, effects) = Journal::recover(&self.0, now);
        self.run(effects);
        journal
    }
}

fn report(number: u128) -> v1::JobReport {
    let phase = v1::job_report::Phase::Succeeded;
    v1::JobReport { job_id: order_number(number), phase: phase.into(), ..Default::default() }
}

#[test]
fn what_was_begun_is_owed_until_it_is_done_over_restarts() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    let job = admitted(1, at(0));
    let id = order_number(1);
    file.run(journal.begin(&job, at(1)));
    assert_eq!(journal.owed()[0].phase, Phase::Received);
    for (phase, memo) in [(Phase::Intent, "cordoned"), (Phase::Applied, ""), (Phase::Verifying, "")] {
        file.run(journal.advance(&id, phase, memo.as_bytes(), at(2)).unwrap());
        journal = file.start(at(2));
        let owed = &journal.owed()[0];
        assert_eq!((owed.phase, owed.memo.as_slice()), (phase, b"cordoned".as_slice()));
        assert_eq!(&owed.envelope, job.envelope());
    }
    file.run(journal.finish(&report(1), at(3)).unwrap());
    journal = file.start(at(3));
    assert_eq!(journal.owed(), []);
    assert_eq!(journal.unreported(), [report(1)]);
    file.run(journal.reported(&id));
    journal = file.start(at(4));
    assert_eq!(journal.unreported(), []);
    assert_eq!(journal.phase(&id), Some(Phase::Done));
}

#[test]
fn phases_only_go_forward() {
    let mut journal = File::default().start(at(0));
    let id = order_number(1);
    assert!(matches!(journal.advance(&id, Phase::Intent, b"", at(0)), Err(JournalError::Unknown(_))));
    journal.begin(&admitted(1, at(0)), at(0));
    journal.advance(&id, Phase::Applied, b"", at(0)).unwrap();
    assert!(journal.advance(&id, Phase::Applied, b"again", at(0)).is_ok());
    for to in [Phase::Received, Phase::Intent, Phase::Done] {
        assert!(matches!(journal.advance(&id, to, b"", at(0)), Err(JournalError::Backwards { .. })));
    }
    let memo = vec![0; MAX_MEMO + 1];
    assert!(matches!(
        journal.advance(&id, Phase::Verifying, &memo, at(0)),
        Err(JournalError::MemoTooLong { .. })
    ));
    journal.finish(&report(1), at(0)).unwrap();
    assert!(journal.finish(&report(1), at(0)).is_err());
    assert!(journal.advance(&id, Phase::Verifying, b"", at(0)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_or_a_damaged_byte_forgets_only_what_it_hit(
        jobs in 1u128..8, at_byte in any::<usize>(), cut in any::<bool>(),
    ) {
        let mut file = File::default();
        let mut journal = file.start(at(0));
        let mut ends = Vec::new();
        for number in 0..jobs {
            file.run(journal.begin(&admitted(number, at(0)), at(0)));
            ends.push(file.0.len());
        }
        let hit = at_byte % file.0.len();
        let lost = ends.iter().position(|end| hit < *end).unwrap() as u128;
        if cut { file.0.truncate(hit) } else { file.0[hit] ^= 0x40 }
        let journal = file.start(at(0));
        for number in 0..jobs {
            let expected = if cut { number < lost } else { number != lost };
            prop_assert_eq!(journal.phase(&order_number(number)).is_some(), expected, "job {}", number);
        }
        // What was recovered is whole on disk again.
        let again = file.start(at(0));
        prop_assert_eq!(again.damaged(), 0);
        prop_assert_eq!(again.owed().len(), journal.owed().len());
    }
}

#[test]
fn jobs_are_kept_seven_days_beyond_their_expiry_and_the_file_stays_small() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    for number in 0..3_000 {
        file.run(journal.begin(&admitted(number, at(0)), at(0)));
        file.run(journal.finish(&report(number), at(0)).unwrap());
        if number != 7 {
            file.run(journal.reported(&order_number(number)));
        }
    }
    assert!(file.0.len() < 3 << 20, "{} bytes", file.0.len());
    let week = 7 * 24 * 3_600;
    file.run(journal.tick(at(week)));
    assert_eq!(journal.phase(&order_number(1)), Some(Phase::Done));
    file.run(journal.tick(at(week + 3_601)));
    assert_eq!(journal.phase(&order_number(1)), None);
    assert_eq!(journal.phase(&order_number(7)), Some(Phase::Done), "its report is still owed");
    assert_eq!(file.start(at(0)).floor(at(0)), at(week + 3_601), "the time floor outlives the jobs");
}

#[test]
fn at_the_bound_only_finished_and_expired_jobs_are_forgotten() {
    let mut journal = File::default().start(at(0));
    for number in 0..MAX_JOBS as u128 {
        journal.begin(&admitted(number, at(0)), at(0));
    }
    assert!(!journal.has_room(at(10)), "nothing is finished");
    journal.finish(&report(5), at(10)).unwrap();
    journal.reported(&order_number(5));
    assert!(!journal.has_room(at(10)), "finished, but not expired");
    assert!(journal.has_room(at(7_200)));
    journal.begin(&admitted(1_000_000, at(7_200)), at(7_200));
    assert_eq!(journal.phase(&order_number(5)), None);
    assert_eq!(journal.phase(&order_number(6)), Some(Phase::Received));
}

#[test]
fn a_refused_job_stays_refused_and_an_unbelieved_one_leaves_no_trace() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    let unbelieved = Refusal::new(Code::BadSignature, "no");
    assert_eq!(journal.refuse(&unbelieved, at(0)), []);
    let mut refusal = Refusal::new(Code::PolicyForbids, "no").of(&order_number(1), [1; 32]);
    refusal.expires_at = Some(at(60));
    file.run(journal.refuse(&refusal, at(0)));
    assert_eq!(journal.refuse(&refusal, at(0)), [], "once");
    let journal = file.start(at(1));
    assert_eq!(journal.phase(&order_number(1)), Some(Phase::Done));
    assert_eq!(journal.unreported()[0].code, "policy_forbids");
    assert_eq!(journal.jobs_in_last_hour(at(1)), 0, "it did nothing");
}

#[test]
fn refusals_with_a_far_expiry_do_not_fill_the_journal_for_ever() {
    let mut journal = File::default().start(at(0));
    for number in 0..MAX_JOBS as u128 {
        let mut refusal = Refusal::new(Code::Malformed, "no").of(&order_number(number), [1; 32]);
        refusal.expires_at = Some(at(1_000_000_000));
        journal.refuse(&refusal, at(0));
        journal.reported(&order_number(number));
    }
    assert!(
        !journal.has_room(at(3_600)),
        "an order that is valid for the longest time is remembered throughout"
    );
    assert!(journal.has_room(at(3_606)));
    journal.begin(&admitted(1_000_000, at(3_606)), at(3_606));
    assert_eq!(journal.phase(&order_number(1_000_000)), Some(Phase::Received));
}

#[test]
fn the_floor_and_the_epoch_never_go_back() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    file.run(journal.tick(at(100)));
    file.run(journal.note_epoch(4));
    assert_eq!(journal.note_epoch(3), []);
    assert_eq!(journal.floor(at(50)), at(100));
    let journal = file.start(at(10));
    assert_eq!((journal.floor(at(10)), journal.epoch()), (at(100), 4));
}

#[test]
fn after_a_failed_write_the_next_one_carries_everything() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    journal.begin(&admitted(1, at(0)), at(0));
    journal.write_failed();
    file.run(journal.begin(&admitted(2, at(0)), at(0)));
    let journal = file.start(at(0));
    assert_eq!(journal.owed().len(), 2);
}

#[test]
fn only_the_last_hour_counts_for_the_rate() {
    let mut journal = File::default().start(at(0));
    for (number, second) in [(1, 0), (2, 1_000), (3, 3_000)] {
        journal.begin(&admitted(number, at(second)), at(second));
    }
    assert_eq!(journal.jobs_in_last_hour(at(3_000)), 3);
    assert_eq!(journal.jobs_in_last_hour(at(3_700)), 2);
    assert_eq!(journal.jobs_in_last_hour(at(10_000)), 0);
}

#[test]
fn a_remembered_job_is_small() {
    // With the two texts and the hash behind it, and its place in the map: about 300 bytes.
    assert!(size_of::<super::store::JobLine>() <= 144, "{}", size_of::<super::store::JobLine>());
}
