//! The one clock and the one source of ids and randomness of this process; decisions get them as arguments.

use jiff::Timestamp;
use nimbus_protocol::ids::IdSource;
use uuid::Uuid;

/// The time now, UTC.
#[allow(clippy::disallowed_methods, reason = "the shell's one clock: decisions take `now` as an argument")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// New ids: UUIDv7 of the clock and ten random bytes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ids;

impl IdSource for Ids {
    fn next_uuid(&mut self) -> Uuid {
        // Negative only before 1970; such a clock still gives unique ids, as their random part is 74 bits.
        let millis = u64::try_from(now().as_millisecond()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
    }
}

/// `base` plus up to half of it again, so that many peers that were rejected together do not come back
/// together.
pub fn jittered(base: std::time::Duration) -> std::time::Duration {
    base + base.mul_f64(rand::random_range(0.0..0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_new_each_time_and_sort_by_time() {
        let (first, second) = (Ids.next_uuid(), Ids.next_uuid());
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
        assert!(first.as_bytes()[..6] <= second.as_bytes()[..6]);
    }
}
