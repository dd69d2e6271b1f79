//! Tests of the session state machine over a simulated connection and a virtual clock.

use std::collections::BTreeSet;

use nimbus_protocol::v1::{agent_frame, job_report::Phase, server_frame::Body};
use nimbus_protocol::{MAX_BATCH_OBSERVATIONS, version};
use proptest::prelude::*;

use super::*;

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// Half of any back-off.
const HALF: u64 = 1 << 63;

pub(super) fn frame(body: Body) -> Event {
    Event::Frame(Box::new(v1::ServerFrame { body: Some(body) }))
}

pub(super) fn welcome(acknowledged: u64) -> Event {
    frame(Body::Welcome(v1::Welcome {
        version: 1,
        acknowledged,
        heartbeat_ms: 5_000,
        max_batch_observations: 100,
        ..Default::default()
    }))
}

fn refusal(code: &str, retry_after_ms: u32) -> Event {
    frame(Body::Refusal(v1::Refusal { code: code.into(), retry_after_ms, ..Default::default() }))
}

fn ack(sequence: u64) -> Event {
    frame(Body::Ack(v1::Ack { sequence }))
}

pub(super) fn beat() -> Event {
    frame(Body::Heartbeat(v1::Heartbeat::default()))
}

pub(super) fn connected() -> Event {
    Event::Connected(Box::default())
}

pub(super) fn drain(session: &mut Session) -> Vec<Action> {
    std::iter::from_fn(|| session.poll_action()).collect()
}

pub(super) fn step(session: &mut Session, event: Event, at: u64) -> Vec<Action> {
    session.handle(event, SECOND * u32::try_from(at).unwrap(), HALF);
    drain(session)
}

pub(super) fn live() -> Session {
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    step(&mut session, connected(), 0);
    step(&mut session, welcome(0), 0);
    assert_eq!(session.state(), &State::Live);
    session
}

#[test]
fn it_connects_greets_with_both_versions_and_goes_live() {
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    assert_eq!(drain(&mut session), [Action::Connect]);
    let said = step(&mut session, connected(), 1);
    let [Action::Send(said)] = said.as_slice() else { panic!("{said:?}") };
    let Some(agent_frame::Body::Hello(hello)) = &said.body else { panic!("{said:?}") };
    assert_eq!((hello.lowest_version, hello.highest_version), (version::LOWEST, version::HIGHEST));
    let then = step(&mut session, welcome(7), 2);
    assert!(matches!(&then[0], Action::Welcomed(w) if w.acknowledged == 7));
    assert_eq!(then[1], Action::PullReports { most: REPORT_WINDOW, sent: Vec::new() });
    assert_eq!(then[2], Action::Pull { max_observations: 100, max_bytes: BATCH_BYTES });
    assert_eq!(session.problem(), None);
}

#[test]
fn every_wait_has_an_end() {
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    drain(&mut session);
    assert_eq!(session.next_timeout(), 15 * SECOND);
    assert!(matches!(step(&mut session, Event::Timeout, 15)[..], [Action::Close { .. }]));
    assert!(session.problem().unwrap().contains("connection"));
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    step(&mut session, connected(), 0);
    assert_eq!(session.next_timeout(), 10 * SECOND);
    step(&mut session, Event::Timeout, 10);
    assert!(session.problem().unwrap().contains("welcome"));
}

