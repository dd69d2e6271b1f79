//! Places the orders of `nimbus drift fix`, a few beside each other, until each is answered, Ctrl-C comes or the time is
//! over. What was ordered goes on without the command: one that ends early says how far it came.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::error::Failure;
use crate::exit::Exit;

/// How many orders are placed beside each other: on a slow way most of an order's time is the way.
const BESIDE: usize = 8;
/// How long the answers to what was sent are awaited once nothing more is sent. What is known then is worth this wait.
const GRACE: Duration = Duration::from_secs(2);

/// Why the orders ended before all were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// `--timeout`.
    TimeOver,
}

/// What became of the orders, each by its place in the list.
#[derive(Debug, Default)]
pub(super) struct Placed {
    all: usize,
    sent: usize,
    /// Those that were taken.
    pub taken: BTreeSet<usize>,
    /// Those that were refused, and why.
    pub refused: BTreeMap<usize, Failure>,
    stop: Option<Stop>,
}

/// Places `all` orders until `end` (`None`: however long it takes). `interrupted` ends at each Ctrl-C: the first one sends
/// no more, and a second one does not await the answers either. `told` hears how many were taken.
pub(super) async fn place<F>(
    all: usize,
    mut end: Option<Instant>,
    mut interrupted: impl AsyncFnMut(),
    mut order: impl FnMut(usize) -> F,
    mut told: impl FnMut(usize),
) -> Placed
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut placed = Placed { all, ..Placed::default() };
    let mut under_way = JoinSet::new();
    loop {
        while placed.stop.is_none() && under_way.len() < BESIDE && placed.sent < all {
            let (at, answer) = (placed.sent, order(placed.sent));
            under_way.spawn(async move { (at, answer.await) });
            placed.sent += 1;
        }
        if under_way.is_empty() {
            return placed;
        }
        let stop = tokio::select! {
            biased;
            () = interrupted() => Stop::Interrupted,
            () = until(end) => Stop::TimeOver,
            answered = under_way.join_next() => {
                match answered {
                    Some(Ok((at, Ok(())))) => {
                        placed.taken.insert(at);
                        told(placed.taken.len());
                    }
                    Some(Ok((at, Err(why)))) => {
                        placed.refused.insert(at, why);
                    }
                    // A task of ours ends without an answer only by a panic, which goes on here.
                    Some(Err(error)) => {
                        if let Ok(panic) = error.try_into_panic() {
                            std::panic::resume_unwind(panic);
                        }
                    }
                    None => {}
                }
                continue;
            }
        };
        if placed.stop.is_some() {
            return placed;
        }
        placed.stop = Some(stop);
        end = Some(Instant::now() + GRACE);
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

impl Placed {
    fn unanswered(&self) -> usize {
        self.sent - self.taken.len() - self.refused.len()
    }

    /// What to say where the command ends here: Ctrl-C came, or the time was over before all were ordered. `None`: it goes
    /// on to wait for the ends.
    pub fn ended_early(&self) -> Option<Failure> {
        let rest = self.all - self.taken.len() - self.refused.len();
        let stop = self.stop.filter(|stop| *stop == Stop::Interrupted || rest > 0)?;
        let nothing = self.taken.is_empty() && self.unanswered() == 0;
        let title = match stop {
            _ if nothing => "stopped before anything was ordered; nothing was changed",
            Stop::Interrupted => "stopped ordering; what was ordered goes on without this command",
            Stop::TimeOver => "the time was over before everything was ordered; what was ordered goes on",
        };
        let mut next = Vec::new();
        if !nothing {
            next.push("follow what was ordered: nimbus jobs list");
        }
        match stop {
            _ if rest == 0 => {}
            Stop::Interrupted => next.push("for the rest, run the same command again"),
            Stop::TimeOver => next.push("for the rest, run the same command again, with a longer --timeout"),
        }
        let (exit, expected, found) = match stop {
            Stop::Interrupted => (Exit::Interrupted, "every order to be placed", "Ctrl-C with "),
            Stop::TimeOver => (Exit::Error, "every order to be placed within --timeout", ""),
        };
        let failure = Failure::new(title).exit(exit).expected(expected).next(next.join("\n"));
        Some(failure.found(format!("{found}{}", self.tally())))
    }

    /// `120 of 500 ordered, 2 refused, 378 not ordered`
    fn tally(&self) -> String {
        let mut parts = vec![format!("{} of {} ordered", self.taken.len(), self.all)];
        for (number, what) in [
            (self.refused.len(), "refused"),
            (self.unanswered(), "sent without an answer: they may be ordered"),
            (self.all - self.sent, "not ordered"),
        ] {
            parts.extend((number > 0).then(|| format!("{number} {what}")));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    async fn never() {
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn all_are_placed_a_few_beside_each_other_and_a_refusal_holds_up_none() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let order = |at: usize| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                if at == 7 { Err(Failure::new("it changed")) } else { Ok(()) }
            }
        };
        let mut heard = Vec::new();
        let placed = place(50, None, never, order, |taken| heard.push(taken)).await;
        assert_eq!((placed.taken.len(), placed.refused.len()), (49, 1));
        assert!(placed.refused.contains_key(&7));
        assert_eq!(heard, (1..=49).collect::<Vec<_>>(), "one line moves");
        assert_eq!(most.load(Ordering::SeqCst), BESIDE);
        assert_eq!(placed.ended_early(), None);
    }

    #[tokio::test]
    async fn ctrl_c_while_ordering_says_how_many_were_ordered_and_that_they_go_on() {
        let pressed = Arc::new(Notify::new());
        let order = |at: usize| {
            let pressed = Arc::clone(&pressed);
            async move {
                if at == 20 {
                    pressed.notify_one();
                }
                Ok::<(), Failure>(())
            }
        };
        let placed = place(500, None, async || pressed.notified().await, order, |_| {}).await;
        let taken = placed.taken.len();
        assert!((20..500).contains(&taken), "those that were sent are still answered: {taken}");
        let failure = placed.ended_early().unwrap();
        assert_eq!(failure.exit, Exit::Interrupted);
        assert_eq!(failure.found, format!("Ctrl-C with {taken} of 500 ordered, {} not ordered", 500 - taken));
        assert!(failure.title.contains("goes on"), "{failure}");
        assert!(failure.next.contains("nimbus jobs list") && failure.next.contains("again"), "{failure}");
    }

    #[tokio::test]
    async fn a_second_ctrl_c_does_not_await_the_answers() {
        let placed = place(500, None, async || (), |_| std::future::pending(), |_| {}).await;
        let failure = placed.ended_early().unwrap();
        assert_eq!(
            failure.found,
            "Ctrl-C with 0 of 500 ordered, 8 sent without an answer: they may be ordered, 492 not ordered"
        );
    }

    #[tokio::test]
    async fn the_time_counts_while_ordering() {
        let order = |at: usize| async move {
            // The first ones are quick, the control plane is slow afterwards.
            if at < 10 { Ok::<(), Failure>(()) } else { std::future::pending().await }
        };
        let end = Some(Instant::now() + Duration::from_millis(100));
        let placed = place(30, end, never, order, |_| {}).await;
        let failure = placed.ended_early().unwrap();
        assert_eq!(failure.exit, Exit::Error);
        assert_eq!(
            failure.found,
            "10 of 30 ordered, 8 sent without an answer: they may be ordered, 12 not ordered"
        );
        assert!(failure.next.contains("jobs list") && failure.next.contains("--timeout"), "{failure}");
    }

    #[test]
    fn it_ends_early_only_where_there_is_a_rest_or_somebody_wants_it() {
        let placed =
            |stop, sent| Placed { all: 2, sent, taken: (0..sent).collect(), stop, ..Placed::default() };
        assert_eq!(placed(Some(Stop::TimeOver), 2).ended_early(), None, "the last order was just in time");
        let all = placed(Some(Stop::Interrupted), 2).ended_early().unwrap();
        assert_eq!(
            (all.next.as_str(), all.exit),
            ("follow what was ordered: nimbus jobs list", Exit::Interrupted)
        );
        let none = placed(Some(Stop::TimeOver), 0).ended_early().unwrap();
        assert!(none.title.contains("nothing was changed") && !none.next.contains("jobs list"), "{none}");
    }
}
