//! The agent's rules for `restart_pod`, the action that evicts a pod so that its controller creates a replacement.

use nimbus_protocol::v1;

use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::refusal::Refusal;

impl AgentRules for v1::RestartPod {
    /// The pod of that name; `None` when there is none any more.
    type Found<'a> = Option<&'a v1::Pod>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// An eviction honours every budget, and the ReplicaSet makes another pod.
    fn needs_approval(&self) -> bool {
        false
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        object::named("restart_pod.pod", self.pod.as_ref())?;
        object::named("restart_pod.owner", self.owner.as_ref())?;
        if self.container.is_empty() {
            return malformed("restart_pod.container", "a container's name");
        }
        if controller_resource(self).is_none() {
            return malformed("restart_pod.owner_kind", "ReplicaSet or StatefulSet");
        }
        object::same_namespace(self.pod.as_ref(), self.owner.as_ref())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        let mut touched = vec![
            Touched::Namespace(object::namespace(self.pod.as_ref())),
            Touched::Namespace(object::namespace(self.owner.as_ref())),
        ];
        if self.avoid_node {
            touched.push(Touched::Node(&self.node));
        }
        touched
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let wanted = self.pod.as_ref();
        let Some(pod) = found else {
            return Err(unexpected(format!("expected pod {}, found none", object::name(wanted))));
        };
        let meta = object::same("pod", wanted, pod.meta.as_ref())?;
        let owner = self.owner.as_ref().map_or("", |t| t.uid.as_str());
        if owner.is_empty() || meta.owner_uid != owner {
            return Err(unexpected(format!(
                "expected a pod of controller {}, found owner {:?}",
                object::name(self.owner.as_ref()),
                meta.owner_name
            )));
        }
        let kind = controller_kind(self);
        if meta.owner_kind != kind {
            let found = &meta.owner_kind;
            return Err(unexpected(format!("expected a pod of a {kind}, found one of a {found:?}")));
        }
        if pod.node != self.node {
            let reason = format!("expected the pod on node {:?}, found it on {:?}", self.node, pod.node);
            return Err(unexpected(reason));
        }
        if let Some(mark) = pod.facts.iter().flat_map(|facts| &facts.do_not_disturb).next() {
            return Err(unexpected(format!("expected a pod that may be disturbed, found: {mark}")));
        }
        still_crash_loops(self, pod)
    }

    fn permissions() -> &'static [Permission] {
        &[
            Permission { group: "", resource: "namespaces", verbs: &["get"] },
            // The only change is the taint nimbus.dev/held, set and removed.
            Permission { group: "", resource: "nodes", verbs: &["get", "list", "patch"] },
            Permission { group: "", resource: "pods", verbs: &["get", "list"] },
            Permission { group: "", resource: "pods/eviction", verbs: &["create"] },
            Permission { group: "apps", resource: "deployments", verbs: &["get"] },
            Permission { group: "apps", resource: "replicasets", verbs: &["get"] },
            Permission { group: "apps", resource: "statefulsets", verbs: &["get"] },
            // Names the budget that refused an eviction.
            Permission { group: "policy", resource: "poddisruptionbudgets", verbs: &["list"] },
        ]
    }
}

/// What a container's state says while the kubelet waits before it starts it again, and why.
const WAITING: &str = "waiting";
const BACKS_OFF: &str = "CrashLoopBackOff";

/// The controller's kind; an older control plane says none, and knows ReplicaSets alone.
fn controller_kind(action: &v1::RestartPod) -> &str {
    if action.owner_kind.is_empty() { "ReplicaSet" } else { &action.owner_kind }
}

/// The API's plural of the controller's kind; `None` for a kind whose pods are not replaced.
pub fn controller_resource(action: &v1::RestartPod) -> Option<&'static str> {
    match controller_kind(action) {
        "ReplicaSet" => Some("replicasets"),
        "StatefulSet" => Some("statefulsets"),
        _ => None,
    }
}

/// Would the pod be restarted if its container did not run, or had not just ended, at this very moment? Between two crashes a container
/// runs for a while: whether it crashes again is seen a moment later.
pub fn runs_between_crashes(action: &v1::RestartPod, pod: Option<&v1::Pod>) -> bool {
    let Some(pod) = pod else { return false };
    let mut waiting = pod.clone();
    let Some(container) = waiting.containers.iter_mut().find(|c| c.name == action.container) else {
        return false;
    };
    if container.state == WAITING {
        return false;
    }
    (container.state, container.reason) = (WAITING.to_owned(), BACKS_OFF.to_owned());
    action.preconditions(Some(&waiting)).is_ok()
}