#[test]
fn waits_grow_with_each_failure_and_shrink_after_a_stable_session() {
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    drain(&mut session);
    let mut now = Duration::ZERO;
    let mut waits = Vec::new();
    for _ in 0..9 {
        session.handle(Event::Closed("no route".into()), now, u64::MAX);
        let State::Disconnected { retry_at } = *session.state() else { panic!() };
        waits.push(retry_at.saturating_sub(now).as_secs_f64().round());
        now = retry_at;
        session.handle(Event::Timeout, now, HALF);
        assert_eq!(drain(&mut session), [Action::Connect]);
    }
    assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
    session.handle(connected(), now, HALF);
    session.handle(welcome(0), now, HALF);
    // Too short to count: the waits stay long.
    session.handle(Event::Closed("gone".into()), now + 9 * SECOND, u64::MAX);
    assert!(session.next_timeout() > now + 60 * SECOND);
    now = session.next_timeout();
    session.handle(Event::Timeout, now, HALF);
    session.handle(connected(), now, HALF);
    session.handle(welcome(0), now, HALF);
    session.handle(beat(), now + 9 * SECOND, HALF);
    session.handle(Event::Closed("gone".into()), now + 10 * SECOND, u64::MAX);
    assert!(session.next_timeout() <= now + 11 * SECOND);
}

#[test]
fn a_refusal_is_honoured_and_said() {
    let greeting = || {
        let mut session = Session::new(Settings::default(), Duration::ZERO);
        step(&mut session, connected(), 0);
        session
    };
    let mut session = greeting();
    assert!(matches!(step(&mut session, refusal("overloaded", 20_000), 0)[..], [Action::Close { .. }]));
    assert!((20 * SECOND..22 * SECOND).contains(&session.next_timeout()));
    let mut session = greeting();
    step(&mut session, refusal("revoked", 0), 0);
    assert!((300 * SECOND..302 * SECOND).contains(&session.next_timeout()));
    assert!(session.problem().unwrap().contains("revoked"));
    // The daemon says that the connection is gone too: the wait stays.
    step(&mut session, Event::Closed("closed".into()), 1);
    assert!(session.next_timeout() >= 300 * SECOND);
    assert!(session.problem().unwrap().contains("revoked"));
    let mut session = greeting();
    step(&mut session, refusal("overloaded", u32::MAX), 0);
    assert!(session.next_timeout() <= 3_602 * SECOND, "nobody is sent away for weeks");
    let mut session = live();
    step(&mut session, refusal("revoked", 0), 1);
    assert!(session.next_timeout() >= 300 * SECOND, "a live session can be refused too");
}

#[test]
fn heartbeats_go_out_and_silence_ends_the_session() {
    let mut session = live();
    step(&mut session, Event::NothingPending, 0);
    assert_eq!(session.next_timeout(), 5 * SECOND);
    assert_eq!(step(&mut session, Event::Timeout, 4), []);
    assert_eq!(step(&mut session, Event::Timeout, 5), [Action::Heartbeat]);
    assert_eq!(step(&mut session, beat(), 6), []);
    assert_eq!(step(&mut session, Event::Timeout, 20), [Action::Heartbeat]);
    assert!(matches!(step(&mut session, Event::Timeout, 21)[..], [Action::Close { .. }]));
    assert!(session.problem().unwrap().contains("silent"));
}

#[test]
fn no_more_than_the_window_is_in_flight() {
    let mut session = live();
    let mut sequence = 0;
    let mut pulls = 1;
    while pulls > 0 {
        sequence += 10;
        let actions = step(&mut session, Event::BatchSent(sequence), 0);
        pulls = actions.iter().filter(|a| matches!(a, Action::Pull { .. })).count();
    }
    assert_eq!((session.in_flight(), sequence), (WINDOW, 80));
    assert_eq!(step(&mut session, Event::Pending, 0), []);
    let after = step(&mut session, ack(25), 1);
    assert!(matches!(after[..], [Action::Acknowledged(25), Action::Pull { .. }]));
    assert_eq!(session.in_flight(), 6);
    assert_eq!(step(&mut session, ack(20), 1), [], "an older one says nothing new");
    assert_eq!(step(&mut session, ack(25), 1), []);
}

#[test]
fn an_acknowledgement_that_does_not_come_ends_the_session() {
    let mut session = live();
    step(&mut session, Event::BatchSent(10), 0);
    for second in [5, 10, 15, 20, 25] {
        step(&mut session, beat(), second);
    }
    assert_eq!(session.next_timeout(), 30 * SECOND);
    assert!(matches!(step(&mut session, beat(), 30)[..], [Action::Close { .. }]));
    assert!(session.problem().unwrap().contains("acknowledgement of 10"));
}

