//! The executor of `restart_pod`: evicts a crash-looping pod so that its controller creates a replacement, and says where
//! that one landed.
//!
//! The eviction carries the pod's UID as a precondition and honours PodDisruptionBudgets; it is asked for as a dry run before
//! anything is touched. Where the pod's node is suspect it is held back by a taint of our own, which is in the journal before
//! it is set and goes once the replacement is bound, once anybody else marks the node, or in every other case.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::restart_pod::{controller_resource, runs_between_crashes};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::kube::held;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::kube::pushed_out::pushed_out;
use super::kube::stable::{Look, State, Watched, until_stable};
use super::kube::undisturbed::undisturbed;
use super::kube::{self, evict};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, Window, precondition};
use crate::watch::kube::cordons;
use crate::watch::kube::holds::{self, NotHeld, marked};
use crate::watch::kube::request::RequestError;

/// Why a restart is not undone.
const GONE: &str = "an evicted pod cannot be brought back; the pod that replaced it stays";

/// What must be known after a crash.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// Pods of the ReplicaSet before the eviction: none of them is the replacement.
    known: BTreeSet<String>,
    /// A node that may carry our cordon, put up by a version that still cordoned.
    #[serde(default)]
    cordoned: Option<String>,
    /// A node that may carry our taint.
    #[serde(default)]
    held: Option<String>,
}

pub(super) struct RestartPod {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::RestartPod,
    limits: Limits,
    checkpoint: Checkpoint,
    /// What happened on the way that a person should know of.
    notes: Vec<String>,
    /// Where the replacement was last seen.
    landed: Option<String>,
}

/// A container that runs as the job comes may do so between two crashes: for so long it is seen whether it crashes again, and after that
/// the job is refused. The word of whoever approved it would else be lost to a moment's chance.
const RUNS: Duration = Duration::from_secs(15);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(500);

/// For how long a taint may stay beyond the two times in which it is used, seconds.
const SLACK_S: i64 = 30;

impl RestartPod {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RestartPod) -> Self {
        let (job_id, limits) = (job.id(), Limits::of(job.job(), shared.job_time()));
        Self {
            shared,
            job_id,
            action,
            limits,
            checkpoint: Checkpoint::default(),
            notes: Vec::new(),
            landed: None,
        }
    }

    fn target(&self) -> v1::Target {
        self.action.pod.clone().unwrap_or_default()
    }

    /// The plural of the controller's kind; admission let only known ones through.
    fn resource(&self) -> &'static str {
        controller_resource(&self.action).unwrap_or_default()
    }

    fn owner(&self) -> v1::Target {
        self.action.owner.clone().unwrap_or_default()
    }

    /// Is it the pod that the plan is about, in the state that the plan is about?
    async fn still_crash_loops(&self, client: &Client) -> Result<v1::Pod, Refusal> {
        let path = kube::pod_path(&self.target())?;
        let pod = kube::pod(client, &path).await.map_err(|error| unread(&error))?;
        self.action.preconditions(pod.as_ref())?;
        Ok(pod.unwrap_or_default())
    }

    /// A dry run says yes, and nobody is at work on what is above the pod.
    async fn may_begin(&self, client: &Client) -> Result<(), Refusal> {
        let (target, owner) = (self.target(), self.owner());
        let above = undisturbed(client, self.resource(), &owner);
        let (allowed, above) = tokio::join!(evict::would_be_allowed(client, &target), above);
        allowed.and(above)
    }

    /// The last look before the eviction, as [`kube::may_act`] and the job's time are read after whatever takes long.
    async fn last_look(&self, window: &Window) -> Result<(Client, v1::Pod), ActError> {
        let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
        let pod = self.still_crash_loops(&client).await.map_err(ActError::Refused)?;
        let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
        window.still_open()?;
        Ok((client, pod))
    }

    /// Until when the taint may stay, seconds since 1970: it is used while acting and for as long again while the replacement
    /// is awaited.
    fn held_until(&self) -> i64 {
        let used = i64::try_from(self.limits.act.as_secs()).unwrap_or(i64::MAX).saturating_mul(2);
        nimbus_platform::now().as_second().saturating_add(used).saturating_add(SLACK_S)
    }

    /// Holds the pod's node back, after all nodes were read again. Jobs of this agent take turns, and whoever waited for its
    /// own looks once more first.
    async fn hold(&self, node: &str, window: &Window) -> Result<(), ActError> {
        let _turn = self.shared.cluster.holding.lock().await;
        let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
        // What may take long first.
        let neighbours = holds::neighbours(&client, &self.target().namespace).await;
        let neighbours = neighbours.map_err(|error| ActError::Refused(unread(&error)))?;
        self.may_begin(&client).await.map_err(ActError::Refused)?;
        let (client, pod) = self.last_look(window).await?;
        let job = self.job_id.to_string();
        match holds::hold(&client, node, (&pod, &neighbours), &job, self.held_until()).await {
            Ok(()) => Ok(()),
            Err(NotHeld::Refused(refusal)) => Err(ActError::Refused(refusal)),
            Err(NotHeld::Failed(error)) => Err(ActError::Refused(precondition(format!(
                "expected to hold node {node} back, found: {error}"
            )))),
        }
    }

    /// Whoever marks the node while it is held keeps it: our taint goes, theirs stays.
    async fn yield_to_others(&mut self, client: &Client) {
        let Some(node) = self.checkpoint.held.clone() else { return };
        if let Ok(Some(why)) = marked(client, &node).await
            && self.clean_up().await.is_ok()
        {
            self.notes.push(format!(
                "node {node} was marked while it was held: found {why}; our taint is gone, theirs stays"
            ));
        }
    }

    /// Where the replacement landed, for the verdict.
    fn landing(&self) -> Option<String> {
        let node = self.landed.as_ref()?;
        Some(if *node == self.action.node {
            format!("it came back to {node}, the same node: a fresh start helped")
        } else {
            format!("it is on {node}, another node than {}", self.action.node)
        })
    }
}

