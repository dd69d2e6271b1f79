//! The shell's one clock and its one source of ids; every decision below takes `now` as an argument.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The time of day.
#[allow(clippy::disallowed_methods, reason = "the daemon's one clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A monotonic clock, as the time since this process first asked for it.
pub fn monotonic() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// The time of day, in microseconds since the Unix epoch, as times travel on the wire.
pub fn now_us() -> i64 {
    nimbus_protocol::to_micros(now())
}
