//! Which way to the control plane is taken: QUIC, or TCP where UDP does not get through.
//!
//! QUIC is first. Where it fails, or has not answered after [`HEAD_START`], TCP is tried at once beside it, and whichever stands
//! first is taken. Over TCP, QUIC is tried again by a probe beside the session, after pauses that double from
//! [`FIRST_PAUSE`] to [`LONGEST_PAUSE`]; a QUIC session that falls silent counts as such a failure too, so that a network
//! that lets a handshake pass and no session is not believed again and again. A QUIC session that lasted for [`HOLDS`]
//! takes the pauses back to the first. That TCP fails as well says nothing about QUIC: then nothing is noted.
//!
//! What is sent and acknowledged does not depend on the way.

use std::time::Duration;

/// A way to the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// QUIC, over UDP.
    Quic,
    /// gRPC over HTTP/2, over TCP.
    Tcp,
}

impl Way {
    /// The word in status and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        }
    }

    /// The one that this one is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Quic => Self::Tcp,
            Self::Tcp => Self::Quic,
        }
    }
}

/// How long the way that is tried first is alone. A handshake over a slow satellite takes less than that.
pub const HEAD_START: Duration = Duration::from_secs(2);
/// The pause after the first failure of QUIC, before it is tried again.
pub const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The longest pause, without the quarter that jitter may add.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(30);
/// A QUIC session that lasted so long shows that the network lets QUIC through.
pub const HOLDS: Duration = Duration::from_mins(10);

/// How to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The way to begin with.
    pub first: Way,
    /// After so long without an answer, or at once when it fails, the other way is tried beside it.
    pub head_start: Duration,
}

impl Default for Plan {
    /// For a peer of which nothing is known yet.
    fn default() -> Self {
        Self { first: Way::Quic, head_start: HEAD_START }
    }
}

/// What is known about the ways. Times are a monotonic clock's, as in [`super::Session`].
#[derive(Debug, Default)]
pub struct Ways {
    /// Failures of QUIC since it last held.
    failures: u32,
    /// When QUIC may be tried again.
    quic_at: Duration,
    /// The way of the connection that stands, and since when it does.
    live: Option<(Way, Duration)>,
    /// A probe is under way.
    probing: bool,
}

impl Ways {
    /// How to dial at `now`.
    pub fn plan(&self, now: Duration) -> Plan {
        let first = if now >= self.quic_at { Way::Quic } else { Way::Tcp };
        Plan { first, head_start: HEAD_START }
    }

    /// A connection stands. `quic_failed`: QUIC was tried for it and failed, or did not answer in time.
    pub fn connected(&mut self, way: Way, quic_failed: bool, now: Duration, random: u64) {
        self.live = Some((way, now));
        match way {
            // Whether it holds is not known yet: the count of failures stays.
            Way::Quic => self.quic_at = now,
            Way::Tcp if quic_failed => self.failed(now, random),
            Way::Tcp => {}
        }
    }

    /// The connection is over. `silent`: the peer was not heard any more, instead of that one side ended it.
    pub fn lost(&mut self, silent: bool, now: Duration, random: u64) {
        let Some((way, since)) = self.live.take() else { return };
        match way {
            Way::Quic => {
                if now.saturating_sub(since) >= HOLDS {
                    self.failures = 0;
                }
                if silent {
                    self.failed(now, random);
                }
            }
            // Where TCP breaks, the network may have changed; the pauses bound how often QUIC is tried all the same.
            Way::Tcp => {}
        }
    }

    /// When to probe QUIC; `None` while there is no reason to.
    pub fn probe_at(&self) -> Option<Duration> {
        match self.live {
            Some((Way::Tcp, _)) if !self.probing => Some(self.quic_at),
            Some((Way::Tcp | Way::Quic, _)) | None => None,
        }
    }

    /// A probe begins.
    pub fn probe_began(&mut self) {
        self.probing = true;
    }

    /// The probe failed.
    pub fn probe_failed(&mut self, now: Duration, random: u64) {
        self.probing = false;
        self.failed(now, random);
    }

    /// The probe stands: its connection takes over.
    pub fn probe_stands(&mut self) {
        self.probing = false;
    }

    fn failed(&mut self, now: Duration, random: u64) {
        let doubled = FIRST_PAUSE.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let pause = doubled.min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1).min(31);
        // Up to a quarter more, so that the agents of one site do not probe together. The product of 64 bits and a
        // quarter of half an hour in nanoseconds fits 128 bits, and its upper half is below that quarter.
        let jitter = ((pause.as_nanos() / 4) * u128::from(random)) >> 64;
        self.quic_at = now + pause + Duration::from_nanos(u64::try_from(jitter).unwrap_or(0));
    }
}
