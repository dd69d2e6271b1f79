//! Tests of the journal across restarts, torn writes and clocks that jump.

use proptest::prelude::*;

use super::*;
use crate::admit::tests::{admitted, job_number};
use crate::refusal::Code;
use nimbus_protocol::v1::job_report::Phase as ReportPhase;

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
    let phase = ReportPhase::Succeeded;
    v1::JobReport { job_id: job_number(number).to_string(), phase: phase.into(), ..Default::default() }
}

/// Every report that is not acknowledged.
fn waiting(journal: &Journal) -> Vec<v1::JobReport> {
    journal.unacknowledged(usize::MAX, |_| false)
}

#[test]
fn what_was_begun_is_interrupted_until_it_is_done_over_restarts() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    let job = admitted(1, at(0));
    let id = job_number(1);
    file.run(journal.begin(&job, at(1)));
    assert_eq!(journal.interrupted()[0].phase, Phase::Received);
    for (phase, checkpoint) in [(Phase::Intent, "cordoned"), (Phase::Applied, ""), (Phase::Compensating, "")]
    {
        file.run(journal.advance(id, Step::to(phase, checkpoint.into()), at(2)).unwrap());
        journal = file.start(at(2));
        let interrupted = &journal.interrupted()[0];
        assert_eq!((interrupted.phase, interrupted.checkpoint.as_slice()), (phase, b"cordoned".as_slice()));
        assert_eq!(&interrupted.envelope, job.envelope());
    }
    file.run(journal.finish(report(1), at(3)).unwrap());
    journal = file.start(at(3));
    assert_eq!(journal.interrupted(), []);
    assert_eq!(waiting(&journal), [report(1)]);
    file.run(journal.acknowledge(id, ReportPhase::Succeeded));
    journal = file.start(at(4));
    assert_eq!(waiting(&journal), []);
    assert_eq!(journal.phase(id), Some(Phase::Done));
}

#[test]
fn phases_only_go_forward() {
    let mut journal = File::default().start(at(0));
    let id = job_number(1);
    assert!(matches!(
        journal.advance(id, Step::to(Phase::Intent, b"".to_vec()), at(0)),
        Err(JournalError::Unknown(_))
    ));
    journal.begin(&admitted(1, at(0)), at(0));
    journal.advance(id, Step::to(Phase::Applied, b"".to_vec()), at(0)).unwrap();
    assert!(journal.advance(id, Step::to(Phase::Applied, b"again".to_vec()), at(0)).is_ok());
    for to in [Phase::Received, Phase::Intent, Phase::Done] {
        assert!(matches!(
            journal.advance(id, Step::to(to, b"".to_vec()), at(0)),
            Err(JournalError::Backwards { .. })
        ));
    }
    let long = Step::to(Phase::Compensating, vec![0; MAX_CHECKPOINT + 1]);
    assert!(matches!(journal.advance(id, long, at(0)), Err(JournalError::CheckpointTooLong { .. })));
    journal.finish(report(1), at(0)).unwrap();
    assert!(journal.finish(report(1), at(0)).is_err());
    assert!(journal.advance(id, Step::to(Phase::Compensating, b"".to_vec()), at(0)).is_err());
}

proptest! {
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
            prop_assert_eq!(journal.phase(job_number(number)).is_some(), expected, "job {}", number);
        }
        // What was recovered is whole on disk again.
        let again = file.start(at(0));
        prop_assert_eq!(again.damaged(), 0);
        prop_assert_eq!(again.interrupted().len(), journal.interrupted().len());
    }
}

#[test]
fn jobs_are_kept_seven_days_beyond_their_expiry_and_the_file_stays_small() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    for number in 0..3_000 {
        file.run(journal.begin(&admitted(number, at(0)), at(0)));
        file.run(journal.finish(report(number), at(0)).unwrap());
        if number != 7 {
            file.run(journal.acknowledge(job_number(number), ReportPhase::Succeeded));
        }
    }
    assert!(file.0.len() < 3 << 20, "{} bytes", file.0.len());
    let week = 7 * 24 * 3_600;
    file.run(journal.tick(at(week)));
    assert_eq!(journal.phase(job_number(1)), Some(Phase::Done));
    file.run(journal.tick(at(week + 3_601)));
    assert_eq!(journal.phase(job_number(1)), None);
    assert_eq!(journal.phase(job_number(7)), Some(Phase::Done), "its report is not acknowledged");
    let journal = file.start(at(0));
    assert!(
        journal.may_have_forgotten(expiry(1)),
        "what is forgotten stays refused, also by a clock set back"
    );
    assert!(!journal.may_have_forgotten(at(week)));
}

