//! The time that an API server shows: the header `Date` of an answer, as kubectl prints it with `-v=8`.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::check::{Gathered, Unread};

/// Longest date that a header has, characters: `Fri, 27 Nov 2026 08:00:00 GMT`.
const LONGEST: usize = 29;

/// The last `Date` in what kubectl wrote to standard error.
pub fn date_of(logged: &str) -> Gathered<Timestamp> {
    let dates = logged.match_indices("Date: ").filter_map(|(at, name)| {
        let text = logged.get(at + name.len()..)?.get(..LONGEST)?;
        // The obsolete zone GMT is UTC.
        let text = text.strip_suffix("GMT").map_or(text.to_owned(), |text| format!("{text}+0000"));
        rfc2822::DateTimeParser::new().parse_timestamp(&text).ok()
    });
    dates.last().ok_or_else(|| {
        Unread::new(
            "the API server's answer shows no date",
            "compare `date -u` on this machine and on a node of the cluster",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_in_which_kubectl_logs_headers_are_read() {
        let time: Timestamp = "2026-11-27T08:01:02Z".parse().unwrap();
        let older = "I1127 08:01:02.1 99 round_trippers.go:553] Response Headers:\nI1127 08:01:02.1 99 \
                     round_trippers.go:580]     Date: Fri, 27 Nov 2026 08:01:02 GMT\nI1127 08:01:02 Content-Length: 2";
        assert_eq!(date_of(older), Ok(time));
        let newer = "\"Response\" verb=\"GET\" status=\"200 OK\" headers=<\n\tContent-Length: 2\n\tDate: Fri, 27 Nov 2026 08:01:02 GMT\n >";
        assert_eq!(date_of(newer), Ok(time));
        assert!(date_of("Date: yesterday").is_err() && date_of("").is_err());
    }
}