#[test]
fn new_observations_are_pulled_even_when_they_come_during_a_pull() {
    let mut session = live();
    assert_eq!(step(&mut session, Event::Pending, 0), [], "one pull at a time");
    assert!(matches!(step(&mut session, Event::NothingPending, 0)[..], [Action::Pull { .. }]));
    assert_eq!(step(&mut session, Event::NothingPending, 0), []);
    assert!(matches!(step(&mut session, Event::Pending, 0)[..], [Action::Pull { .. }]));
}

#[test]
fn a_peer_that_breaks_the_protocol_is_left() {
    let cases: [(bool, Event); 5] = [
        (false, ack(1)),
        (false, frame(Body::Welcome(v1::Welcome { version: 99, ..Default::default() }))),
        (true, ack(1)),
        (true, welcome(0)),
        (true, frame(Body::Enrolled(v1::EnrolResponse::default()))),
    ];
    for (is_live, event) in cases {
        let mut session = Session::new(Settings::default(), Duration::ZERO);
        step(&mut session, connected(), 0);
        if is_live {
            session = live();
        }
        let actions = step(&mut session, event.clone(), 1);
        assert!(
            matches!(actions[..], [Action::Close { code: CloseCode::Malformed, .. }]),
            "{event:?}: {actions:?}"
        );
    }
    // What a newer peer may add is no fault.
    let mut session = live();
    assert_eq!(step(&mut session, of_a_newer_version(&[0xa2, 0x06, 0x01, 0x07]), 1), []);
    assert_eq!(session.state(), &State::Live);
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    step(&mut session, connected(), 0);
    assert_eq!(step(&mut session, of_a_newer_version(&[0xa2, 0x06, 0x01, 0x07]), 0), []);
    step(&mut session, welcome(0), 0);
    assert_eq!(session.state(), &State::Live, "the welcome may still come");
}

/// A frame of these bytes, as a control plane of another version sends it.
fn of_a_newer_version(bytes: &[u8]) -> Event {
    Event::Frame(Box::new(prost::Message::decode(bytes).unwrap()))
}

/// One has a field more, the other says the version alone.
#[test]
fn a_welcome_of_a_newer_and_of_an_older_control_plane_is_one() {
    let newer = [0x0a, 0x05, 0x08, 0x01, 0xa0, 0x06, 0x01];
    let older = [0x0a, 0x02, 0x08, 0x01];
    for bytes in [&newer[..], &older] {
        let mut session = Session::new(Settings::default(), Duration::ZERO);
        step(&mut session, connected(), 0);
        let then = step(&mut session, of_a_newer_version(bytes), 0);
        assert_eq!(session.state(), &State::Live, "{then:?}");
        let most = MAX_BATCH_OBSERVATIONS;
        assert!(then.contains(&Action::Pull { max_observations: most, max_bytes: BATCH_BYTES }), "{then:?}");
        step(&mut session, Event::NothingPending, 0);
        assert!(session.next_timeout() >= SECOND, "a heartbeat that is not said is not one without end");
    }
}

#[test]
fn jobs_and_requests_are_passed_on() {
    let mut session = live();
    let envelope = v1::Envelope { payload: vec![1], ..Default::default() };
    assert_eq!(step(&mut session, frame(Body::Job(envelope.clone())), 1), [Action::Job(envelope)]);
    let resync = v1::ResyncRequest { reason: "gap".into() };
    assert_eq!(step(&mut session, frame(Body::Resync(resync)), 1), [Action::Resync("gap".into())]);
    let pause = v1::Pause { paused: true, what: "the fleet".into(), ..Default::default() };
    assert_eq!(step(&mut session, frame(Body::Pause(pause.clone())), 1), [Action::Pause(pause)]);
    let renewed = v1::RenewResponse::default();
    assert_eq!(step(&mut session, frame(Body::Renewed(renewed.clone())), 1), [Action::Renewed(renewed)]);
}