fn still_crash_loops(action: &v1::RestartPod, pod: &v1::Pod) -> Result<(), Refusal> {
    let Some(container) = pod.containers.iter().find(|c| c.name == action.container) else {
        return Err(unexpected(format!("expected a container {:?}, found none", action.container)));
    };
    if container.state != WAITING || container.reason != BACKS_OFF {
        return Err(unexpected(format!(
            "expected container {:?} waiting with CrashLoopBackOff, found {:?} {:?}",
            action.container, container.state, container.reason
        )));
    }
    if container.restart_count < action.min_restarts {
        return Err(unexpected(format!(
            "expected at least {} restarts of container {:?}, found {}",
            action.min_restarts, action.container, container.restart_count
        )));
    }
    if container.last_exit_code == 0 && container.last_reason == "Completed" {
        return Err(unexpected(format!(
            "expected container {:?} to crash, found that it ends with exit code 0",
            action.container
        )));
    }
    // The Ready condition is set when the kubelet takes the pod, and its times are whole seconds.
    let taken = pod.facts.as_ref().map_or(0, |facts| facts.started_at_us);
    if taken == 0 || pod.ready_since_us <= taken + 1_000_000 {
        return Err(unexpected(
            "expected a pod that was ready before, found none that is known to be".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::object::tests::{meta, target};
    use super::*;
    use crate::refusal::Code;

    fn restart() -> (v1::RestartPod, v1::Pod) {
        let action = v1::RestartPod {
            pod: target("p1"),
            owner: target("r1"),
            node: "n1".into(),
            avoid_node: true,
            container: "main".into(),
            min_restarts: 3,
            owner_kind: String::new(),
        };
        let container = v1::Container {
            name: "main".into(),
            restart_count: 4,
            state: "waiting".into(),
            reason: "CrashLoopBackOff".into(),
            last_reason: "Error".into(),
            last_exit_code: 1,
            ..Default::default()
        };
        let mut pod = v1::Pod {
            meta: meta("p1", "r1"),
            node: "n1".into(),
            containers: vec![container],
            ready_since_us: 600_000_000,
            facts: Some(v1::PodFacts { started_at_us: 1_000_000, ..Default::default() }),
            ..Default::default()
        };
        pod.meta.as_mut().unwrap().owner_kind = "ReplicaSet".into();
        (action, pod)
    }

    #[test]
    fn a_pod_that_still_crash_loops_may_be_restarted() {
        let (action, pod) = restart();
        assert_eq!(action.well_formed(), Ok(()));
        assert_eq!(action.preconditions(Some(&pod)), Ok(()));
    }

    #[test]
    fn a_pod_that_runs_between_two_crashes_is_told_from_any_other_change() {
        let (action, waits) = restart();
        assert!(!runs_between_crashes(&action, Some(&waits)) && !runs_between_crashes(&action, None));
        let of = |state: &str, change: fn(&mut v1::Pod)| {
            let mut pod = waits.clone();
            pod.containers[0].state = state.into();
            pod.containers[0].reason = String::new();
            change(&mut pod);
            runs_between_crashes(&action, Some(&pod))
        };
        assert!(of("running", |_| {}) && of("terminated", |_| {}));
        assert!(!of("waiting", |p| p.containers[0].reason = "ImagePullBackOff".into()));
        assert!(!of("running", |p| p.node = "n2".into()), "it is elsewhere, too");
        assert!(!of("running", |p| p.containers[0].restart_count = 2), "it was started anew");
        assert!(!of("running", |p| p.containers.clear()));
    }

    #[test]
    fn any_change_of_the_pod_refuses() {
        let (action, pod) = restart();
        let changes: [fn(&mut v1::Pod); 14] = [
            |p| {
                p.facts.as_mut().unwrap().do_not_disturb = vec!["karpenter.sh/do-not-disrupt: true".into()];
            },
            |p| p.facts = None,
            |p| p.facts.as_mut().unwrap().started_at_us = 0,
            |p| p.ready_since_us = 2_000_000,
            |p| (p.containers[0].last_reason, p.containers[0].last_exit_code) = ("Completed".into(), 0),
            |p| p.meta.as_mut().unwrap().uid = "p2".into(),
            |p| p.meta.as_mut().unwrap().owner_uid = "r2".into(),
            // What an older control plane does not say is no leave to restart the pods of any other controller.
            |p| p.meta.as_mut().unwrap().owner_kind = "StatefulSet".into(),
            |p| p.meta = None,
            |p| p.meta.as_mut().unwrap().deleting_since_us = 1,
            |p| p.node = "n2".into(),
            |p| p.containers[0].state = "running".into(),
            |p| p.containers[0].restart_count = 2,
            |p| p.containers.clear(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut pod = pod.clone();
            change(&mut pod);
            let refusal = action.preconditions(Some(&pod)).expect_err(&number.to_string());
            assert_eq!(refusal.code, Code::PreconditionFailed);
        }
        assert!(action.preconditions(None).is_err());
        assert!(v1::RestartPod::default().preconditions(Some(&v1::Pod::default())).is_err());
    }

    #[test]
    fn only_a_restart_that_closes_the_node_touches_it() {
        let (mut action, _) = restart();
        assert!(action.touches().contains(&Touched::Node("n1")));
        action.avoid_node = false;
        assert_eq!(action.touches(), [Touched::Namespace("ns"), Touched::Namespace("ns")]);
    }
}
