//! Whether a crash-looping pod was ever well: one that never was would fail again wherever it is made anew.
//!
//! A readiness probe keeps a pod from being ready between two crashes. Without one it is ready for as long as each run lasts,
//! so that readiness alone says nothing: then one of its runs has to have lasted.

use jiff::{SignedDuration, Timestamp};

use crate::world::{Container, Pod};

/// A run of this length counts as a time in which the pod was well.
const LASTING: SignedDuration = SignedDuration::from_secs(10);
/// The Ready condition is set when the kubelet takes the pod, and its times are whole seconds.
const TAKEN: SignedDuration = SignedDuration::from_secs(1);

/// What is known of a pod's time before it began to crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// It was well.
    Well,
    /// It has never been ready since it was made.
    NeverReady,
    /// It is ready whenever its container runs, and no run lasted; the last one took so long.
    NeverLasted(SignedDuration),
    /// Its agent does not say enough.
    NotKnown,
}

/// What is known of `pod`, whose `container` crash-loops.
pub(super) fn of(pod: &Pod, container: &Container) -> Past {
    let run = container.last_started_at.zip(container.last_finished_at);
    let run = run.map(|(began, ended)| ended.duration_since(began));
    // Ready until the last crash itself: each run makes it ready.
    let by_running = pod.ready_since.zip(container.last_finished_at).is_some_and(|(at, ended)| at >= ended);
    if by_running && let Some(run) = run {
        let longest =
            pod.seen_ready_ms.map(|ms| SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)));
        // Once it was ready for much longer than it runs now.
        let needed = LASTING.min(run.saturating_mul(2).saturating_add(SignedDuration::from_secs(2)));
        let lasted = run >= LASTING || longest.is_some_and(|longest| longest >= needed);
        return if lasted { Past::Well } else { Past::NeverLasted(run) };
    }
    // The agent reads the same from the pod, and knows nothing of what was seen before.
    let taken = pod.facts.as_ref().and_then(|facts| facts.started_at);
    match (taken, pod.ready_since) {
        (Some(taken), Some(changed)) if is_after(changed, taken) => Past::Well,
        (Some(_), Some(_)) => Past::NeverReady,
        (None, _) | (_, None) => Past::NotKnown,
    }
}

fn is_after(changed: Timestamp, taken: Timestamp) -> bool {
    changed.duration_since(taken) > TAKEN
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::{to_micros, v1};

    use super::*;
    use crate::testing::at;
    use crate::testing::objects;

    /// A crash-looping pod that the kubelet took at 0; its Ready condition changed at `changed`, its last run was from `began`
    /// to `ended`, and it was seen ready for so long.
    fn past(changed: i64, run: Option<(i64, i64)>, seen_ready_ms: Option<u64>) -> Past {
        let mut pod = objects::crashing(objects::pod("web-1", "0", "node-a"), 4);
        pod.ready_since_us = to_micros(at(changed));
        pod.facts = Some(v1::PodFacts { started_at_us: to_micros(at(0)), ..Default::default() });
        if let Some((began, ended)) = run {
            pod.containers[0].last_started_at_us = to_micros(at(began));
            pod.containers[0].last_finished_at_us = to_micros(at(ended));
        }
        let pod = Pod { seen_ready_ms, ..Pod::from(pod) };
        of(&pod, &pod.containers[0])
    }

    #[test]
    fn with_a_probe_the_ready_condition_tells() {
        assert_eq!(past(0, None, None), Past::NeverReady);
        assert_eq!(past(1, Some((60, 63)), None), Past::NeverReady, "its times are whole seconds");
        assert_eq!(past(600, Some((660, 663)), None), Past::Well, "ready until 600, and not since");
        assert_eq!(past(1, None, Some(400)), Past::NeverReady, "for less than a second is not ready");
    }

    #[test]
    fn without_a_probe_one_run_has_to_have_lasted() {
        let three = SignedDuration::from_secs(3);
        assert_eq!(past(63, Some((60, 63)), None), Past::NeverLasted(three));
        assert_eq!(past(64, Some((60, 63)), Some(3_000)), Past::NeverLasted(three));
        assert_eq!(past(64, Some((60, 63)), Some(3_600_000)), Past::Well, "it ran for an hour before");
        assert_eq!(past(61, Some((60, 60)), Some(5_000)), Past::Well, "it ran much longer than now");
        assert_eq!(past(100, Some((60, 100)), None), Past::Well, "each run lasts 40 s");
    }

    #[test]
    fn what_an_older_agent_does_not_say_is_not_known() {
        let mut pod = objects::crashing(objects::pod("web-1", "0", "node-a"), 4);
        pod.facts = None;
        let pod = Pod { seen_ready_ms: None, ..Pod::from(pod) };
        assert_eq!(of(&pod, &pod.containers[0]), Past::NotKnown);
    }
}