#[test]
fn what_was_meant_for_a_lost_connection_is_not_done_and_what_it_brought_is_kept() {
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    session.handle(connected(), Duration::ZERO, HALF);
    session.handle(welcome(0), Duration::ZERO, HALF);
    session.handle(frame(Body::Job(v1::Envelope::default())), Duration::ZERO, HALF);
    session.handle(Event::Closed("gone".into()), Duration::ZERO, HALF);
    assert_eq!(drain(&mut session), [Action::Job(v1::Envelope::default())]);
    // A batch that was still being written when the connection went does not count.
    session.handle(Event::BatchSent(5), Duration::ZERO, HALF);
    assert_eq!(session.in_flight(), 0);
}

pub(super) fn report(job: u64, phase: Phase) -> v1::JobReport {
    v1::JobReport { job_id: format!("job_{job}"), phase: phase.into(), ..Default::default() }
}

pub(super) fn report_ack(report: &v1::JobReport) -> v1::JobReportAck {
    v1::JobReportAck {
        job_id: report.job_id.clone(),
        phase: report.phase,
        envelope_sha256: report.envelope_sha256.clone(),
    }
}

pub(super) fn reports(actions: &[Action]) -> Vec<v1::JobReport> {
    let report = |action: &Action| {
        let Action::Send(frame) = action else { return None };
        let Some(agent_frame::Body::JobReport(report)) = &frame.body else { return None };
        Some(report.clone())
    };
    actions.iter().filter_map(report).collect()
}

/// A control plane that stores, and a wire that delays, drops and breaks.
#[derive(Default)]
struct World {
    spool: BTreeSet<u64>,
    /// Jobs whose reports the journal has.
    journal: BTreeSet<u64>,
    reported: BTreeSet<u64>,
    cursor: u64,
    stored: u64,
    /// Arrives at the agent at that time.
    wire: Vec<(Duration, Event)>,
    connects: usize,
}

impl World {
    /// Does what the session asks; `luck` decides what the wire does with it.
    fn carry(&mut self, action: Action, now: Duration, luck: u8) -> Option<Event> {
        let delay = Duration::from_millis(u64::from(luck) * 10);
        let dropped = luck % 8 == 7;
        match action {
            Action::Connect => {
                self.connects += 1;
                self.wire.clear();
                let event =
                    if luck.is_multiple_of(3) { Event::Closed("no route".into()) } else { connected() };
                self.wire.push((now + delay, event));
            }
            Action::Send(frame) if !dropped => match frame.body {
                Some(agent_frame::Body::JobReport(report)) => {
                    self.reported.insert(job_number(&report));
                    self.wire
                        .push((now + delay, super::tests::frame(Body::JobReportAck(report_ack(&report)))));
                }
                _ => self.wire.push((now + delay, welcome(self.stored))),
            },
            Action::PullReports { most, sent } => {
                let all = self.journal.iter().map(|job| report(*job, Phase::Succeeded));
                let new = all.filter(|report| !sent.iter().any(|sent| sent.is(report))).take(most);
                return Some(Event::Reports(new.collect()));
            }
            Action::ReportAcknowledged(ack) => {
                let job = job_number(&v1::JobReport { job_id: ack.job_id, ..Default::default() });
                assert!(self.reported.contains(&job), "acknowledged before it was stored");
                self.journal.remove(&job);
            }
            Action::Welcomed(welcome) => {
                self.spool.retain(|s| *s > welcome.acknowledged);
                self.cursor = welcome.acknowledged;
            }
            Action::Pull { .. } => {
                let batch: Vec<u64> = self.spool.range(self.cursor + 1..).take(3).copied().collect();
                let Some(last) = batch.last().copied() else { return Some(Event::NothingPending) };
                self.cursor = last;
                if !dropped {
                    self.stored = self.stored.max(last);
                    self.wire.push((now + delay, ack(last)));
                }
                return Some(Event::BatchSent(last));
            }
            Action::Acknowledged(sequence) => {
                assert!(sequence <= self.stored, "acknowledged before it was stored");
                self.spool.retain(|s| *s > sequence);
            }
            Action::Heartbeat if !dropped => self.wire.push((now + delay, beat())),
            Action::Close { .. } => self.wire.clear(),
            Action::Send(_)
            | Action::Heartbeat
            | Action::Job(_)
            | Action::Pause(_)
            | Action::Resync(_)
            | Action::Renewed(_) => {}
        }
        None
    }
}

