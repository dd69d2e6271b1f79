//! Which of several control planes on one database leads, as a state machine without I/O or a clock.
//!
//! The lease is two rows of the database: the newest epoch, which says who leads, and until when its lease holds, by the
//! database's own clock. The server sends each [`Request`] that [`Leadership::step`] gives and hands the answer to
//! [`Leadership::answer`]. `now` is a monotonic clock's time, as the duration since any fixed instant of this process; no
//! clocks of two machines are ever compared.
//!
//! Why two never lead at once:
//!
//! * The lease is only taken in a transaction that finds it over ([`is_over`]) by the database's clock and takes the next
//!   epoch, so of two that try, one loses. It is only renewed in one that finds its own epoch the newest.
//! * A leader believes for [`BELIEF`], counted from before its last renewal was sent; the lease holds for [`LEASE`], counted
//!   from when the database took it, which is later. The clocks' rates may differ by a tenth.
//! * Whatever a leader believes, the store compares its epoch in every transaction that writes, and holds the row until the
//!   end: that is the fence, and it is independent of everything here.
//! * What is only sent, and not written, is held back by the belief: the server's gateway looks at it before it hands a job on.
//!
//! Who has led and does not believe it any more never leads again: the process ends and starts anew.

pub mod replicas;
#[cfg(test)]
mod tests;

use std::time::Duration;

/// How long the lease holds after it was taken or renewed, by the database's clock.
pub const LEASE: Duration = Duration::from_secs(5);
/// How long a leader believes that it leads after it asked for what was granted, by its own clock.
pub const BELIEF: Duration = Duration::from_secs(4);
/// Between two renewals.
pub const RENEW: Duration = Duration::from_secs(1);
/// Between two looks of one that stands by.
pub const LOOK: Duration = Duration::from_millis(250);
/// Longest wait for an answer of the database; whoever asks hands in [`Answer::Failed`] then.
pub const PATIENCE: Duration = Duration::from_millis(1500);

/// Is a lease until `until` over at `now`? Both are microseconds since 1970 by the database's clock; without a lease there
/// is nothing to wait for.
pub fn is_over(until: Option<i64>, now: i64) -> bool {
    until.is_none_or(|until| until <= now)
}

/// Until when a lease holds that is taken or renewed at `now`, microseconds since 1970 by the database's clock.
pub fn until(now: i64) -> i64 {
    now.saturating_add(i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX))
}

/// What to ask the database for, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Take the lease and the next epoch, if the lease is over.
    Take,
    /// Renew the lease, if this control plane's epoch is the newest.
    Renew,
}

/// What the database answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The lease is taken, under this epoch.
    Taken(u64),
    /// Another one holds it.
    Held,
    /// It is renewed.
    Renewed,
    /// Another one took a later epoch.
    Superseded,
    /// No answer in time, or an error. The effect may still come.
    Failed,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send this, and hand back its answer within [`PATIENCE`].
    Send(Request),
    /// Nothing until this monotonic time.
    WaitUntil(Duration),
    /// End: this one has led, and does not any more.
    End(Lost),
}

/// Why a leader does not lead any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The lease could not be renewed in time.
    Lapsed,
    /// Another one leads.
    Superseded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    StandingBy,
    Leading { epoch: u64, until: Duration },
    Lost(Lost),
}

/// One control plane's part in the lease.
#[derive(Debug)]
pub struct Leadership {
    role: Role,
    /// When the request that waits for its answer was sent.
    asked: Option<Duration>,
    next: Duration,
}

impl Leadership {
    /// One that stands by and looks at once.
    pub fn new(now: Duration) -> Self {
        Self { role: Role::StandingBy, asked: None, next: now }
    }

    /// The epoch under which this one leads at `now`; `None` when it does not.
    pub fn epoch(&self, now: Duration) -> Option<u64> {
        match self.role {
            Role::Leading { epoch, until } if now < until => Some(epoch),
            Role::Leading { .. } | Role::StandingBy | Role::Lost(_) => None,
        }
    }

    /// Until when it leads unless it renews before; `None` when it does not lead.
    pub fn believes_until(&self) -> Option<Duration> {
        match self.role {
            Role::Leading { until, .. } => Some(until),
            Role::StandingBy | Role::Lost(_) => None,
        }
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Duration) -> Step {
        let (request, until) = match self.role {
            Role::Lost(why) => return Step::End(why),
            Role::Leading { until, .. } if now >= until => {
                self.role = Role::Lost(Lost::Lapsed);
                return Step::End(Lost::Lapsed);
            }
            Role::Leading { until, .. } => (Request::Renew, until),
            Role::StandingBy => (Request::Take, Duration::MAX),
        };
        if let Some(asked) = self.asked {
            return Step::WaitUntil(until.min(asked + PATIENCE));
        }
        if now < self.next {
            return Step::WaitUntil(until.min(self.next));
        }
        self.asked = Some(now);
        Step::Send(request)
    }

    /// Takes the answer to the request that was sent last. One that answers no request, or another one, changes nothing.
    pub fn answer(&mut self, answer: Answer, now: Duration) {
        let Some(asked) = self.asked.take() else { return };
        self.next = now + LOOK;
        match (self.role, answer) {
            // A belief that is over does not come back: what was to end with it is ending.
            (Role::Leading { until, .. }, _) if now >= until => self.role = Role::Lost(Lost::Lapsed),
            (Role::StandingBy, Answer::Taken(epoch)) | (Role::Leading { epoch, .. }, Answer::Renewed) => {
                self.role = Role::Leading { epoch, until: asked + BELIEF };
                self.next = asked + RENEW;
            }
            (Role::Leading { .. }, Answer::Superseded) => self.role = Role::Lost(Lost::Superseded),
            (Role::StandingBy, Answer::Held | Answer::Renewed | Answer::Superseded | Answer::Failed)
            | (Role::Leading { .. }, Answer::Taken(_) | Answer::Held | Answer::Failed)
            | (Role::Lost(_), _) => {}
        }
    }
}
