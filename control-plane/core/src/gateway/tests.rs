//! Tests of the session state machine on a virtual clock.

use std::time::Duration;

use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::agent_frame::Body as FromAgent;
use nimbus_protocol::v1::server_frame::Body as ToAgent;
use nimbus_protocol::{v1, version};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn agent() -> AgentId {
    uuid::Uuid::from_u128(1).into()
}

fn hello() -> v1::Hello {
    v1::Hello {
        lowest_version: version::LOWEST,
        highest_version: version::HIGHEST,
        agent_id: agent().to_string(),
        ..Default::default()
    }
}

/// Hands an event over and returns what is to be done.
fn step(session: &mut Session, event: Event, now: Duration) -> Vec<Action> {
    session.handle(event, now);
    std::iter::from_fn(|| session.poll_action()).collect()
}

fn frame(stream: Stream, body: FromAgent) -> Event {
    Event::Frame(stream, Box::new(v1::AgentFrame { body: Some(body) }))
}

fn control(body: FromAgent) -> Event {
    frame(Stream::Control, body)
}

fn batch(sequences: std::ops::RangeInclusive<u64>) -> Event {
    let first_sequence = *sequences.start();
    let observations = sequences.map(|sequence| v1::Observation { sequence, ..Default::default() }).collect();
    frame(Stream::Data, FromAgent::Batch(v1::ObservationBatch { first_sequence, observations }))
}

fn heartbeat() -> FromAgent {
    FromAgent::Heartbeat(v1::Heartbeat::default())
}

fn live(admission: Admission) -> (Session, Vec<Action>) {
    let mut session = Session::new(agent(), PATIENCE, at(0));
    assert!(session.may_read_control() && !session.may_read_data());
    let asked = step(&mut session, control(FromAgent::Hello(hello())), at(1));
    assert_eq!(asked, [Action::Admit(Box::new(hello()))]);
    assert!(!session.may_read_control() && session.next_timeout().is_none());
    let said = step(&mut session, Event::Admitted(admission), at(1));
    (session, said)
}

const ADMISSION: Admission = Admission { acknowledged: 7, epoch: 3, needs_listing: false };

/// The frames that are sent, by stream.
fn sent(actions: &[Action]) -> Vec<(Stream, ToAgent)> {
    let body = |action: &Action| {
        let Action::Send(stream, frame) = action else { return None };
        Some((*stream, frame.body.clone()?))
    };
    actions.iter().filter_map(body).collect()
}

/// The code with which the only action ends the session, and the refusal's word; the code's name where there is none.
fn ended(actions: &[Action]) -> (CloseCode, String) {
    match actions {
        [Action::End(SessionEnd::Rejected(rejection))] => (rejection.code, rejection.refusal.code.clone()),
        [Action::End(SessionEnd::Closed(code))] => (*code, String::new()),
        other => panic!("expected the end of the session, found {other:?}"),
    }
}

#[test]
fn an_agent_is_welcome_with_what_is_stored_of_it() {
    let (session, said) = live(ADMISSION);
    let [(Stream::Control, ToAgent::Welcome(welcome))] = &sent(&said)[..] else { panic!("{said:?}") };
    assert_eq!((welcome.acknowledged, welcome.epoch, welcome.version), (7, 3, version::HIGHEST));
    assert!(session.may_read_control() && session.may_read_data());
    let (_, said) = live(Admission { needs_listing: true, ..ADMISSION });
    let [_, (Stream::Control, ToAgent::Resync(resync))] = &sent(&said)[..] else { panic!("{said:?}") };
    assert!(resync.reason.contains("rebuilt"));
}

#[test]
fn who_says_something_else_or_nothing_first_is_rejected() {
    let first = |event, now| ended(&step(&mut Session::new(agent(), PATIENCE, at(0)), event, now));
    let malformed = (CloseCode::Malformed, "malformed".to_owned());
    assert_eq!(first(control(heartbeat()), at(1)), malformed);
    assert_eq!(first(batch(1..=1), at(1)), malformed);
    assert_eq!(first(Event::Timeout, at(10)), (CloseCode::Silent, String::new()));
    let newer = v1::Hello { lowest_version: 7, highest_version: 9, ..hello() };
    assert_eq!(first(control(FromAgent::Hello(newer)), at(1)).1, "unsupported_version");
    let other = v1::Hello { agent_id: "agt_2".into(), ..hello() };
    assert_eq!(first(control(FromAgent::Hello(other)), at(1)).1, "wrong_agent");
}

