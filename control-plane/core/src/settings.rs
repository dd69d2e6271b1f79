//! The settings: every number that a decision depends on, in one place.
//!
//! Says what the figures are and which combinations make no sense; what they are used for is in `causes`,
//! `remedies`, `safety` and `remediation`.

pub mod autoscalers;
pub mod calendar;
pub mod certificates;
pub mod load;
pub mod quorum;
pub mod volumes;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::autoscalers::Autoscalers;
use self::calendar::Period;
use self::certificates::Certificates;
use self::load::Load;
use self::quorum::Quorum;
use self::volumes::Volumes;

/// So many times an eviction that is not allowed is asked for again soon, which takes a quarter of an hour; then seldom.
const SOON: u32 = 20;
/// See [`SOON`]; also how often while a budget is known to stand in the way.
pub(crate) const SELDOM: SignedDuration = SignedDuration::from_mins(5);

/// The figures. Durations are whole milliseconds (`_ms`) or seconds (`_s`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Restarts from which a container in CrashLoopBackOff is a finding.
    pub crash_loop_restarts: u32,
    /// How long a result must hold to count as helped; also how long an owner must be healthy to be settled.
    pub verify_ms: u32,
    /// As `verify_ms`, for files, where it is shorter: a file is right at once or not at all, and only has to stay so.
    pub file_verify_ms: u32,
    /// How long a revision's pods must all be available, with no older ones and no restart, for it to be a good one; where
    /// its Deployment wants a pod to be ready for longer (`minReadySeconds`), that long.
    pub good_after_ms: u32,
    /// How soon after a revision came out its pods have to fail for the revision to be the cause.
    pub rollout_suspect_ms: u32,
    /// How long a node must be ready, after it was not, to be ready for anything.
    pub node_steady_ms: u32,
    /// Longest wait before an eviction that the API server did not allow is asked for again, for the first twenty times. Below a minute by as much as
    /// an eviction takes: what refused it may change at any moment, and then it is done within a minute.
    pub eviction_retry_ms: u32,
    /// Longest time for an agent to reach that state.
    pub verify_timeout_ms: u32,
    /// Longest time for an agent to act.
    pub act_ms: u32,
    /// A job that was not taken after this is void.
    pub job_ttl_ms: u32,
    /// How far an agent's clock may be behind: a job is valid from so long before it was signed.
    pub clock_skew_ms: u32,
    /// How long reports may be on their way before a silent job is given up.
    pub report_grace_ms: u32,
    /// How long a person may take to answer.
    pub approval_ttl_s: u32,
    /// Attempts for one owner before a person is asked.
    pub attempts: u32,
    /// Wait after the first attempt; it doubles with each.
    pub backoff_base_ms: u32,
    /// Longest wait between attempts.
    pub backoff_max_ms: u32,
    /// Wait after a first refused job (nothing was done); it doubles with each, up to `backoff_max_ms`.
    pub refusal_backoff_ms: u32,
    /// Attempts are forgotten once the owner was healthy for so long.
    pub reset_after_ms: u32,
    /// How far back finished jobs are read to count attempts.
    pub attempts_memory_s: u32,
    /// Most jobs in flight.
    pub caps: Caps,
    /// When so much is wrong that nothing automatic runs.
    pub storm: StormLimits,
    /// How far volumes may grow.
    pub volumes: Volumes,
    /// When certificates that are not renewed are told, and asked for anew.
    pub certificates: Certificates,
    /// How far the maximum of autoscalers may be raised.
    pub autoscalers: Autoscalers,
    /// When workloads are scaled out and in.
    pub load: Load,
    /// Whose word is needed where one person's is not enough. The first that fits a plan holds; none: one person, of whatever group.
    pub quorum: Vec<Quorum>,
    /// Where one is for an action, it is begun only while one of them is now; none: always.
    pub window: Vec<Period>,
    /// While one is now, what it is for is not begun, also inside a window.
    pub blackout: Vec<Period>,
}

/// Most jobs in flight at one moment, at each level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    /// On one object.
    pub per_target: u32,
    /// On the objects of one owner.
    pub per_owner: u32,
    /// In one namespace.
    pub per_namespace: u32,
    /// On the pods of one node.
    pub per_node: u32,
    /// In one cluster, or on one host.
    pub per_cluster: u32,
    /// Everywhere.
    pub fleet: u32,
}