#[test]
fn at_the_bound_only_finished_and_expired_jobs_are_forgotten() {
    let mut journal = File::default().start(at(0));
    for number in 0..MAX_JOBS as u128 {
        journal.begin(&admitted(number, at(0)), at(0));
    }
    assert!(journal.has_room(at(10)).is_err(), "nothing is finished");
    journal.finish(report(5), at(10)).unwrap();
    journal.acknowledge(job_number(5), ReportPhase::Succeeded);
    assert!(journal.has_room(at(10)).is_err(), "finished, but not expired");
    assert!(journal.has_room(at(7_200)).is_ok());
    journal.begin(&admitted(1_000_000, at(7_200)), at(7_200));
    assert_eq!(journal.phase(job_number(5)), None);
    assert_eq!(journal.phase(job_number(6)), Some(Phase::Received));
}

#[test]
fn a_refused_job_stays_refused_and_an_unbelieved_one_leaves_no_trace() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    let unbelieved = Refusal::new(Code::BadSignature, "no");
    assert_eq!(journal.refuse(&unbelieved, at(0)), []);
    let mut refusal = Refusal::new(Code::PolicyForbids, "no").of(job_number(1), [1; 32]);
    refusal.remember_until = Some(at(60));
    file.run(journal.refuse(&refusal, at(0)));
    assert_eq!(journal.refuse(&refusal, at(0)), [], "once");
    let journal = file.start(at(1));
    assert_eq!(journal.phase(job_number(1)), Some(Phase::Done));
    assert_eq!(waiting(&journal)[0].code, "policy_forbids");
    assert_eq!(journal.jobs_in_last_hour(at(1)), 0, "it did nothing");
}

#[test]
fn refusals_do_not_fill_the_journal_for_ever() {
    let mut journal = File::default().start(at(0));
    for number in 0..MAX_JOBS as u128 {
        let mut refusal = Refusal::new(Code::Malformed, "no").of(job_number(number), [1; 32]);
        refusal.remember_until = Some(at(3_605));
        journal.refuse(&refusal, at(0));
        journal.acknowledge(job_number(number), ReportPhase::Refused);
    }
    assert!(
        journal.has_room(at(3_600)).is_err(),
        "a job that is valid for the longest time is remembered throughout"
    );
    assert!(journal.has_room(at(3_606)).is_ok());
    journal.begin(&admitted(1_000_000, at(3_606)), at(3_606));
    assert_eq!(journal.phase(job_number(1_000_000)), Some(Phase::Received));
}

#[test]
fn the_epoch_never_goes_back_and_a_higher_one_makes_what_was_forgotten_needless() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    run_to_its_end(&mut file, &mut journal, 1, at(0));
    file.run(journal.tick(at(8 * DAY)));
    assert!(journal.may_have_forgotten(expiry(1)));
    file.run(journal.note_epoch(4));
    assert_eq!(journal.note_epoch(3), []);
    let journal = file.start(at(10));
    assert_eq!((journal.may_have_forgotten(expiry(1)), journal.epoch()), (false, 4));
}

const DAY: i64 = 86_400;
const TWO_YEARS: i64 = 2 * 365 * DAY;

/// When job `number` of [`admitted`] at `at(0)` expires.
fn expiry(number: u128) -> Timestamp {
    from_micros(admitted(number, at(0)).job().expires_at_us)
}

fn run_to_its_end(file: &mut File, journal: &mut Journal, number: u128, now: Timestamp) {
    file.run(journal.begin(&admitted(number, now), now));
    file.run(journal.finish(report(number), now).unwrap());
    file.run(journal.acknowledge(job_number(number), ReportPhase::Succeeded));
}

#[test]
fn a_clock_two_years_ahead_and_back_locks_nothing_out_and_revives_nothing() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    run_to_its_end(&mut file, &mut journal, 1, at(0));
    for jump in [TWO_YEARS, TWO_YEARS + 9 * DAY] {
        file.run(journal.tick(at(jump)));
        run_to_its_end(&mut file, &mut journal, 2 + u128::from(jump > TWO_YEARS), at(jump));
    }
    assert_eq!((journal.phase(job_number(1)), journal.phase(job_number(2))), (None, None), "both forgotten");
    file.run(journal.tick(at(60)));
    for journal in [&journal, &file.start(at(60))] {
        assert!(journal.may_have_forgotten(expiry(1)), "the old job stays refused");
        let next = from_micros(admitted(4, at(60)).job().expires_at_us);
        assert!(!journal.may_have_forgotten(next), "the next job runs");
        assert_eq!(
            journal.phase(job_number(3)),
            Some(Phase::Done),
            "so does the one of the clock that was ahead"
        );
        assert!(journal.jobs_in_last_hour(at(60)) <= 1, "what was begun in two years fills no hour now");
        assert!(journal.has_room(at(60)).is_ok());
    }
}

