//! Tests of one replica's requests, answer by answer. Several replicas at the same time are simulated in
//! `tests/election`.

use jiff::Timestamp;

use super::*;

const DURATION: Duration = Duration::from_secs(10);

fn wall() -> Timestamp {
    Timestamp::from_second(30_000_000 * 60).unwrap()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

/// The Lease as the API server has it: of `holder`, under the given term.
fn held(holder: &str, term: u64, version: &str) -> Lease {
    let taken = Lease::default().acquired_by(holder, term, DURATION, wall());
    Lease { version: version.to_owned(), ..taken }
}

struct Replica(Election);

impl Replica {
    fn new() -> Self {
        Self(Election::new("a".to_owned(), DURATION))
    }

    /// Polls at `now`, expects a request, and answers it.
    fn ask(&mut self, now: Duration, answer: Answer) -> Request {
        let Step::Send(request) = self.0.poll(now, wall()) else { panic!("nothing to send at {now:?}") };
        self.0.answer(answer, now, wall());
        request
    }

    /// Reads a free Lease and takes it at `now`.
    fn lead(&mut self, now: Duration) -> u64 {
        let free = Lease { version: "1".into(), ..held("b", 30_000_000, "1").released(wall()) };
        assert_eq!(self.ask(now, Answer::Lease(free)), Request::Get);
        let Step::Send(Request::Replace(taken)) = self.0.poll(now, wall()) else { panic!("not taken") };
        assert_eq!((taken.version.as_str(), taken.holder.as_str()), ("1", "a"));
        self.0.answer(Answer::Lease(Lease { version: "2".into(), ..taken }), now, wall());
        self.0.leadership().term(now).unwrap()
    }
}

#[test]
fn anothers_lease_is_taken_only_after_it_was_watched_running_out() {
    let mut me = Replica::new();
    for (seconds, version) in [(0, "1"), (9, "1"), (12, "2"), (21, "2")] {
        assert_eq!(me.ask(at(seconds), Answer::Lease(held("b", 30_000_000, version))), Request::Get);
        assert_eq!(me.0.leadership(), Leadership::Standby);
        assert!(matches!(me.0.poll(at(seconds), wall()), Step::WaitUntil(_)));
    }
    me.ask(at(23), Answer::Lease(held("b", 30_000_000, "2")));
    let Step::Send(Request::Replace(taken)) = me.0.poll(at(23), wall()) else { panic!("not taken") };
    assert_eq!((taken.version.as_str(), taken.term, taken.transitions), ("2", 30_000_001, Some(1)));
}

#[test]
fn a_lease_that_is_not_there_is_made_and_watched_before_it_is_taken() {
    let mut me = Replica::new();
    assert_eq!(me.ask(at(0), Answer::Absent), Request::Get);
    let made = Lease { version: "1".into(), ..Lease::new(0, DURATION) };
    assert!(
        matches!(me.ask(at(0), Answer::Lease(made.clone())), Request::Create(lease) if lease.holder.is_empty())
    );
    assert_eq!(me.0.leadership(), Leadership::Unknown);
    me.ask(at(9), Answer::Lease(made.clone()));
    assert!(
        matches!(me.0.poll(at(9), wall()), Step::WaitUntil(_)),
        "a leader may believe in one that was deleted"
    );
    me.ask(at(11), Answer::Lease(made));
    assert!(
        matches!(me.0.poll(at(11), wall()), Step::Send(Request::Replace(lease)) if lease.term == 30_000_000)
    );
}

#[test]
fn what_was_given_back_and_ones_own_from_before_are_taken_at_once_under_a_new_term() {
    assert_eq!(Replica::new().lead(at(0)), 30_000_001);
    let mut me = Replica::new();
    me.ask(at(0), Answer::Lease(held("a", 30_000_007, "1")));
    assert!(
        matches!(me.0.poll(at(0), wall()), Step::Send(Request::Replace(lease)) if lease.term == 30_000_008)
    );
}

#[test]
fn a_leader_believes_for_four_fifths_from_before_its_last_renewal_was_sent() {
    let mut me = Replica::new();
    let term = me.lead(at(0));
    let leads = |me: &Replica, now| me.0.leadership().term(now);
    assert_eq!((leads(&me, at(7)), leads(&me, at(8))), (Some(term), None));
    let Step::Send(Request::Replace(renewed)) = me.0.poll(at(4), wall()) else { panic!("not renewed") };
    me.0.answer(Answer::Lease(Lease { version: "3".into(), ..renewed.clone() }), at(6), wall());
    assert_eq!((leads(&me, at(11)), leads(&me, at(12))), (Some(term), None));
    // The same version again: a standby sees no renewal, so there was none.
    me.0.poll(at(8), wall());
    me.0.answer(Answer::Lease(Lease { version: "3".into(), ..renewed }), at(8), wall());
    assert_eq!((leads(&me, at(11)), leads(&me, at(12))), (Some(term), None));
    assert!(me.0.problem().is_some());
}

#[test]
fn a_renewal_whose_answer_was_lost_goes_on_and_one_that_another_overtook_ends() {
    let mut me = Replica::new();
    let term = me.lead(at(0));
    me.ask(at(4), Answer::Failed("no answer".into()));
    assert_eq!(me.0.leadership().term(at(4)), Some(term));
    assert!(matches!(me.ask(at(6), Answer::Conflict), Request::Replace(_)));
    assert_eq!(me.ask(at(6), Answer::Lease(held("a", term, "3"))), Request::Get);
    assert!(matches!(me.ask(at(6), Answer::Conflict), Request::Replace(lease) if lease.version == "3"));
    assert_eq!(me.0.leadership().term(at(6)), Some(term), "not renewed, and not ended");
    assert_eq!(me.ask(at(6), Answer::Lease(held("b", term + 1, "4"))), Request::Get);
    assert_eq!(me.0.leadership(), Leadership::Standby);
}

#[test]
fn a_lease_that_was_deleted_ends_the_leadership_at_once_and_the_next_term_is_above_all_seen() {
    let mut me = Replica::new();
    let term = me.lead(at(0));
    me.ask(at(4), Answer::Absent);
    assert_eq!(me.0.leadership(), Leadership::Unknown);
    let Step::Send(Request::Create(made)) = me.0.poll(at(4), wall()) else { panic!("not made") };
    assert_eq!(made.term, term, "what others have to go above");
    for forgotten in [0, 3, u64::MAX] {
        let lease = Lease { version: "9".into(), term: forgotten, ..Lease::default() };
        let mut me = Replica::new();
        let term = me.lead(at(0));
        me.ask(at(4), Answer::Absent);
        me.ask(at(4), Answer::Lease(lease.clone()));
        me.ask(at(20), Answer::Lease(lease));
        assert!(matches!(me.0.poll(at(20), wall()), Step::Send(Request::Replace(l)) if l.term == term + 1));
    }
}

#[test]
fn one_that_must_not_compete_stops_first_then_gives_back_and_then_rests() {
    let mut me = Replica::new();
    me.lead(at(0));
    me.0.compete(false);
    assert_eq!(me.0.leadership(), Leadership::Standby);
    let Step::Send(Request::Replace(back)) = me.0.poll(at(1), wall()) else { panic!("not given back") };
    assert!(back.is_released() && back.version == "2");
    me.0.answer(Answer::Conflict, at(1), wall());
    assert_eq!((me.0.poll(at(1), wall()), me.0.leadership()), (Step::Rest, Leadership::Standby));
    me.0.compete(true);
    assert_eq!(me.0.poll(at(2), wall()), Step::Send(Request::Get));
}

#[test]
fn failures_are_said_and_tried_again_and_end_a_leadership_only_with_its_time() {
    let mut me = Replica::new();
    let term = me.lead(at(0));
    for (seconds, leads) in [(4, Some(term)), (6, Some(term)), (9, None)] {
        me.ask(at(seconds), Answer::Failed("connection refused".into()));
        assert_eq!(
            (me.0.leadership().term(at(seconds)), me.0.problem()),
            (leads, Some("connection refused"))
        );
        assert!(matches!(me.0.poll(at(seconds), wall()), Step::WaitUntil(_)));
    }
    assert_eq!(me.0.leadership(), Leadership::Unknown);
    assert_eq!(me.ask(at(11), Answer::Lease(held("a", term, "3"))), Request::Get, "it reads before it takes");
    assert_eq!(me.0.problem(), Some("connection refused"), "that it can be read says nothing of writing it");
    let taken = me.ask(at(11), Answer::Lease(held("a", term + 1, "4")));
    assert!(matches!(taken, Request::Replace(_)), "{taken:?}");
    assert_eq!(me.0.problem(), None);
}

#[test]
fn one_that_stops_gives_back_what_its_last_renewal_made_and_nobody_elses() {
    let mut me = Replica::new();
    me.lead(at(0));
    let mine = held("a", 30_000_001, "3");
    assert_eq!(me.0.give_back(mine.clone(), wall()), None, "it still competes");
    me.0.compete(false);
    assert!(matches!(me.0.poll(at(1), wall()), Step::Send(Request::Replace(old)) if old.version == "2"));
    let Some(Request::Replace(back)) = me.0.give_back(mine, wall()) else { panic!("not given back") };
    assert!(back.is_released() && back.version == "3");
    assert_eq!(me.0.give_back(held("b", 30_000_002, "4"), wall()), None);
}
