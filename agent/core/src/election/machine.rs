//! The election as a state machine: which request to send to the API server next, and how each answer changes the
//! state.

use std::time::Duration;

use jiff::Timestamp;

use super::lease::{next_term, plausible_term};
use super::{Answer, Leadership, Lease, MIN_DURATION, Request, Step};

/// Longest wait of a standby between two looks at the Lease.
const LOOK: Duration = Duration::from_secs(2);
/// Shortest wait after a failure.
const RETRY: Duration = Duration::from_millis(200);

/// What the replica does next.
#[derive(Debug, Clone)]
enum State {
    /// It reads the Lease.
    Looking,
    /// It makes the Lease, which nobody holds then.
    Making,
    /// It takes the Lease, which was free or its own when it was read.
    Taking(Lease),
    /// It holds the Lease, and renews it.
    Holding(Lease),
    /// It held this Lease, somebody else wrote it, and what stands there now is to be read.
    Overwritten(Lease),
}

/// The election, as one replica sees it.
#[derive(Debug)]
pub struct Election {
    identity: String,
    duration: Duration,
    competing: bool,
    state: State,
    leadership: Leadership,
    /// When the next request is due.
    due: Duration,
    /// When the request in flight was sent, before it left.
    sent: Duration,
    /// The version of the Lease that was last seen, and when it was first seen.
    unchanged: Option<(String, Duration)>,
    /// The highest term that this replica saw and believes: what it begins is above it, whatever the Lease says by then.
    highest: u64,
    problem: Option<String>,
}

impl Election {
    /// Elects `identity`, which no other replica has, by a Lease that holds for `duration` (whole seconds, at least
    /// [`MIN_DURATION`]) after a renewal.
    pub fn new(identity: String, duration: Duration) -> Self {
        Self {
            identity,
            // A fraction would let another replica take the Lease while this one believes in it.
            duration: Duration::from_secs(duration.max(MIN_DURATION).as_secs()),
            competing: true,
            state: State::Looking,
            leadership: Leadership::Unknown,
            due: Duration::ZERO,
            sent: Duration::ZERO,
            unchanged: None,
            highest: 0,
            problem: None,
        }
    }

    /// Who holds the Lease, as far as this replica knows. Ask [`Leadership::term`] whether it leads at a given time.
    pub fn leadership(&self) -> Leadership {
        self.leadership
    }

    /// What the last answer failed with; `None` when it was one that could be used.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// How long to wait for an answer: a request that hangs must not outlast the lease.
    pub fn patience(&self) -> Duration {
        self.duration / 3
    }

    /// Whether to compete for the Lease. A replica that leads and is not to compete stops leading at once, and the next
    /// [`Step`] gives the Lease back: in the other order two replicas would believe it for a moment.
    pub fn compete(&mut self, competing: bool) {
        self.competing = competing;
        self.due = Duration::ZERO;
        self.unchanged = None;
        if !competing {
            self.leadership = Leadership::Standby;
        }
    }

    /// What to do at `now`. A request that is given is the one in flight until its answer is handed to
    /// [`Self::answer`]; one without an answer is given up by asking again.
    pub fn poll(&mut self, now: Duration, wall: Timestamp) -> Step {
        if !self.competing {
            let state = std::mem::replace(&mut self.state, State::Looking);
            return match state {
                State::Holding(lease) | State::Overwritten(lease) => {
                    Step::Send(Request::Replace(lease.released(wall)))
                }
                State::Looking | State::Making | State::Taking(_) => Step::Rest,
            };
        }
        if now < self.due {
            return Step::WaitUntil(self.due);
        }
        self.sent = now;
        Step::Send(match &self.state {
            State::Looking | State::Overwritten(_) => Request::Get,
            State::Making => Request::Create(Lease::new(self.highest, self.duration)),
            State::Taking(lease) => {
                let term = next_term(self.highest, wall);
                Request::Replace(lease.clone().acquired_by(&self.identity, term, self.duration, wall))
            }
            State::Holding(lease) => Request::Replace(lease.clone().renewed_at(wall)),
        })
    }

    /// For one who does not compete any more: gives `found` back, which was read anew, where it is this replica's own. A renewal
    /// whose answer was not waited for makes it another version than the one that [`Self::poll`] would replace.
    pub fn give_back(&self, found: Lease, wall: Timestamp) -> Option<Request> {
        let is_own = !self.competing && found.is_of(&self.identity);
        is_own.then(|| Request::Replace(found.released(wall)))
    }

