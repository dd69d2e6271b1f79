//! Polls the cluster until a state has held without interruption for the required time, or until the time limit.

use std::time::{Duration, Instant};

use kube::Client;

use super::super::remedy::{Limits, Outcome, Verdict, seconds};
use crate::watch::kube::looks::Looks;

/// What one look at the cluster showed.
#[derive(Debug)]
pub(in super::super) struct Look {
    /// For people.
    pub(in super::super) seen: String,
    /// UID and name of the object that replaced the target.
    pub(in super::super) replacement: Option<(String, String)>,
    /// What it means.
    pub(in super::super) state: State,
}

/// What a look means.
#[derive(Debug)]
pub(in super::super) enum State {
    /// The cluster did not answer.
    Unanswered,
    /// Not there yet.
    Pending,
    /// There; under another name (as after a restart of a container) it has to hold anew.
    Reached(String),
    /// It will not get there, or that cannot be found out any more; why.
    Over(Outcome, String),
}

impl Look {
    /// A look that did not find a replacement.
    pub(in super::super) fn new(seen: impl Into<String>, state: State) -> Self {
        Self { seen: seen.into(), replacement: None, state }
    }
}

/// What is watched.
pub(in super::super) trait Watched: Send {
    /// The state that has to hold, as in "expected ... for 30 s".
    const STATE: &'static str;

    /// May its looks wait for those of other jobs?
    fn takes_turns(&self) -> bool;

    /// Looks once.
    fn look(&mut self, client: &Client, elapsed: Duration) -> impl Future<Output = Look> + Send;
}

/// Looks until the state held for long enough.
pub(in super::super) async fn until_stable<W: Watched>(
    watched: &mut W,
    limits: Limits,
    client: &Client,
    looks: &Looks,
) -> Verdict {
    let started = Instant::now();
    let mut holding = Holding::from(started);
    let mut replacement = None;
    loop {
        let turn = if watched.takes_turns() {
            looks.turn(limits.reach.saturating_sub(started.elapsed())).await
        } else {
            None
        };
        let look = watched.look(client, started.elapsed()).await;
        drop(turn);
        replacement = look.replacement.or(replacement);
        let unanswered = matches!(look.state, State::Unanswered);
        let shown = match look.state {
            State::Over(outcome, reason) => {
                return Verdict { evidence: vec![look.seen], replacement, ..Verdict::new(outcome, reason) };
            }
            State::Reached(name) => Shown::There(name),
            State::Unanswered => Shown::Nothing,
            State::Pending => Shown::Otherwise,
        };
        let now = Instant::now();
        let held = holding.note(shown, now, longest_gap(limits.hold));
        if held.is_some_and(|held| held >= limits.hold) {
            let reason = format!("found {} for {}", W::STATE, seconds(limits.hold));
            return Verdict {
                evidence: vec![look.seen],
                replacement,
                ..Verdict::new(Outcome::Succeeded, reason)
            };
        }
        if started.elapsed() >= limits.reach {
            let reason = format!(
                "expected {} for {} within {}, found: {}",
                W::STATE,
                seconds(limits.hold),
                seconds(limits.reach),
                look.seen
            );
            // It is there and was not seen otherwise for long enough, but it was not looked at in time: other jobs were looking.
            let too_seldom = held.is_some() && now.duration_since(holding.against) >= limits.hold;
            let outcome = if unanswered || too_seldom { Outcome::Unknown } else { Outcome::Failed };
            return Verdict { replacement, ..Verdict::new(outcome, reason) };
        }
        tokio::time::sleep(limits.pace()).await;
    }
}

/// What may have happened between two looks that are further apart than this, nobody saw: a state that has to hold for
/// `hold` is then begun anew.
fn longest_gap(hold: Duration) -> Duration {
    (hold / 3).max(Duration::from_secs(5))
}

/// What a look showed of the state that has to hold.
#[derive(Debug)]
enum Shown {
    /// It is there, under this name.
    There(String),
    /// It is not.
    Otherwise,
    /// The cluster did not answer: neither.
    Nothing,
}

/// Measures for how long a state holds without a break.
#[derive(Debug)]
struct Holding {
    since: Option<(Instant, String)>,
    /// The last look that showed it.
    last: Instant,
    /// Up to when it was seen otherwise, or not looked at yet.
    against: Instant,
}

impl Holding {
    fn from(started: Instant) -> Self {
        Self { since: None, last: started, against: started }
    }