/// The pod that came for the one that `action` names: the earliest of the owner's that is not in `known`, the pods that
/// were there before, and that is to stay.
fn replacement<'a>(
    action: &v1::RestartPod,
    known: &BTreeSet<String>,
    pods: &'a [v1::Pod],
) -> Option<&'a v1::Pod> {
    let old = action.pod.as_ref()?;
    // A StatefulSet makes the pod again under its name; another pod of it says nothing.
    let keeps_the_name = controller_resource(action) == Some("statefulsets");
    let new = |pod: &&v1::Pod| {
        pod.meta.as_ref().is_some_and(|meta| {
            (!keeps_the_name || meta.name == old.name)
                && meta.uid != old.uid
                && !known.contains(&meta.uid)
                && meta.deleting_since_us == 0
        })
    };
    pods.iter()
        .filter(new)
        .min_by_key(|pod| pod.meta.as_ref().map(|meta| (meta.created_at_us, meta.name.clone())))
}

impl Watched for RestartPod {
    const STATE: &'static str = "a replacement ready";

    /// Not while it holds a node: that is let go by a look, and one node of a cluster is held at most.
    fn takes_turns(&self) -> bool {
        self.checkpoint.held.is_none() && self.checkpoint.cordoned.is_none()
    }

    async fn look(&mut self, client: &Client, elapsed: Duration) -> Look {
        let pods = match kube::pods_of(client, self.resource(), &self.owner()).await {
            Ok(pods) => pods,
            Err(error) => {
                return Look::new(format!("the cluster did not answer: {error}"), State::Unanswered);
            }
        };
        let found = replacement(&self.action, &self.checkpoint.known, &pods);
        let bound = found.is_some_and(|pod| !pod.node.is_empty());
        let landed = found.map(|pod| pod.node.clone()).filter(|node| !node.is_empty());
        if let Some(node) = landed.as_ref().filter(|_| self.landed.is_none()) {
            // Asked at once: what is preempted is gone after its grace period.
            let gone = pushed_out(client, node).await.unwrap_or_default();
            self.notes
                .extend(gone.iter().map(|pod| format!("{pod} on {node} is pushed out by the scheduler")));
        }
        self.landed = landed.or(self.landed.take());
        let holds = self.checkpoint.held.is_some() || self.checkpoint.cordoned.is_some();
        if holds && (bound || elapsed >= self.limits.act) {
            // What cannot be lifted now is tried again at the end.
            let _ = self.clean_up().await;
        }
        self.yield_to_others(client).await;
        let Some(pod) = found else { return Look::new("no replacement was seen", State::Pending) };
        let state = match crash_looping(pod) {
            Some(found) => {
                let reason = format!("expected the replacement to stay ready, found {found}");
                State::Over(Outcome::Failed, reason)
            }
            None if pod.ready => State::Reached(stable_name(pod)),
            None => State::Pending,
        };
        let replacement = pod.meta.as_ref().map(|meta| (meta.uid.clone(), meta.name.clone()));
        Look { replacement, ..Look::new(describe(pod), state) }
    }
}