/// From where on a cluster is in a storm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StormLimits {
    /// Unhealthy share of pods, percent.
    pub pod_percent: u32,
    /// Clusters with fewer pods are not judged by their pods.
    pub min_pods: u32,
    /// Share of nodes that are not ready, percent.
    pub node_percent: u32,
    /// Clusters with fewer nodes are not judged by their nodes.
    pub min_nodes: u32,
    /// So many incidents …
    pub incidents: u32,
    /// … opened within so long.
    pub window_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            crash_loop_restarts: 3,
            verify_ms: 30_000,
            file_verify_ms: 5_000,
            good_after_ms: 600_000,
            rollout_suspect_ms: 1_800_000,
            node_steady_ms: 120_000,
            eviction_retry_ms: 45_000,
            verify_timeout_ms: 180_000,
            act_ms: 30_000,
            job_ttl_ms: 60_000,
            clock_skew_ms: 60_000,
            report_grace_ms: 30_000,
            approval_ttl_s: 86_400,
            attempts: 3,
            backoff_base_ms: 30_000,
            backoff_max_ms: 1_800_000,
            refusal_backoff_ms: 1_000,
            reset_after_ms: 600_000,
            attempts_memory_s: 604_800,
            caps: Caps::default(),
            storm: StormLimits::default(),
            volumes: Volumes::default(),
            certificates: Certificates::default(),
            autoscalers: Autoscalers::default(),
            load: Load::default(),
            quorum: Vec::new(),
            window: Vec::new(),
            blackout: Vec::new(),
        }
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self { per_target: 1, per_owner: 1, per_namespace: 5, per_node: 2, per_cluster: 10, fleet: 50 }
    }
}

impl Default for StormLimits {
    fn default() -> Self {
        Self { pod_percent: 30, min_pods: 20, node_percent: 30, min_nodes: 5, incidents: 10, window_s: 300 }
    }
}

/// Settings that make no sense together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("settings: expected {name} {expected}, found {found}; change it in the settings and start again")]
pub struct SettingsError {
    /// Which figure.
    pub name: &'static str,
    /// What it has to be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl Settings {
    /// Are the figures usable together?
    pub fn validate(&self) -> Result<(), SettingsError> {
        let at_least = |name, least: u32, found: u32| {
            let error = || SettingsError {
                name,
                expected: format!("to be at least {least}"),
                found: found.to_string(),
            };
            if found >= least { Ok(()) } else { Err(error()) }
        };
        at_least("crash_loop_restarts", 1, self.crash_loop_restarts)?;
        at_least("attempts", 1, self.attempts)?;
        // What was only refused again leaves memory this much sooner, and has to count for an hour all the same.
        at_least("attempts_memory_s", 604_800, self.attempts_memory_s)?;
        at_least("job_ttl_ms", 1_000, self.job_ttl_ms)?;
        at_least("act_ms", 100, self.act_ms)?;
        at_least("verify_timeout_ms (it includes verify_ms)", self.verify_ms, self.verify_timeout_ms)?;
        at_least("good_after_ms", 1, self.good_after_ms)?;
        at_least("approval_ttl_s", 1, self.approval_ttl_s)?;
        at_least("backoff_base_ms", 1, self.backoff_base_ms)?;
        at_least("backoff_max_ms (it is the ceiling)", self.backoff_base_ms, self.backoff_max_ms)?;
        at_least("refusal_backoff_ms", 1, self.refusal_backoff_ms)?;
        at_least("eviction_retry_ms", 1_000, self.eviction_retry_ms)?;
        at_least("storm.pod_percent", 1, self.storm.pod_percent)?;
        at_least("storm.node_percent", 1, self.storm.node_percent)?;
        at_least("storm.incidents", 1, self.storm.incidents)?;
        // Beyond these no agent takes a job.
        let at_most = |name, most: u32, found: u32| {
            let error = || SettingsError {
                name,
                expected: format!("to be at most {most}"),
                found: found.to_string(),
            };
            if found <= most { Ok(()) } else { Err(error()) }
        };
        at_most("act_ms", 600_000, self.act_ms)?;
        // Beyond all of them there is no storm.
        at_most("storm.pod_percent", 100, self.storm.pod_percent)?;
        at_most("storm.node_percent", 100, self.storm.node_percent)?;
        at_most("verify_timeout_ms", 3_600_000, self.verify_timeout_ms)?;
        let lifetime = self.job_ttl_ms.saturating_add(self.clock_skew_ms);
        at_most("job_ttl_ms and clock_skew_ms together", 3_600_000, lifetime)?;
        self.certificates.validate().map_err(|(name, expected, found)| SettingsError {
            name,
            expected,
            found,
        })?;
        self.volumes.validate().map_err(|(name, expected, found)| SettingsError { name, expected, found })?;
        self.autoscalers.validate().map_err(|(name, expected, found)| SettingsError {
            name,
            expected,
            found,
        })?;
        self.load.validate().map_err(|(name, expected, found)| SettingsError { name, expected, found })?;
        for (name, checked) in [
            ("quorum", quorum::validate(&self.quorum)),
            ("window", calendar::validate(&self.window)),
            ("blackout", calendar::validate(&self.blackout)),
        ] {
            checked.map_err(|(expected, found)| SettingsError { name, expected, found })?;
        }
        Ok(())
    }