#[test]
fn batches_are_acknowledged_in_order_after_their_commit_and_only_so_many_wait() {
    let (mut session, _) = live(ADMISSION);
    for n in 8..8 + WINDOW as u64 {
        assert!(session.may_read_data());
        let stored = step(&mut session, batch(n..=n), at(2));
        let [Action::Store(checked)] = &stored[..] else { panic!("{stored:?}") };
        assert_eq!((checked.first, checked.last, checked.count), (n, n, 1));
    }
    assert!(!session.may_read_data(), "the window is full");
    let said = step(&mut session, Event::Stored(Stored { mark: 8, gap: false }), at(2));
    assert_eq!(sent(&said), [(Stream::Data, ToAgent::Ack(v1::Ack { sequence: 8 }))]);
    assert!(session.may_read_data());
    // A batch that was stored before is acknowledged all the same, and an acknowledgement never goes back.
    let said = step(&mut session, Event::Stored(Stored { mark: 5, gap: false }), at(2));
    assert_eq!(sent(&said), [(Stream::Data, ToAgent::Ack(v1::Ack { sequence: 8 }))]);
}

/// Bytes of a oneof's field 100, which no message of this version has.
#[test]
fn a_message_of_a_newer_agent_is_passed_over_and_its_session_goes_on() {
    let newer = |stream| {
        let frame = prost::Message::decode(&[0xa2, 0x06, 0x01, 0x07][..]).unwrap();
        Event::Frame(stream, Box::new(frame))
    };
    let (mut session, _) = live(ADMISSION);
    for stream in [Stream::Control, Stream::Data] {
        assert_eq!(step(&mut session, newer(stream), at(2)), []);
    }
    assert!(matches!(step(&mut session, batch(8..=8), at(2))[..], [Action::Store(_)]));
    // Before the hello nothing of it is known, not even the version.
    let mut session = Session::new(agent(), PATIENCE, at(0));
    assert_eq!(ended(&step(&mut session, newer(Stream::Control), at(1))).0, CloseCode::Malformed);
}

#[test]
fn a_batch_out_of_order_and_a_message_on_the_wrong_stream_end_the_session() {
    let backwards = || {
        let observation = |sequence| v1::Observation { sequence, ..Default::default() };
        let observations = vec![observation(3), observation(2)];
        frame(Stream::Data, FromAgent::Batch(v1::ObservationBatch { first_sequence: 3, observations }))
    };
    let on_control = || control(FromAgent::Batch(v1::ObservationBatch::default()));
    let on_data = || frame(Stream::Data, FromAgent::JobReport(v1::JobReport::default()));
    for event in [backwards(), on_control(), on_data(), control(FromAgent::Hello(hello()))] {
        let (mut session, _) = live(ADMISSION);
        assert_eq!(ended(&step(&mut session, event, at(2))).0, CloseCode::Malformed);
        assert!(step(&mut session, batch(8..=8), at(2)).is_empty(), "nothing follows the end");
        assert!(!session.may_read_control() && !session.may_read_data() && session.next_timeout().is_none());
    }
}

#[test]
fn gaps_share_one_request_to_list_everything_again() {
    let (mut session, _) = live(ADMISSION);
    let resyncs = |actions: &[Action]| {
        let is_resync = |(_, body): &(Stream, ToAgent)| matches!(body, ToAgent::Resync(_));
        sent(actions).iter().filter(|sent| is_resync(sent)).count()
    };
    let gap = Event::Stored(Stored { mark: 11, gap: true });
    assert_eq!(resyncs(&step(&mut session, gap.clone(), at(2))), 1);
    assert_eq!(resyncs(&step(&mut session, gap.clone(), at(3))), 0);
    assert_eq!(resyncs(&step(&mut session, gap, at(4))), 0);
    assert_eq!(session.next_timeout(), Some(at(31)), "the silence comes first");
    step(&mut session, control(heartbeat()), at(30));
    assert_eq!(session.next_timeout(), Some(at(32)));
    assert_eq!(resyncs(&step(&mut session, Event::Timeout, at(32))), 1);
    assert_eq!(resyncs(&step(&mut session, Event::Timeout, at(33))), 0);
}