#[test]
fn a_flipped_bit_is_found_and_a_torn_tail_is_not_taken_for_one() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    for number in 1..=3 {
        run_to_its_end(&mut file, &mut journal, number, at(0));
    }
    let whole = file.0.clone();
    for bit in (0..whole.len() * 8).step_by(41) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (damaged, _) = Journal::recover(&bytes, at(1));
        assert!(damaged.damaged() > 0, "bit {bit}");
    }
    let mut first = whole.clone();
    first[20] ^= 4;
    assert!(Journal::recover(&first, at(1)).0.lost() > 0);
    let (torn, _) = Journal::recover(&whole[..whole.len() - 3], at(1));
    assert!(torn.damaged() > 0 && torn.lost() == 0);
}

#[test]
fn jobs_dated_in_two_years_do_not_fill_the_journal() {
    let mut file = File::default();
    let mut journal = file.start(at(TWO_YEARS));
    for number in 0..MAX_JOBS as u128 {
        journal.begin(&admitted(number, at(TWO_YEARS)), at(TWO_YEARS));
        journal.finish(report(number), at(TWO_YEARS)).unwrap();
        journal.acknowledge(job_number(number), ReportPhase::Succeeded);
    }
    assert!(journal.has_room(at(TWO_YEARS)).is_err(), "none of them has expired");
    assert!(journal.has_room(at(0)).is_ok(), "none of them can expire so late");
    journal.begin(&admitted(1_000_000, at(0)), at(0));
    let forgotten = from_micros(admitted(0, at(TWO_YEARS)).job().expires_at_us);
    assert!(journal.may_have_forgotten(forgotten));
}

#[test]
fn a_journal_of_an_earlier_build_has_forgotten_what_expired_a_week_before_it_was_written() {
    for (written, forgotten) in [(at(100 * DAY), at(93 * DAY)), (at(100 * DAY + TWO_YEARS), at(93 * DAY))] {
        let line = Line { epoch: 3, latest_seen_us: to_micros(written), ..Line::default() };
        let mut bytes = Vec::new();
        crate::record::append(&mut bytes, &line.encode_to_vec());
        let (journal, _) = Journal::recover(&bytes, at(100 * DAY));
        assert!(journal.may_have_forgotten(forgotten));
        assert!(!journal.may_have_forgotten(forgotten + SignedDuration::from_secs(1)), "written {written}");
    }
}

#[test]
fn after_a_failed_write_the_next_one_carries_everything() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    journal.begin(&admitted(1, at(0)), at(0));
    journal.write_failed();
    file.run(journal.begin(&admitted(2, at(0)), at(0)));
    let journal = file.start(at(0));
    assert_eq!(journal.interrupted().len(), 2);
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
fn a_job_that_was_admitted_counts_for_the_rate_whatever_became_of_it() {
    let mut journal = File::default().start(at(0));
    for (number, code) in [(1, Code::PreconditionFailed), (2, Code::EvictionRefused), (3, Code::HourlyBudget)]
    {
        journal.begin(&admitted(number, at(0)), at(0));
        let refusal = Refusal::new(code, "before any effect").of(job_number(number), [0; 32]);
        assert_eq!(journal.refuse(&refusal, at(1)), [], "it stays one that was admitted");
        journal.finish(refusal.report(at(1)), at(1)).unwrap();
    }
    assert_eq!(journal.jobs_in_last_hour(at(2)), 3);
}

#[test]
fn a_remembered_job_is_small() {
    // With the two texts and the hash behind it, and its place in the map: about 300 bytes.
    assert!(size_of::<super::store::JobLine>() <= 168, "{}", size_of::<super::store::JobLine>());
}

fn report_of(number: u128, phase: ReportPhase) -> v1::JobReport {
    v1::JobReport { phase: phase.into(), ..report(number) }
}

fn told(phase: Phase, report: v1::JobReport) -> Step {
    Step { report: Some(report), ..Step::to(phase, Vec::new()) }
}