    /// Is there any window or blackout?
    pub fn has_calendar(&self) -> bool {
        !self.window.is_empty() || !self.blackout.is_empty()
    }

    /// The wait after the `attempt`-th attempt (from 1): doubles from the base, up to the ceiling.
    pub fn backoff(&self, attempt: u32) -> SignedDuration {
        doubled(self.backoff_base_ms, attempt, self.backoff_max_ms)
    }

    /// The wait after the `refusal`-th refusal in a row (from 1).
    pub fn refusal_backoff(&self, refusal: u32) -> SignedDuration {
        doubled(self.refusal_backoff_ms, refusal, self.backoff_max_ms)
    }

    /// The wait after an eviction was not allowed for the `refusal`-th time in a row (from 1): it may be allowed any moment.
    /// Each try counts against its agent's hour, so what stands for a quarter of an hour is asked for seldom.
    pub fn eviction_retry(&self, refusal: u32) -> SignedDuration {
        let soon = self.refusal_backoff(refusal).min(millis(self.eviction_retry_ms));
        if refusal > SOON { soon.max(SELDOM) } else { soon }
    }

    /// The same where a budget is known to stand in the way: it is watched, and the eviction asked for when that changes.
    pub fn budget_retry(&self, refusal: u32) -> SignedDuration {
        self.eviction_retry(refusal).max(SELDOM)
    }

    /// How long a workload must be healthy before its incident is resolved.
    pub fn settle(&self) -> SignedDuration {
        millis(self.verify_ms)
    }

    /// How long a revision must last to be a good one, where a pod has to be ready for so many seconds to be available.
    pub fn good_after(&self, min_ready_seconds: u32) -> SignedDuration {
        millis(self.good_after_ms).max(SignedDuration::from_secs(min_ready_seconds.into()))
    }

    /// Jobs that finished from this moment on belong in a [`crate::Snapshot`], to count attempts.
    pub fn jobs_since(&self, now: Timestamp) -> Timestamp {
        earlier(now, SignedDuration::from_secs(self.attempts_memory_s.into()))
    }
}

/// Milliseconds as a duration.
pub(crate) fn millis(ms: u32) -> SignedDuration {
    SignedDuration::from_millis(ms.into())
}

/// `now` plus `by`; the far end of time instead of an overflow.
pub(crate) fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `now` minus `by`; the far end of time instead of an overflow.
pub(crate) fn earlier(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn doubled(base: u32, nth: u32, ceiling: u32) -> SignedDuration {
    let factor = 1_u64.checked_shl(nth.saturating_sub(1)).unwrap_or(u64::MAX);
    let ms = u64::from(base).saturating_mul(factor).min(ceiling.into());
    SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_usable_and_survive_json() {
        let settings = Settings::default();
        settings.validate().unwrap();
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), settings);
    }

    #[test]
    fn an_unknown_name_and_a_senseless_figure_are_named() {
        let error = serde_json::from_str::<Settings>(r#"{"verfy_ms": 1}"#).unwrap_err().to_string();
        assert!(error.contains("verfy_ms"), "{error}");
        let settings = Settings { verify_ms: 10, verify_timeout_ms: 9, ..Settings::default() };
        let error = settings.validate().unwrap_err();
        assert!(error.to_string().contains("at least 10") && error.found == "9", "{error}");
        let settings = Settings { job_ttl_ms: 3_600_000, ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().found, "3660000", "no agent would take such a job");
    }

    #[test]
    fn a_good_revision_lasts_never_less_than_its_pods_have_to_be_ready() {
        let settings = Settings::default();
        assert_eq!([0, 599, 601].map(|s| settings.good_after(s).as_secs()), [600, 600, 601]);
    }

    #[test]
    fn the_wait_doubles_up_to_the_ceiling() {
        let settings = Settings::default();
        let waits: Vec<i64> = [1, 2, 3, 6, 7, 40, 200].map(|n| settings.backoff(n).as_secs()).into();
        assert_eq!(waits, [30, 60, 120, 960, 1_800, 1_800, 1_800]);
        assert_eq!(settings.refusal_backoff(2).as_secs(), 2);
        let waits = [1, 6, 7, 20, 21, 200].map(|n| settings.eviction_retry(n).as_secs());
        assert_eq!(waits, [1, 32, 45, 45, 300, 300]);
        assert_eq!([1, 21].map(|n| settings.budget_retry(n).as_secs()), [300, 300]);
    }
}
