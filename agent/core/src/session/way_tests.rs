//! Which way is taken when, over a virtual clock.

use std::time::Duration;

use super::way::{FIRST_PAUSE, HEAD_START, HOLDS, LONGEST_PAUSE, Plan, Way, Ways};

const SECOND: Duration = Duration::from_secs(1);

/// Connected over TCP at `now`, because QUIC failed.
fn over_tcp(now: Duration) -> Ways {
    let mut ways = Ways::default();
    assert_eq!(ways.plan(now).first, Way::Quic);
    ways.connected(Way::Tcp, true, now, 0);
    ways
}

#[test]
fn quic_is_first_and_tcp_follows_within_five_seconds() {
    let ways = Ways::default();
    assert_eq!(ways.plan(Duration::ZERO), Plan { first: Way::Quic, head_start: HEAD_START });
    assert_eq!(ways.plan(Duration::ZERO), Plan::default());
    assert!(HEAD_START + 2 * SECOND < 5 * SECOND, "what is left has to do for a handshake over TCP");
    assert_eq!(ways.probe_at(), None, "nothing stands");
}

#[test]
fn where_quic_fails_tcp_is_first_until_the_pause_is_over_and_a_probe_is_due_then() {
    let mut ways = over_tcp(10 * SECOND);
    let again = 10 * SECOND + FIRST_PAUSE;
    assert_eq!(ways.probe_at(), Some(again));
    ways.probe_began();
    assert_eq!(ways.probe_at(), None, "one probe at a time");
    ways.probe_failed(again, 0);
    assert_eq!(ways.probe_at(), Some(again + 2 * FIRST_PAUSE));
    ways.lost(true, again + SECOND, 0);
    assert_eq!(ways.plan(again + SECOND).first, Way::Tcp, "the pause holds over a lost TCP session");
    assert_eq!(ways.plan(again + 2 * FIRST_PAUSE).first, Way::Quic);
    assert_eq!(ways.probe_at(), None, "nothing stands, dialling tries QUIC by itself");
}

#[test]
fn the_pauses_double_up_to_half_an_hour_and_jitter_adds_at_most_a_quarter() {
    let mut ways = over_tcp(Duration::ZERO);
    let (mut now, mut pauses) = (Duration::ZERO, Vec::new());
    for _ in 0..40 {
        let at = ways.probe_at().unwrap();
        pauses.push(at.saturating_sub(now).as_secs() / 60);
        now = at;
        ways.probe_began();
        ways.probe_failed(now, 0);
    }
    pauses.dedup();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30]);
    ways.probe_failed(now, u64::MAX);
    let longest = ways.probe_at().unwrap().saturating_sub(now);
    assert!(longest > LONGEST_PAUSE && longest <= LONGEST_PAUSE * 5 / 4, "{longest:?}");
    ways.probe_failed(now, 1 << 63);
    assert_eq!(ways.probe_at().unwrap().saturating_sub(now), LONGEST_PAUSE * 9 / 8);
}

#[test]
fn quic_that_passes_a_handshake_and_no_session_is_believed_ever_less_often() {
    let mut ways = over_tcp(Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let at = ways.probe_at().unwrap();
        pauses.push(at.saturating_sub(now).as_secs() / 60);
        ways.probe_began();
        ways.probe_stands();
        ways.lost(false, at, 0);
        ways.connected(Way::Quic, false, at, 0);
        assert_eq!(ways.probe_at(), None);
        // Thirty seconds later nothing was heard any more.
        now = at + 30 * SECOND;
        ways.lost(true, now, 0);
        assert_eq!(ways.plan(now).first, Way::Tcp);
        ways.connected(Way::Tcp, false, now, 0);
    }
    assert_eq!(pauses, [1, 2, 4, 8]);
}

#[test]
fn quic_that_held_is_forgiven_and_one_that_was_closed_is_no_failure() {
    let mut ways = over_tcp(Duration::ZERO);
    for _ in 0..5 {
        ways.probe_failed(Duration::ZERO, 0);
    }
    let begun = Duration::from_hours(1);
    ways.connected(Way::Quic, false, begun, 0);
    ways.lost(false, begun + SECOND, 0);
    assert_eq!(ways.plan(begun + SECOND).first, Way::Quic, "the control plane restarted");
    ways.connected(Way::Quic, false, begun + SECOND, 0);
    let silent = begun + SECOND + HOLDS;
    ways.lost(true, silent, 0);
    assert_eq!(ways.plan(silent).first, Way::Tcp);
    assert_eq!(ways.plan(silent + FIRST_PAUSE).first, Way::Quic, "the first pause again");
}

#[test]
fn a_control_plane_that_is_away_altogether_is_no_failure_of_quic() {
    let mut ways = Ways::default();
    ways.connected(Way::Quic, false, Duration::ZERO, 0);
    ways.lost(true, 30 * SECOND, 0);
    assert_eq!(ways.plan(31 * SECOND).first, Way::Tcp);
    // Neither way answers for an hour: nothing is noted. Then QUIC is first again.
    assert_eq!(ways.plan(Duration::from_hours(1)).first, Way::Quic);
    // It came back, and TCP did not: QUIC was dialled beside TCP, and stands.
    ways.connected(Way::Quic, false, 40 * SECOND, 0);
    ways.lost(false, 41 * SECOND, 0);
    assert_eq!(ways.plan(41 * SECOND).first, Way::Quic);
}

#[test]
fn tcp_without_a_failure_of_quic_brings_no_new_pause() {
    let mut ways = over_tcp(Duration::ZERO);
    let at = ways.probe_at();
    ways.lost(false, SECOND, 0);
    ways.connected(Way::Tcp, false, 2 * SECOND, 0);
    assert_eq!(ways.probe_at(), at);
}

#[test]
fn each_way_has_its_word_and_the_other() {
    assert_eq!((Way::Quic.word(), Way::Tcp.word()), ("quic", "tcp"));
    assert_eq!((Way::Quic.other(), Way::Tcp.other()), (Way::Tcp, Way::Quic));
}