#[test]
fn each_phase_is_kept_over_restarts_until_it_is_acknowledged() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    let id = job_number(1);
    let reports = [ReportPhase::Accepted, ReportPhase::Applied, ReportPhase::Succeeded]
        .map(|phase| report_of(1, phase));
    file.run(journal.begin(&admitted(1, at(0)), at(0)));
    file.run(journal.advance(id, told(Phase::Received, reports[0].clone()), at(0)).unwrap());
    file.run(journal.advance(id, told(Phase::Applied, reports[1].clone()), at(0)).unwrap());
    // Found done again after a restart: told once.
    file.run(journal.advance(id, told(Phase::Applied, reports[1].clone()), at(0)).unwrap());
    file.run(journal.finish(reports[2].clone(), at(0)).unwrap());
    let mut journal = file.start(at(1));
    assert_eq!(waiting(&journal), reports);
    assert_eq!(journal.unacknowledged(1, |sent| *sent == reports[0]), reports[1..2]);
    assert!(journal.keeps(&reports[1]));
    file.run(journal.acknowledge(id, ReportPhase::Applied));
    assert_eq!(journal.acknowledge(id, ReportPhase::Applied), [], "once");
    assert_eq!(journal.acknowledge(job_number(2), ReportPhase::Applied), [], "an unknown job");
    let journal = file.start(at(2));
    assert_eq!(waiting(&journal), [reports[0].clone(), reports[2].clone()]);
    assert!(!journal.keeps(&reports[1]));
}

#[test]
fn a_report_that_may_not_be_on_disk_is_not_handed_out() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    file.run(journal.begin(&admitted(1, at(0)), at(0)));
    journal.finish(report(1), at(0)).unwrap();
    journal.write_failed();
    assert_eq!(waiting(&journal), []);
    assert_eq!(waiting(&file.start(at(0))), [], "the disk has the job as it was before");
    file.run(journal.tick(at(1)));
    assert_eq!(waiting(&journal), [report(1)]);
    assert_eq!(waiting(&file.start(at(0))), [report(1)]);
}

#[test]
fn with_too_many_unacknowledged_jobs_no_further_one_is_admitted_and_none_is_forgotten() {
    let mut journal = File::default().start(at(0));
    for number in 0..MAX_UNACKNOWLEDGED as u128 {
        assert_eq!(journal.has_room(at(0)), Ok(()));
        journal.begin(&admitted(number, at(0)), at(0));
        journal.finish(report(number), at(0)).unwrap();
    }
    assert!(journal.has_room(at(0)).unwrap_err().contains("acknowledged"));
    let mut refusal = Refusal::new(Code::PolicyForbids, "no").of(job_number(5_000), [1; 32]);
    refusal.remember_until = Some(at(60));
    assert_eq!(journal.refuse(&refusal, at(0)), [], "a refusal then goes out once, unkept");
    assert!(!journal.keeps(&refusal.report(at(0))));
    journal.tick(at(1_000_000_000));
    assert_eq!(waiting(&journal).len(), MAX_UNACKNOWLEDGED);
    journal.acknowledge(job_number(0), ReportPhase::Succeeded);
    assert_eq!(journal.has_room(at(0)), Ok(()));
}

#[test]
fn a_report_that_is_too_long_loses_its_evidence_and_keeps_its_phase() {
    let mut journal = File::default().start(at(0));
    journal.begin(&admitted(1, at(0)), at(0));
    let long =
        v1::JobReport { evidence: vec!["e".repeat(MAX_REPORT)], reason: "r".repeat(MAX_REPORT), ..report(1) };
    journal.finish(long, at(0)).unwrap();
    let kept = &waiting(&journal)[0];
    assert!(kept.encoded_len() < MAX_REPORT && kept.evidence.is_empty() && kept.reason.len() == 1_000);
    assert_eq!(kept.phase(), ReportPhase::Succeeded);
}

#[test]
fn why_a_job_is_being_undone_outlives_a_restart() {
    let mut file = File::default();
    let mut journal = file.start(at(0));
    file.run(journal.begin(&admitted(1, at(0)), at(0)));
    let undo =
        Step { undone_because: "it did not help".into(), ..Step::to(Phase::Compensating, b"copy".to_vec()) };
    file.run(journal.advance(job_number(1), undo, at(0)).unwrap());
    let found = file.start(at(1)).interrupted().remove(0);
    assert_eq!((found.phase, found.undone_because.as_str()), (Phase::Compensating, "it did not help"));
}