    /// Takes the answer to the request that the last [`Self::poll`] gave.
    pub fn answer(&mut self, answer: Answer, now: Duration, wall: Timestamp) {
        if !self.competing {
            // The answer to giving the Lease back, or one that came too late: it is read anew before it is taken again.
            return;
        }
        // What was in the way stays told until the Lease is held or followed: that it can be read says nothing of writing it.
        let state = std::mem::replace(&mut self.state, State::Looking);
        match (state, answer) {
            (State::Looking | State::Making, Answer::Lease(lease)) => self.found(lease, now, wall),
            (State::Taking(before) | State::Holding(before), Answer::Lease(lease)) => {
                self.written(&before, lease, now, wall);
            }
            (State::Overwritten(before), Answer::Lease(lease)) => {
                // While it still names this replica and term, only its version was old.
                if lease.is_of(&self.identity) && lease.term == before.term {
                    self.state = State::Holding(lease);
                    self.due = now;
                } else {
                    self.found(lease, now, wall);
                }
            }
            (
                State::Looking | State::Overwritten(_) | State::Taking(_) | State::Holding(_),
                Answer::Absent,
            ) => {
                self.leadership = Leadership::Unknown;
                self.state = State::Making;
                self.due = now;
            }
            (State::Holding(before), Answer::Conflict) => {
                self.state = State::Overwritten(before);
                self.due = now;
            }
            // Another replica was faster.
            (State::Taking(_) | State::Making, Answer::Conflict) => self.due = now + self.pace(),
            // Neither is an answer to such a request; the Lease is read again.
            (State::Looking | State::Overwritten(_), Answer::Conflict) => self.failed("a conflict", now),
            (State::Making, Answer::Absent) => {
                self.failed("that it cannot be made: its namespace is gone", now);
            }
            (state, Answer::Failed(why)) => {
                // One who does not lead any more reads the Lease anew, and takes it under a new term.
                if matches!(state, State::Holding(_) | State::Overwritten(_)) && self.leads(now) {
                    self.state = state;
                }
                self.failed(&why, now);
            }
        }
    }

    /// A Lease that this replica does not hold was read.
    fn found(&mut self, lease: Lease, now: Duration, wall: Timestamp) {
        self.see(lease.term, wall);
        let held_by_another = lease.is_held() && !lease.is_of(&self.identity);
        self.leadership = if held_by_another { Leadership::Standby } else { Leadership::Unknown };
        if self.may_take(&lease, now) {
            self.state = State::Taking(lease);
            self.due = now;
        } else {
            if held_by_another {
                self.problem = None;
            }
            self.due = now + self.pace();
        }
    }

    /// Given back, this replica's own from before, or unchanged for its whole duration while this replica looked on.
    fn may_take(&mut self, lease: &Lease, now: Duration) -> bool {
        if lease.is_released() || lease.is_of(&self.identity) {
            return true;
        }
        match &self.unchanged {
            Some((version, since)) if *version == lease.version => {
                now.saturating_sub(*since) >= lease.patience(self.duration)
            }
            Some(_) | None => {
                self.unchanged = Some((lease.version.clone(), now));
                false
            }
        }
    }

    /// The Lease was taken or renewed.
    fn written(&mut self, before: &Lease, lease: Lease, now: Duration, wall: Timestamp) {
        if lease.version == before.version || !lease.is_of(&self.identity) {
            // A standby that sees the same version takes it for not renewed.
            self.failed("a Lease that was not changed by writing it", now);
            return;
        }
        self.see(lease.term, wall);
        self.problem = None;
        self.unchanged = None;
        self.leadership = Leadership::Leading { term: lease.term, until: self.sent + self.duration / 5 * 4 };
        self.due = self.sent + self.duration / 3;
        self.state = State::Holding(lease);
    }

    fn failed(&mut self, found: &str, now: Duration) {
        if !self.leads(now) {
            self.leadership = Leadership::Unknown;
        }
        self.problem = Some(found.to_owned());
        self.due = now + (self.duration / 10).max(RETRY);
    }

    fn leads(&self, now: Duration) -> bool {
        self.leadership.term(now).is_some()
    }

    fn see(&mut self, term: u64, wall: Timestamp) {
        self.highest = plausible_term(self.highest, wall).max(plausible_term(term, wall));
    }

    fn pace(&self) -> Duration {
        (self.duration / 5).min(LOOK)
    }
}