#[test]
fn a_report_is_acknowledged_after_its_commit_and_too_many_at_once_are_put_off() {
    let (mut session, _) = live(ADMISSION);
    let report = |n: usize| v1::JobReport { job_id: n.to_string(), phase: 1, ..Default::default() };
    for n in 0..REPORT_WINDOW {
        let asked = step(&mut session, control(FromAgent::JobReport(report(n))), at(2));
        assert_eq!(asked, [Action::StoreReport(Box::new(report(n)))]);
    }
    let ack = v1::JobReportAck { job_id: "0".into(), phase: 1, ..Default::default() };
    let said = step(&mut session, Event::ReportStored(ack.clone()), at(2));
    assert_eq!(sent(&said), [(Stream::Control, ToAgent::JobReportAck(ack))]);
    assert_eq!(step(&mut session, control(FromAgent::JobReport(report(90))), at(2)).len(), 1);
    let put_off = step(&mut session, control(FromAgent::JobReport(report(91))), at(2));
    let [Action::End(SessionEnd::Rejected(rejection))] = &put_off[..] else { panic!("{put_off:?}") };
    assert_eq!((rejection.code, rejection.refusal.retry_after_ms), (CloseCode::Overloaded, 5_000));
}

#[test]
fn a_report_that_no_agent_would_send_ends_the_session() {
    let (mut session, _) = live(ADMISSION);
    let long =
        v1::JobReport { job_id: "1".into(), phase: 1, reason: "r".repeat(MAX_REPORT), ..Default::default() };
    let ended = step(&mut session, control(FromAgent::JobReport(long)), at(2));
    let [Action::End(SessionEnd::Rejected(rejection))] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!(rejection.code, CloseCode::Malformed);
}

#[test]
fn heartbeats_are_answered_and_silence_ends_the_session() {
    let (mut session, _) = live(ADMISSION);
    assert_eq!(step(&mut session, control(heartbeat()), at(20)), [Action::Heartbeat]);
    // A frame on the data stream shows as well that the agent is there.
    assert!(step(&mut session, frame(Stream::Data, heartbeat()), at(40)).is_empty());
    assert_eq!(session.next_timeout(), Some(at(70)));
    assert!(step(&mut session, Event::Timeout, at(69)).is_empty());
    assert_eq!(ended(&step(&mut session, Event::Timeout, at(70))).0, CloseCode::Silent);
}

#[test]
fn a_certificate_is_renewed_now_and_then() {
    let (mut session, _) = live(ADMISSION);
    let request = v1::RenewRequest { csr_der: vec![1] };
    let ask = || control(FromAgent::Renew(v1::RenewRequest { csr_der: vec![1] }));
    assert_eq!(step(&mut session, ask(), at(2)), [Action::Renew(request.clone())]);
    assert_eq!(sent(&step(&mut session, Event::Renewed(v1::RenewResponse::default()), at(2))).len(), 1);
    assert_eq!(step(&mut session, ask(), at(12)), [Action::Renew(request)]);
    assert_eq!(ended(&step(&mut session, ask(), at(21))).0, CloseCode::Malformed);
}

#[test]
fn jobs_are_sent_until_the_control_plane_ends_the_session_and_each_end_has_its_words() {
    let job = || Event::Job(v1::Envelope::default());
    for (reason, code, word) in [
        (CloseReason::Replaced, CloseCode::Replaced, ""),
        (CloseReason::ShuttingDown, CloseCode::ShuttingDown, ""),
        (CloseReason::Revoked, CloseCode::Refused, "revoked"),
        (CloseReason::WrongCluster, CloseCode::Refused, "wrong_cluster"),
    ] {
        let (mut session, _) = live(ADMISSION);
        assert_eq!(sent(&step(&mut session, job(), at(2))).len(), 1);
        assert_eq!(ended(&step(&mut session, Event::Close(reason), at(2))), (code, word.to_owned()));
        assert!(step(&mut session, job(), at(2)).is_empty());
    }
    let (mut session, _) = live(ADMISSION);
    let broken = SessionEnd::Disconnected("reset".into());
    assert_eq!(step(&mut session, Event::End(broken.clone()), at(2)), [Action::End(broken)]);
}
