//! Tests of how jobs' reports travel: by the control stream, whatever waits on the data stream.

use super::tests::{SECOND, beat, connected, drain, frame, live, report, report_ack, reports, step, welcome};
use super::*;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::server_frame::Body;

/// A live session whose journal answered that it has nothing, and whose spool did too.
fn idle() -> Session {
    let mut session = live();
    step(&mut session, Event::Reports(Vec::new()), 0);
    step(&mut session, Event::NothingPending, 0);
    session
}

#[test]
fn a_report_goes_out_when_the_journal_has_it_and_is_dropped_once_it_is_acknowledged() {
    let mut session = idle();
    let (accepted, applied) = (report(1, Phase::Accepted), report(1, Phase::Applied));
    let asked = step(&mut session, Event::ReportsPending, 1);
    assert_eq!(asked, [Action::PullReports { most: REPORT_WINDOW, sent: Vec::new() }]);
    let said = step(&mut session, Event::Reports(vec![accepted.clone(), applied.clone()]), 1);
    assert_eq!(reports(&said), [accepted.clone(), applied.clone()]);
    let Some(Action::PullReports { most, sent }) = said.last() else { panic!("{said:?}") };
    assert!(*most == REPORT_WINDOW - 2 && sent[0].is(&accepted) && sent[1].is(&applied));
    assert!(!sent[0].is(&report(2, Phase::Accepted)));
    step(&mut session, Event::Reports(Vec::new()), 1);

    let ack = report_ack(&accepted);
    let after = step(&mut session, frame(Body::JobReportAck(ack.clone())), 2);
    assert_eq!(after[0], Action::ReportAcknowledged(ack.clone()));
    let Action::PullReports { sent, .. } = &after[1] else { panic!("{after:?}") };
    assert!(sent.len() == 1 && sent[0].is(&applied));
    step(&mut session, Event::Reports(Vec::new()), 2);
    assert_eq!(
        step(&mut session, frame(Body::JobReportAck(ack)), 2),
        [],
        "a second time it says nothing new"
    );
    let unknown = report_ack(&report(9, Phase::Failed));
    assert_eq!(step(&mut session, frame(Body::JobReportAck(unknown)), 2), []);
}

#[test]
fn no_more_reports_than_their_window_are_sent_at_once() {
    let mut session = idle();
    step(&mut session, Event::ReportsPending, 0);
    let all: Vec<_> = (0..REPORT_WINDOW as u64).map(|job| report(job, Phase::Failed)).collect();
    let said = step(&mut session, Event::Reports(all.clone()), 0);
    assert_eq!(
        (reports(&said).len(), said.len()),
        (REPORT_WINDOW, REPORT_WINDOW),
        "and nothing more is asked"
    );
    assert_eq!(step(&mut session, Event::ReportsPending, 0), []);
    let after = step(&mut session, frame(Body::JobReportAck(report_ack(&all[3]))), 0);
    assert!(matches!(&after[1], Action::PullReports { most: 1, sent } if sent.len() == REPORT_WINDOW - 1));
}

#[test]
fn what_is_not_acknowledged_is_sent_again_after_each_connect() {
    let mut session = idle();
    step(&mut session, Event::ReportsPending, 0);
    step(&mut session, Event::Reports(vec![report(1, Phase::Failed)]), 0);
    step(&mut session, Event::Closed("gone".into()), 1);
    assert_eq!(step(&mut session, Event::ReportsPending, 1), [], "not without a session");
    step(&mut session, Event::Timeout, 2);
    step(&mut session, connected(), 2);
    let then = step(&mut session, welcome(0), 2);
    assert_eq!(then[1], Action::PullReports { most: REPORT_WINDOW, sent: Vec::new() });
    let said = step(&mut session, Event::Reports(vec![report(1, Phase::Failed)]), 2);
    assert_eq!(reports(&said), [report(1, Phase::Failed)]);
}

#[test]
fn a_report_that_is_not_acknowledged_in_time_ends_the_session() {
    let mut session = idle();
    step(&mut session, Event::ReportsPending, 0);
    step(&mut session, Event::Reports(vec![report(1, Phase::Failed)]), 0);
    step(&mut session, Event::Reports(Vec::new()), 0);
    for second in [5, 10, 15, 20, 25] {
        step(&mut session, beat(), second);
    }
    assert_eq!(session.next_timeout(), 30 * SECOND);
    assert!(matches!(step(&mut session, beat(), 30)[..], [Action::Close { code: CloseCode::Silent, .. }]));
    assert!(session.problem().unwrap().contains("job's report"));
}

#[test]
fn a_refusal_that_no_journal_keeps_is_sent_once_and_in_bounds() {
    let refusal = |envelope: usize| v1::JobReport {
        phase: Phase::Refused.into(),
        envelope_sha256: vec![u8::try_from(envelope).unwrap(); 32],
        ..Default::default()
    };
    let mut session = idle();
    for envelope in 0..REPORT_WINDOW {
        let said = step(&mut session, Event::Refusal(Box::new(refusal(envelope))), 0);
        assert_eq!(reports(&said), [refusal(envelope)]);
    }
    assert_eq!(step(&mut session, Event::Refusal(Box::new(refusal(99))), 0), [], "one too many");
    // It is acknowledged by its envelope, which makes room and concerns no journal.
    assert_eq!(step(&mut session, frame(Body::JobReportAck(report_ack(&refusal(3)))), 0), []);
    assert_eq!(reports(&step(&mut session, Event::Refusal(Box::new(refusal(99))), 0)), [refusal(99)]);
    let mut session = Session::new(Settings::default(), Duration::ZERO);
    drain(&mut session);
    assert_eq!(step(&mut session, Event::Refusal(Box::new(refusal(1))), 0), [], "not without a session");
}

/// An outcome does not wait for the observations before it: on a slow link those may be megabytes.
#[test]
fn a_report_goes_out_while_the_window_of_observations_is_full() {
    let mut session = live();
    step(&mut session, Event::Reports(Vec::new()), 0);
    let mut sequence = 0;
    while session.in_flight() < WINDOW {
        sequence += 10;
        step(&mut session, Event::BatchSent(sequence), 0);
    }
    assert_eq!(step(&mut session, Event::Pending, 0), [], "no further batch goes out");
    step(&mut session, Event::ReportsPending, 1);
    let said = step(&mut session, Event::Reports(vec![report(1, Phase::Succeeded)]), 1);
    assert_eq!(reports(&said), [report(1, Phase::Succeeded)]);
    assert_eq!(session.in_flight(), WINDOW, "and nothing of them was acknowledged meanwhile");
}
