//! When an autoscaler is held back by its maximum, and how far that may be raised.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// When `autoscaler_at_maximum` is opened, and the step, the ceiling and the pause of `raise_autoscaler_maximum`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Autoscalers {
    /// How long an autoscaler is seen to be held back by its maximum before a person is told: what is over sooner was a peak. Twice as long
    /// where it is not known whether it wants more now, as Kubernetes keeps the greatest wish of the last minutes.
    pub lasting_s: u32,
    /// By how much of its maximum an autoscaler's maximum is raised at once at most, percent; by one replica at least.
    pub step_percent: u32,
    /// No autoscaler may make more replicas by Nimbus.
    pub ceiling_replicas: u32,
    /// A maximum is raised no sooner after it was raised last: what was added takes its time to start, and to carry load.
    pub cool_down_s: u32,
}

impl Default for Autoscalers {
    fn default() -> Self {
        Self { lasting_s: 300, step_percent: 100, ceiling_replicas: 100, cool_down_s: 1_800 }
    }
}

impl Autoscalers {
    /// How long it is seen to be held back first.
    pub fn lasting(&self) -> SignedDuration {
        SignedDuration::from_secs(self.lasting_s.into())
    }

    /// The pause.
    pub fn cool_down(&self) -> SignedDuration {
        SignedDuration::from_secs(self.cool_down_s.into())
    }

    /// The most that an autoscaler that may make so many may be let make in one step.
    pub fn most(&self, from: u32) -> u32 {
        let step = (u64::from(from) * u64::from(self.step_percent) / 100).max(1);
        let most = u64::from(from).saturating_add(step).min(self.ceiling_replicas.into());
        u32::try_from(most).unwrap_or(self.ceiling_replicas)
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
        within("autoscalers.lasting_s", 5, 86_400, self.lasting_s)?;
        // No agent takes a larger step, or one sooner.
        within("autoscalers.step_percent", 1, 100, self.step_percent)?;
        within("autoscalers.ceiling_replicas", 2, 1_000, self.ceiling_replicas)?;
        within("autoscalers.cool_down_s", 300, 86_400, self.cool_down_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_no_agent_takes_are_named() {
        assert_eq!(Autoscalers::default().validate(), Ok(()));
        for (autoscalers, name) in [
            (Autoscalers { lasting_s: 0, ..Autoscalers::default() }, "autoscalers.lasting_s"),
            (Autoscalers { step_percent: 0, ..Autoscalers::default() }, "autoscalers.step_percent"),
            (Autoscalers { step_percent: 101, ..Autoscalers::default() }, "autoscalers.step_percent"),
            (Autoscalers { ceiling_replicas: 1, ..Autoscalers::default() }, "autoscalers.ceiling_replicas"),
            (
                Autoscalers { ceiling_replicas: 1_001, ..Autoscalers::default() },
                "autoscalers.ceiling_replicas",
            ),
            (Autoscalers { cool_down_s: 299, ..Autoscalers::default() }, "autoscalers.cool_down_s"),
        ] {
            assert_eq!(autoscalers.validate().unwrap_err().0, name);
        }
    }

    #[test]
    fn a_step_is_one_at_least_and_ends_at_the_ceiling() {
        let some = Autoscalers { step_percent: 50, ..Autoscalers::default() };
        for (from, most) in [(1, 2), (2, 3), (10, 15), (80, 100), (100, 100), (300, 100)] {
            assert_eq!(some.most(from), most, "{from}");
        }
    }
}
