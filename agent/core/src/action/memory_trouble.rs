//! What speaks against a raised memory limit, by one look at the Deployment and the pods that have it.

use nimbus_protocol::v1;

use super::memory_pod::MemoryPod;

/// What speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is decided.
    Certain(String),
    /// It is, once it has lasted: a node may be on its way, or a quota be raised.
    Lasting(String),
}

/// What speaks against the higher limit of `container`; `None` where nothing does so far.
pub fn trouble(container: &str, now: &v1::Deployment, pods: &[MemoryPod]) -> Option<Trouble> {
    if let Some(pod) = pods.iter().find(|pod| pod.kill(container).is_some()) {
        let what = format!("pod {} was killed for its memory with the higher limit as well", pod.name());
        return Some(Trouble::Certain(what));
    }
    let stuck = || format!("{} {}", now.progressing_reason, now.progressing_message);
    // Its controller says this before it takes the change for observed, and tries again.
    if now.progressing_status == "False" && now.progressing_reason == "ReplicaSetCreateError" {
        return Some(Trouble::Lasting(format!("no ReplicaSet with it can be made: {}", stuck())));
    }
    // A status that is older than the raise tells of the template before.
    if now.observed_generation < now.generation {
        return None;
    }
    if now.progressing_status == "False" {
        return Some(Trouble::Certain(format!("the rollout does not go on: {}", stuck())));
    }
    if !now.replica_failure.is_empty() && now.updated < now.desired {
        return Some(Trouble::Lasting(format!("no pod with it can be made: {}", now.replica_failure)));
    }
    pods.iter().find_map(|pod| {
        if let Some(why) = pod.unplaced() {
            return Some(Trouble::Lasting(format!("pod {} finds no node: {why}", pod.name())));
        }
        pod.is_looping(container)
            .then(|| Trouble::Lasting(format!("container {container} of pod {} crash-loops", pod.name())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(reason: &str, generation: i64) -> v1::Deployment {
        v1::Deployment {
            generation,
            observed_generation: 1,
            progressing_status: "False".into(),
            progressing_reason: reason.into(),
            ..v1::Deployment::default()
        }
    }

    #[test]
    fn a_deadline_that_passed_is_certain_only_of_the_template_that_is_observed() {
        let deadline = "ProgressDeadlineExceeded";
        assert!(matches!(trouble("app", &stopped(deadline, 1), &[]), Some(Trouble::Certain(_))));
        assert_eq!(trouble("app", &stopped(deadline, 2), &[]), None, "it tells of the template before");
    }

    /// A webhook that timed out once says it too.
    #[test]
    fn that_no_replica_set_can_be_made_has_to_last() {
        for generation in [1, 2] {
            let found = trouble("app", &stopped("ReplicaSetCreateError", generation), &[]);
            assert!(matches!(found, Some(Trouble::Lasting(_))), "{found:?}");
        }
    }
}
