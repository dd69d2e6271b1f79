//! When a certificate that is not renewed is told, and when its renewal is asked for anew.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The times of the incident `certificate_expiring` and of `renew_certificate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificates {
    /// For so long after it was due a renewal is left to whoever renews it, but for no more than a twentieth of the certificate's lifetime.
    pub overdue_s: u32,
    /// Where it is not known when a certificate is to be renewed, it is told so long before it expires, but in no more than the last sixth
    /// of its lifetime.
    pub warn_s: u32,
    /// A renewal that failed is asked for anew no sooner: authorities bound how often one may fail.
    pub retry_s: u32,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { overdue_s: 86_400, warn_s: 1_209_600, retry_s: 3_600 }
    }
}

impl Certificates {
    /// For how long a renewal is left alone, of a certificate that is valid for so long in all.
    pub fn overdue(&self, lifetime: Option<SignedDuration>) -> SignedDuration {
        at_most(self.overdue_s, lifetime, 20)
    }

    /// How long before its end a certificate of such a lifetime is told.
    pub fn warn(&self, lifetime: Option<SignedDuration>) -> SignedDuration {
        at_most(self.warn_s, lifetime, 6)
    }

    /// The wait after a failure.
    pub fn retry(&self) -> SignedDuration {
        SignedDuration::from_secs(self.retry_s.into())
    }

    /// The figure that makes no sense: its name, what it has to be, and what it is.
    pub(super) fn validate(&self) -> Result<(), (&'static str, String, String)> {
        let within = |name, least: u32, most: u32, found: u32| {
            if (least..=most).contains(&found) {
                Ok(())
            } else {
                Err((name, format!("to be from {least} to {most}"), found.to_string()))
            }
        };
        within("certificates.overdue_s", 1, 2_592_000, self.overdue_s)?;
        within("certificates.warn_s", 3_600, 7_776_000, self.warn_s)?;
        // No agent asks sooner.
        within("certificates.retry_s", 300, 86_400, self.retry_s)
    }
}

fn at_most(seconds: u32, lifetime: Option<SignedDuration>, part: i32) -> SignedDuration {
    let most = SignedDuration::from_secs(seconds.into());
    lifetime.map_or(most, |lifetime| most.min(lifetime / part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_for_an_hour_is_told_within_minutes_and_what_lives_for_months_within_a_day() {
        let settings = Certificates::default();
        let hours = SignedDuration::from_hours;
        assert_eq!(settings.overdue(Some(hours(1))), SignedDuration::from_mins(3));
        assert_eq!(settings.overdue(Some(hours(90 * 24))), hours(24));
        assert_eq!(settings.overdue(None), hours(24));
        assert_eq!(settings.warn(Some(hours(24))), hours(4));
        assert_eq!(settings.warn(Some(hours(365 * 24))), hours(14 * 24));
    }

    #[test]
    fn figures_that_no_agent_takes_are_named() {
        assert_eq!(Certificates::default().validate(), Ok(()));
        for (settings, name) in [
            (Certificates { overdue_s: 0, ..Certificates::default() }, "certificates.overdue_s"),
            (Certificates { warn_s: 60, ..Certificates::default() }, "certificates.warn_s"),
            (Certificates { retry_s: 299, ..Certificates::default() }, "certificates.retry_s"),
        ] {
            assert_eq!(settings.validate().unwrap_err().0, name);
        }
    }
}
