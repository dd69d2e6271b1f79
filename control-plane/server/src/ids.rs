//! The one source of ids of this process; decisions get it as an argument.

use nimbus_protocol::ids::IdSource;
use uuid::Uuid;

/// New ids: UUIDv7 of the clock and ten random bytes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ids;

impl IdSource for Ids {
    fn next_uuid(&mut self) -> Uuid {
        // Negative only before 1970; such a clock still gives unique ids, as their random part is 74 bits.
        let millis = u64::try_from(nimbus_platform::now().as_millisecond()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
    }
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