    /// What a look showed; how long the state has held.
    fn note(&mut self, shown: Shown, now: Instant, longest_gap: Duration) -> Option<Duration> {
        let name = match shown {
            Shown::There(name) => name,
            Shown::Otherwise => {
                (self.since, self.against) = (None, now);
                return None;
            }
            Shown::Nothing => {
                self.since = None;
                return None;
            }
        };
        let before = std::mem::replace(&mut self.last, now);
        if let Some((since, same)) = &self.since {
            if *same != name {
                // It changed at some time after the look before.
                self.against = before;
            } else if now.duration_since(before) <= longest_gap {
                return Some(now.duration_since(*since));
            }
        }
        self.since = Some((now, name));
        Some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(name: &str) -> Shown {
        Shown::There(name.to_owned())
    }

    /// For how long it has held at the last of these looks, in seconds, and up to when it was seen otherwise.
    fn after(looks: impl IntoIterator<Item = (u64, Shown)>) -> (Option<u64>, u64) {
        let start = Instant::now();
        let mut holding = Holding::from(start);
        let mut held = None;
        for (at, shown) in looks {
            held = holding.note(shown, start + Duration::from_secs(at), Duration::from_secs(10));
        }
        (held.map(|held| held.as_secs()), holding.against.duration_since(start).as_secs())
    }

    #[test]
    fn a_state_holds_only_without_a_break() {
        use Shown::{Nothing, Otherwise};
        assert_eq!(after([(0, there("a"))]), (Some(0), 0));
        assert_eq!(after([(0, there("a")), (5, there("a")), (9, there("a"))]), (Some(9), 0));
        assert_eq!(after([(0, there("a")), (5, Otherwise)]), (None, 5));
        assert_eq!(after([(0, there("a")), (5, Otherwise), (6, there("a"))]), (Some(0), 5));
        let renamed = [(1, there("a")), (4, there("a")), (9, there("b"))];
        assert_eq!(after(renamed), (Some(0), 4), "it changed at some time after the look before");
        let silent = [(0, there("a")), (5, Nothing), (6, there("a"))];
        assert_eq!(after(silent), (Some(0), 0), "nothing was seen, so nothing otherwise either");
    }

    #[test]
    fn what_was_not_looked_at_for_long_is_begun_anew() {
        assert_eq!(after([(0, there("a")), (10, there("a"))]), (Some(10), 0));
        assert_eq!(after([(0, there("a")), (11, there("a"))]), (Some(0), 0));
        assert_eq!(after([(0, there("a")), (11, there("a")), (20, there("a"))]), (Some(9), 0));
        assert_eq!(longest_gap(Duration::from_secs(30)), Duration::from_secs(10));
        assert_eq!(longest_gap(Duration::from_millis(500)), Duration::from_secs(5));
    }

    /// Shows this once.
    struct Shows(Option<State>);

    impl Watched for Shows {
        const STATE: &'static str = "it ready";

        fn takes_turns(&self) -> bool {
            true
        }

        async fn look(&mut self, _client: &Client, _elapsed: Duration) -> Look {
            Look::new("a look", self.0.take().unwrap())
        }
    }

    #[tokio::test]
    async fn the_last_look_decides_between_failed_and_unknown() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let mut limits = Limits::of(&nimbus_protocol::v1::Job::default(), nimbus_platform::now());
        (limits.hold, limits.reach) = (Duration::ZERO, Duration::ZERO);
        let over = || State::Over(Outcome::Failed, "crash-loops".into());
        for (state, outcome) in [
            (State::Reached("a".into()), Outcome::Succeeded),
            (State::Pending, Outcome::Failed),
            (State::Unanswered, Outcome::Unknown),
            (over(), Outcome::Failed),
        ] {
            let verdict = until_stable(&mut Shows(Some(state)), limits, &client, &Looks::default()).await;
            assert_eq!(verdict.outcome, outcome, "{}", verdict.reason);
        }
    }

    #[tokio::test]
    async fn where_others_look_all_the_time_what_is_there_is_unknown_and_not_failed() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let mut limits = Limits::of(&nimbus_protocol::v1::Job::default(), nimbus_platform::now());
        (limits.hold, limits.reach) = (Duration::from_millis(50), Duration::from_millis(100));
        let looks = Looks::default();
        let busy = (looks.turn(Duration::ZERO).await, looks.turn(Duration::ZERO).await);
        assert!(busy.0.is_some() && busy.1.is_some());
        for (state, outcome) in
            [(State::Reached("a".into()), Outcome::Unknown), (State::Pending, Outcome::Failed)]
        {
            let verdict = until_stable(&mut Shows(Some(state)), limits, &client, &looks).await;
            assert_eq!(verdict.outcome, outcome, "{}", verdict.reason);
        }
    }

    /// Is there, is not, and is there again from 300 ms on; whether it was seen otherwise.
    struct Flaps(u32, bool);

    impl Watched for Flaps {
        const STATE: &'static str = "it ready";

        fn takes_turns(&self) -> bool {
            true
        }

        async fn look(&mut self, _client: &Client, elapsed: Duration) -> Look {
            self.0 += 1;
            let there = self.0 == 1 || elapsed >= Duration::from_millis(300);
            self.1 |= !there;
            Look::new("a look", if there { State::Reached("a".into()) } else { State::Pending })
        }
    }

    #[tokio::test]
    async fn what_was_seen_otherwise_a_moment_ago_failed() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let mut limits = Limits::of(&nimbus_protocol::v1::Job::default(), nimbus_platform::now());
        (limits.hold, limits.reach) = (Duration::from_millis(250), Duration::from_millis(300));
        let mut flaps = Flaps(0, false);
        let verdict = until_stable(&mut flaps, limits, &client, &Looks::default()).await;
        assert!(flaps.1, "it was seen otherwise");
        assert_eq!(verdict.outcome, Outcome::Failed, "{}", verdict.reason);
    }
}
