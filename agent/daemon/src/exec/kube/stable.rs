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
    let mut holding = Holding::default();
    let mut replacement = None;
    // When it was last seen otherwise, and the look before this one.
    let (mut against, mut before) = (started, None);
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
        let reached = match look.state {
            State::Over(outcome, reason) => {
                return Verdict { evidence: vec![look.seen], replacement, ..Verdict::new(outcome, reason) };
            }
            State::Reached(name) => Some(name),
            State::Unanswered | State::Pending => None,
        };
        let now = Instant::now();
        let held = holding.note(reached, now);
        match (held, before) {
            (None, _) => against = now,
            // Under another name than at the look before.
            (Some(Duration::ZERO), Some(before)) => against = before,
            (Some(_), _) => {}
        }
        before = held.map(|_| now);
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
            let too_seldom = held.is_some() && against.elapsed() >= limits.hold;
            let outcome = if unanswered || too_seldom { Outcome::Unknown } else { Outcome::Failed };
            return Verdict { replacement, ..Verdict::new(outcome, reason) };
        }
        tokio::time::sleep(limits.pace()).await;
    }
}

/// Measures for how long a state holds without a break.
#[derive(Debug, Default)]
struct Holding {
    since: Option<(Instant, String)>,
}

impl Holding {
    /// The state of this name holds (or none does, with `None`); how long it has held.
    fn note(&mut self, state: Option<String>, now: Instant) -> Option<Duration> {
        match (state, &self.since) {
            (None, _) => {
                self.since = None;
                None
            }
            (Some(state), Some((since, same))) if *same == state => Some(now.duration_since(*since)),
            (Some(state), _) => {
                self.since = Some((now, state));
                Some(Duration::ZERO)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_holds_only_without_a_break() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut holding = Holding::default();
        assert_eq!(holding.note(Some("a".into()), at(0)), Some(Duration::ZERO));
        assert_eq!(holding.note(Some("a".into()), at(5)), Some(Duration::from_secs(5)));
        assert_eq!(holding.note(None, at(6)), None);
        assert_eq!(holding.note(Some("a".into()), at(7)), Some(Duration::ZERO));
        assert_eq!(holding.note(Some("b".into()), at(9)), Some(Duration::ZERO));
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

    /// Is there, is not, and is there at the last look.
    struct Flaps(u32);

    impl Watched for Flaps {
        const STATE: &'static str = "it ready";

        fn takes_turns(&self) -> bool {
            true
        }

        async fn look(&mut self, _client: &Client, elapsed: Duration) -> Look {
            self.0 += 1;
            let there = self.0 == 1 || elapsed >= Duration::from_millis(200);
            Look::new("a look", if there { State::Reached("a".into()) } else { State::Pending })
        }
    }

    #[tokio::test]
    async fn what_was_seen_otherwise_a_moment_ago_failed() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let mut limits = Limits::of(&nimbus_protocol::v1::Job::default(), nimbus_platform::now());
        (limits.hold, limits.reach) = (Duration::from_secs(10), Duration::from_millis(200));
        let verdict = until_stable(&mut Flaps(0), limits, &client, &Looks::default()).await;
        assert_eq!(verdict.outcome, Outcome::Failed, "{}", verdict.reason);
    }
}