fn job_number(report: &v1::JobReport) -> u64 {
    report.job_id.strip_prefix("job_").unwrap().parse().unwrap()
}

proptest! {
    #[test]
    fn over_a_bad_wire_everything_arrives_in_the_end(
        luck in proptest::collection::vec(any::<u8>(), 40..400), observations in 1u64..60, jobs in 0u64..30,
    ) {
        let mut session = Session::new(Settings::default(), Duration::ZERO);
        let mut world = World {
            spool: (1..=observations).collect(),
            journal: (0..jobs).collect(),
            ..World::default()
        };
        let mut now = Duration::ZERO;
        // After the bad times come good ones: nothing is lost or late any more.
        let mut luck = luck.into_iter().chain(std::iter::repeat_n(1, 3_000));
        while !world.spool.is_empty() || !world.journal.is_empty() {
            while let Some(action) = session.poll_action() {
                let Some(luck) = luck.next() else { break };
                if let Some(event) = world.carry(action, now, luck) {
                    session.handle(event, now, HALF);
                }
                prop_assert!(session.in_flight() <= WINDOW);
            }
            world.wire.sort_by_key(|(at, _)| *at);
            let next = session.next_timeout();
            prop_assert!(next > now || !world.wire.is_empty(), "spins at {:?} in {:?}", now, session.state());
            let Some(luck) = luck.next() else { break };
            if luck == 200 && !matches!(session.state(), State::Disconnected { .. }) {
                world.wire.clear();
                session.handle(Event::Closed("cut".into()), now, HALF);
            } else if world.wire.first().is_some_and(|(at, _)| *at <= next) {
                let (at, event) = world.wire.remove(0);
                now = now.max(at);
                session.handle(event, now, HALF);
            } else {
                now = next;
                session.handle(Event::Timeout, now, HALF);
            }
        }
        prop_assert!(world.spool.is_empty(), "{} left in {:?} after {} connects", world.spool.len(), session.state(), world.connects);
        prop_assert_eq!(world.stored, observations);
        prop_assert!(world.journal.is_empty() && world.reported.len() as u64 == jobs, "reports are left");
    }
}

#[test]
fn a_connection_that_takes_over_is_greeted_at_once_and_gets_everything_that_was_not_acknowledged() {
    let mut session = live();
    step(&mut session, Event::BatchSent(7), 1);
    assert_eq!(session.in_flight(), 1);
    let switched = step(&mut session, Event::Switched, 2);
    let [Action::Close { code, .. }, Action::Connect] = switched.as_slice() else { panic!("{switched:?}") };
    assert_eq!((*code, session.in_flight(), session.problem()), (CloseCode::Done, 0, None));
    step(&mut session, connected(), 2);
    let welcomed = step(&mut session, welcome(3), 2);
    assert!(welcomed.iter().any(|action| matches!(action, Action::Pull { .. })), "{welcomed:?}");
    assert!(
        welcomed.iter().any(|action| matches!(action, Action::PullReports { sent, .. } if sent.is_empty()))
    );
}

#[test]
fn a_connection_takes_over_from_a_live_one_only() {
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    drain(&mut session);
    assert!(step(&mut session, Event::Switched, 1).is_empty());
    assert_eq!(session.state(), &State::Connecting);
}
