//! Two clocks compared over a network: this machine's, and one that somebody else showed.

use jiff::{SignedDuration, Timestamp};

use crate::check::Outcome;

/// From here a difference is a warning: people who compare logs are misled.
pub const NOTICED: SignedDuration = SignedDuration::from_secs(5);
/// From here it is a failure: certificates and jobs of a few minutes are not valid yet, or not any more.
pub const TOO_MUCH: SignedDuration = SignedDuration::from_secs(60);

/// A clock that was read over a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// This machine's clock before it asked.
    pub before: Timestamp,
    /// The clock that was shown.
    pub shown: Timestamp,
    /// How much more the shown clock may have said: a second where it shows whole seconds.
    pub grain: SignedDuration,
    /// This machine's clock when the answer was there.
    pub after: Timestamp,
}

impl Reading {
    /// How far the shown clock is certainly ahead of this machine's (negative: behind); zero where both may be right.
    pub fn ahead(&self) -> SignedDuration {
        if self.shown > self.after {
            self.shown.duration_since(self.after)
        } else {
            let latest = self.shown.saturating_add(self.grain).unwrap_or(self.shown);
            if latest < self.before { latest.duration_since(self.before) } else { SignedDuration::ZERO }
        }
    }
}

/// What a difference to the clock of `whose` means.
pub(crate) fn judge(reading: &Reading, whose: &str) -> Outcome {
    let ahead = reading.ahead();
    let apart = ahead.abs();
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    let found = format!("the clock of {whose} is {} s {side} this machine's", apart.as_secs());
    let remedy = format!(
        "let both follow one time source (chrony, systemd-timesyncd), and compare `date -u` on this machine with {whose}"
    );
    if apart >= TOO_MUCH {
        Outcome::failure(format!("{found}; expected less than {} s", TOO_MUCH.as_secs()), remedy)
    } else if apart >= NOTICED {
        Outcome::warning(format!("{found}; expected less than {} s", NOTICED.as_secs()), remedy)
    } else {
        Outcome::pass(format!(
            "this machine's clock and that of {whose} are less than {} s apart",
            NOTICED.as_secs()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn reading(shown: &str) -> Reading {
        let at = |text: &str| text.parse().unwrap();
        Reading {
            before: at("2026-11-27T08:00:00.5Z"),
            shown: at(shown),
            grain: SignedDuration::from_secs(1),
            after: at("2026-11-27T08:00:02Z"),
        }
    }

    #[test]
    fn only_what_the_way_cannot_explain_is_a_difference() {
        for (shown, seconds, verdict) in [
            ("2026-11-27T08:00:00Z", 0, Verdict::Pass),
            ("2026-11-27T08:00:02Z", 0, Verdict::Pass),
            ("2026-11-27T08:00:06Z", 4, Verdict::Pass),
            ("2026-11-27T08:00:07Z", 5, Verdict::Warning),
            ("2026-11-27T07:59:54Z", -5, Verdict::Warning),
            ("2026-11-27T08:01:02Z", 60, Verdict::Failure),
            ("2026-11-26T08:00:00Z", -86399, Verdict::Failure),
        ] {
            let reading = reading(shown);
            assert_eq!(reading.ahead().as_secs(), seconds, "{shown}");
            assert_eq!(judge(&reading, "the API server").verdict, verdict, "{shown}");
        }
    }
}