fn unread(error: &RequestError) -> Refusal {
    precondition(format!("expected to read the pod again, found: {error}"))
}

/// Changes when a container is restarted: the state must hold anew then.
fn stable_name(pod: &v1::Pod) -> String {
    let uid = pod.meta.as_ref().map(|meta| meta.uid.as_str()).unwrap_or_default();
    let restarts: u64 = pod.containers.iter().map(|container| u64::from(container.restart_count)).sum();
    format!("{uid}/{restarts}")
}

fn describe(pod: &v1::Pod) -> String {
    let name = pod.meta.as_ref().map(|meta| meta.name.as_str()).unwrap_or_default();
    let node = match pod.node.as_str() {
        "" => "no node yet",
        node => node,
    };
    let ready = if pod.ready { "ready" } else { "not ready" };
    let waiting =
        if pod.unschedulable.is_empty() { String::new() } else { format!(", {}", pod.unschedulable) };
    format!("replacement {name} on {node}: {}, {ready}{waiting}", pod.phase)
}

fn crash_looping(pod: &v1::Pod) -> Option<String> {
    let container = pod.containers.iter().find(|container| container.reason == "CrashLoopBackOff")?;
    Some(format!(
        "container {} in CrashLoopBackOff after {} restarts (last: {} with exit code {})",
        container.name, container.restart_count, container.last_reason, container.last_exit_code
    ))
}

impl Remedy for RestartPod {
    async fn check(&mut self) -> Result<(), Refusal> {
        let uid = self.target().uid;
        let mut runs_for = Duration::ZERO;
        let pods = loop {
            let client = kube::may_act(&self.shared).await?;
            let pods = kube::pods_of(&client, self.resource(), &self.owner()).await;
            let pods = pods.map_err(|error| unread(&error))?;
            let own = pods.iter().find(|pod| pod.meta.as_ref().is_some_and(|meta| meta.uid == uid));
            if runs_for >= RUNS || !runs_between_crashes(&self.action, own) {
                self.action.preconditions(own)?;
                break pods;
            }
            tokio::time::sleep(LOOK).await;
            runs_for += LOOK;
        };
        self.checkpoint.known = pods.into_iter().filter_map(|pod| pod.meta).map(|meta| meta.uid).collect();
        self.checkpoint.held =
            (self.action.avoid_node && !self.action.node.is_empty()).then(|| self.action.node.clone());
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        serde_json::to_vec(&self.checkpoint).unwrap_or_default()
    }

