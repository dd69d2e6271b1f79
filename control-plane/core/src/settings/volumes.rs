//! How far volumes may grow by Nimbus.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The step, the ceiling and the pause of `expand_volume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Volumes {
    /// By how much of what its claim asks for a volume grows at once, percent.
    pub step_percent: u32,
    /// No claim asks for more than so many GiB by Nimbus.
    pub ceiling_gib: u32,
    /// A claim grows no sooner after it grew last. Storage systems have bounds of their own: for long Amazon's EBS changed one volume
    /// once in six hours.
    pub cool_down_s: u32,
}

impl Default for Volumes {
    fn default() -> Self {
        Self { step_percent: 50, ceiling_gib: 1_024, cool_down_s: 21_600 }
    }
}

impl Volumes {
    /// The ceiling in bytes.
    pub fn ceiling(&self) -> u64 {
        u64::from(self.ceiling_gib) << 30
    }

    /// The pause.
    pub fn cool_down(&self) -> SignedDuration {
        SignedDuration::from_secs(self.cool_down_s.into())
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
        // No agent takes a larger step, or one sooner.
        within("volumes.step_percent", 10, 100, self.step_percent)?;
        within("volumes.ceiling_gib", 1, 65_536, self.ceiling_gib)?;
        within("volumes.cool_down_s", 3_600, 604_800, self.cool_down_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_no_agent_takes_are_named() {
        assert_eq!(Volumes::default().validate(), Ok(()));
        for (volumes, name) in [
            (Volumes { step_percent: 9, ..Volumes::default() }, "volumes.step_percent"),
            (Volumes { step_percent: 101, ..Volumes::default() }, "volumes.step_percent"),
            (Volumes { ceiling_gib: 0, ..Volumes::default() }, "volumes.ceiling_gib"),
            (Volumes { cool_down_s: 3_599, ..Volumes::default() }, "volumes.cool_down_s"),
        ] {
            assert_eq!(volumes.validate().unwrap_err().0, name);
        }
    }
}
