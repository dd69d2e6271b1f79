//! When a workload that asks for it is scaled out, how far, and when back in.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Thresholds are whole multiples of so many percent: what moves by less is no news, and nobody looks again for it.
pub const WHOLE_PERCENT: u32 = 5;

/// The thresholds, times and steps of `scale_workload`. How far one may be scaled out its own label states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// From so much of the CPU that its pods ask for on it is busy, percent.
    pub busy_percent: u32,
    /// For so long it is busy before it is scaled out.
    pub busy_s: u32,
    /// Up to so much one that was scaled out is busy no more, percent.
    pub calm_percent: u32,
    /// For so long before it is scaled in.
    pub calm_s: u32,
    /// By how many percent of its pods it is scaled out at once at most; by one pod at least.
    pub step_percent: u32,
    /// None has more pods by Nimbus, whatever its label says.
    pub ceiling_replicas: u32,
    /// It is scaled no sooner after it was scaled last.
    pub cool_down_s: u32,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            busy_percent: 80,
            busy_s: 300,
            calm_percent: 50,
            calm_s: 900,
            step_percent: 100,
            ceiling_replicas: 100,
            cool_down_s: 300,
        }
    }
}

impl Load {
    /// From so many thousandths on it is busy.
    pub fn busy(&self) -> u64 {
        u64::from(self.busy_percent) * 10
    }

    /// Up to so many thousandths it is calm.
    pub fn calm(&self) -> u64 {
        u64::from(self.calm_percent) * 10
    }

    /// What it is to be afterwards, thousandths: between both, so that neither is near.
    pub fn aim(&self) -> u64 {
        (self.busy() + self.calm()).div_ceil(2).max(1)
    }

    /// How long it is busy first.
    pub fn busy_for(&self) -> SignedDuration {
        SignedDuration::from_secs(self.busy_s.into())
    }

    /// How long it is calm first.
    pub fn calm_for(&self) -> SignedDuration {
        SignedDuration::from_secs(self.calm_s.into())
    }

    /// The pause.
    pub fn cool_down(&self) -> SignedDuration {
        SignedDuration::from_secs(self.cool_down_s.into())
    }

    /// How many pods are as busy as is aimed at, where so many are this busy (thousandths).
    pub fn suits(&self, from: u32, permille: u64) -> u32 {
        let pods = u64::from(from).saturating_mul(permille).div_ceil(self.aim());
        u32::try_from(pods).unwrap_or(u32::MAX)
    }

    /// The most that one with so many pods may be given in one step.
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
        let step = WHOLE_PERCENT;
        let whole = |name, found: u32| {
            if found.is_multiple_of(step) {
                Ok(())
            } else {
                Err((name, format!("a multiple of {step}"), found.to_string()))
            }
        };
        within("load.busy_percent", 10, 500, self.busy_percent)?;
        whole("load.busy_percent", self.busy_percent)?;
        // Scaled in to the aim, it must not be busy at once.
        within("load.calm_percent", 5, self.busy_percent.saturating_sub(10), self.calm_percent)?;
        whole("load.calm_percent", self.calm_percent)?;
        // So long is remembered how busy it was.
        within("load.busy_s", 5, 7_200, self.busy_s)?;
        within("load.calm_s", 5, 7_200, self.calm_s)?;
        // No agent takes a larger step, or one sooner.
        within("load.step_percent", 1, 100, self.step_percent)?;
        within("load.ceiling_replicas", 2, 1_000, self.ceiling_replicas)?;
        within("load.cool_down_s", 60, 86_400, self.cool_down_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_make_no_sense_are_named() {
        assert_eq!(Load::default().validate(), Ok(()));
        for (load, name) in [
            (Load { busy_percent: 5, ..Load::default() }, "load.busy_percent"),
            (Load { busy_percent: 82, ..Load::default() }, "load.busy_percent"),
            (Load { calm_percent: 75, ..Load::default() }, "load.calm_percent"),
            (Load { calm_percent: 0, ..Load::default() }, "load.calm_percent"),
            (Load { busy_s: 4, ..Load::default() }, "load.busy_s"),
            (Load { calm_s: 0, ..Load::default() }, "load.calm_s"),
            (Load { step_percent: 101, ..Load::default() }, "load.step_percent"),
            (Load { ceiling_replicas: 1, ..Load::default() }, "load.ceiling_replicas"),
            (Load { cool_down_s: 59, ..Load::default() }, "load.cool_down_s"),
        ] {
            assert_eq!(load.validate().unwrap_err().0, name);
        }
    }

    #[test]
    fn the_aim_is_between_busy_and_calm() {
        assert_eq!(Load::default().aim(), 650);
        assert_eq!((Load::default().most(1), Load::default().most(3), Load::default().most(80)), (2, 6, 100));
    }
}
