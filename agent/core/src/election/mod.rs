//! Leader election among the agents of one cluster: the holder of a `coordination.k8s.io/v1` Lease is the one that
//! watches and changes the cluster.
//!
//! [`Election`] is a state machine without I/O or a clock. The daemon sends each [`Request`] that [`Election::poll`]
//! gives, hands the API server's [`Answer`] to [`Election::answer`], and publishes [`Election::leadership`]. `now` is a
//! monotonic clock's time, as the duration since any fixed instant of this process; `wall` is the time of day.
//!
//! Why two replicas never lead at once:
//!
//! * Only a replacement of the Lease under its resourceVersion makes a leader, so of two that try, one loses.
//! * Clocks of replicas are not compared. A leader believes for four fifths of the duration, counted from before its
//!   last renewal was sent. A standby takes the Lease over only when it saw it unchanged for the whole duration, by its
//!   own clock. The clocks' rates may differ by a tenth.
//! * A Lease is free at once only where its last leader wrote that it gave it back, and it is this replica's own only
//!   where both places that name the leader name this replica. Anything else (made anew, holder removed, edited by
//!   hand) is watched for the whole duration first, because a leader may still believe in what stood there before.
//!   So the first election of a cluster, whose Lease is only just made, takes one duration.
//!
//! Every takeover begins a new term, also by the same replica after a restart. A term is higher than what the Lease
//! says, than every term that this process saw, and at least the minutes since 1970. So terms grow even when somebody
//! deletes the Lease, unless leaders changed more often than once a minute before and the next one saw none of them.

mod lease;
mod machine;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use lease::Lease;
pub use machine::Election;

/// Shortest duration of a lease; the Lease keeps whole seconds.
pub const MIN_DURATION: Duration = Duration::from_secs(2);
/// Longest duration that another replica's Lease is waited for, whatever it says.
pub const MAX_DURATION: Duration = Duration::from_hours(1);

/// Who holds the Lease, as far as this replica knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leadership {
    /// Not known: the Lease could not be read or written, or nobody holds it yet.
    #[default]
    Unknown,
    /// Another replica holds it, or this one does not compete.
    Standby,
    /// This replica leads.
    Leading {
        /// Under this term.
        term: u64,
        /// Until this monotonic time, unless the Lease is renewed before.
        until: Duration,
    },
}

impl Leadership {
    /// The term under which this replica leads at the monotonic time `now`; `None` when it does not.
    pub fn term(&self, now: Duration) -> Option<u64> {
        match self {
            Self::Leading { term, until } if now < *until => Some(*term),
            Self::Leading { .. } | Self::Standby | Self::Unknown => None,
        }
    }
}

/// What to ask the API server for. One request at a time; one that got no answer in time is answered by
/// [`Answer::Failed`], and its effect may still come.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Read the Lease.
    Get,
    /// Make the Lease.
    Create(Lease),
    /// Replace the Lease, under the resourceVersion in it.
    Replace(Lease),
}

/// What the API server answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The Lease, as it was read or written.
    Lease(Lease),
    /// There is no such Lease (404).
    Absent,
    /// Somebody else wrote it meanwhile, or made it (409).
    Conflict,
    /// Any other error, or no answer: why, for people.
    Failed(String),
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Send this, within [`Election::patience`], and hand back its answer.
    Send(Request),
    /// Nothing until this monotonic time.
    WaitUntil(Duration),
    /// Nothing until [`Election::compete`] is called.
    Rest,
}