    fn restore(&mut self, checkpoint: &[u8]) {
        // Before the intent there is none, and nothing was done either.
        self.checkpoint = serde_json::from_slice(checkpoint).unwrap_or_default();
    }

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let mut evidence = Vec::new();
        let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
        // Whatever forbids it is found before anything is touched.
        let (target, owner) = (self.target(), self.owner());
        self.may_begin(&client).await.map_err(ActError::Refused)?;
        if let Some(node) = self.checkpoint.held.clone() {
            self.hold(&node, &window).await?;
            evidence.push(format!(
                "held node {node} back by the taint {} until the replacement is bound",
                held::KEY
            ));
            // That took its time.
            undisturbed(&client, self.resource(), &owner).await.map_err(ActError::Refused)?;
        }
        let (client, _) = self.last_look(&window).await?;
        evict::evict(&client, &target).await?;
        evidence.push(format!("evicted pod {}/{}", target.namespace, target.name));
        Ok(evidence)
    }

    async fn probe(&mut self) -> Effect {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => return Effect::Unknown(why),
        };
        let Ok(path) = kube::pod_path(&self.target()) else { return Effect::Absent };
        match kube::pod(&client, &path).await {
            Err(error) => Effect::Unknown(error.to_string()),
            Ok(Some(pod)) => {
                let meta = pod.meta.unwrap_or_default();
                let same = meta.uid == self.target().uid && meta.deleting_since_us == 0;
                if same { Effect::Absent } else { Effect::Present }
            }
            Ok(None) => Effect::Present,
        }
    }

    async fn verify(&mut self) -> Verdict {
        match kube::client(&self.shared) {
            Ok(client) => {
                let (limits, shared) = (self.limits, self.shared.clone());
                let mut verdict = until_stable(self, limits, &client, &shared.cluster.looks).await;
                if let Some(landing) = self.landing() {
                    verdict.reason = format!("{}; {landing}", verdict.reason);
                }
                verdict.evidence.append(&mut self.notes);
                verdict
            }
            Err(why) => Verdict::new(
                Outcome::Unknown,
                format!("the pod was evicted; whether it helped is not known: {why}"),
            ),
        }
    }

    async fn compensate(&mut self) -> Compensation {
        Compensation::NotReversible(GONE)
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        let job = self.job_id.to_string();
        if let Some(node) = self.checkpoint.cordoned.clone() {
            let client = kube::client(&self.shared)?;
            let lifted = cordons::uncordon(&client, &node, &job).await;
            lifted.map_err(|error| format!("node {node} still carries this job's cordon: {error}"))?;
            self.checkpoint.cordoned = None;
        }
        if let Some(node) = self.checkpoint.held.clone() {
            let client = kube::client(&self.shared)?;
            let lifted = holds::release(&client, &node, &job).await;
            lifted.map_err(|error| format!("node {node} still carries this job's taint: {error}"))?;
            self.checkpoint.held = None;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "restart_pod_tests.rs"]
mod order_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, uid: &str, created_at_us: i64) -> v1::Pod {
        let (name, uid) = (name.to_owned(), uid.to_owned());
        let meta = v1::ObjectMeta { name, uid, created_at_us, ..v1::ObjectMeta::default() };
        v1::Pod { meta: Some(meta), ..v1::Pod::default() }
    }

    /// The UID of what came for pod `db-1` of a controller of this kind, which had `db-0` and `db-1` before.
    fn came(owner_kind: &str, pods: &[v1::Pod]) -> Option<String> {
        let old = v1::Target { namespace: "shop".into(), name: "db-1".into(), uid: "old-1".into() };
        let action =
            v1::RestartPod { pod: Some(old), owner_kind: owner_kind.into(), ..v1::RestartPod::default() };
        let known = BTreeSet::from(["old-0".to_owned(), "old-1".to_owned()]);
        replacement(&action, &known, pods).and_then(|pod| pod.meta.as_ref()).map(|meta| meta.uid.clone())
    }

    #[test]
    fn a_stateful_sets_replacement_is_the_new_pod_of_the_same_name() {
        let before = [pod("db-0", "old-0", 1), pod("db-1", "old-1", 1)];
        assert_eq!(came("StatefulSet", &before), None, "the old one is not its own replacement");
        // It is scaled up, and another pod of it is made again, before the one that was evicted is.
        let others = [pod("db-0", "new-0", 5), pod("db-2", "new-2", 6)];
        assert_eq!(came("StatefulSet", &others), None);
        let mut pods = others.to_vec();
        pods.push(pod("db-1", "new-1", 7));
        assert_eq!(came("StatefulSet", &pods).as_deref(), Some("new-1"));
        pods[2].meta.as_mut().unwrap().deleting_since_us = 8;
        assert_eq!(came("StatefulSet", &pods), None, "what is on its way out is not to stay");
    }

    #[test]
    fn a_replica_sets_replacement_is_the_first_pod_that_was_not_there_whatever_its_name() {
        let pods = [pod("db-1", "old-1", 1), pod("db-x", "new-x", 6), pod("db-y", "new-y", 5)];
        for kind in ["ReplicaSet", ""] {
            assert_eq!(came(kind, &pods).as_deref(), Some("new-y"), "{kind:?}");
        }
    }

    #[test]
    fn a_restart_of_the_replacement_begins_the_wait_anew() {
        let container = v1::Container { restart_count: 1, ..v1::Container::default() };
        let pod = v1::Pod { containers: vec![container], ..v1::Pod::default() };
        let mut again = pod.clone();
        again.containers[0].restart_count = 2;
        assert_ne!(stable_name(&pod), stable_name(&again));
    }
}
