//! Evicts a crash-looping pod so that its ReplicaSet makes another one, away from the old node where another is open.
//!
//! The eviction carries the pod's UID as a precondition and honours PodDisruptionBudgets. A cordon put up on the way is
//! our own, is in the journal before it is put up, and is lifted once the replacement is bound, or in every other case.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::Admitted;
use nimbus_agent_core::preconditions;
use nimbus_protocol::v1;
use nimbus_protocol::v1::job_report::Phase as Told;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shared;
use super::kube::{self, Holding};
use super::remedy::{ActError, Limits, Probe, Remedy, Verdict, precondition};
use crate::watch::kube::cordons::{self, Cordoned};
use crate::watch::kube::request::{self, RequestError};

/// What must be known after a crash.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memo {
    /// Pods of the ReplicaSet before the eviction: none of them is the replacement.
    known: BTreeSet<String>,
    /// A node that may carry our cordon.
    cordoned: Option<String>,
}

pub(super) struct RestartPod {
    shared: Arc<Shared>,
    job: Arc<Admitted<v1::Job>>,
    order: v1::RestartPod,
    limits: Limits,
    memo: Memo,
}

impl RestartPod {
    pub(super) fn new(shared: Arc<Shared>, job: Arc<Admitted<v1::Job>>, order: v1::RestartPod) -> Self {
        let limits = Limits::of(job.get());
        Self { shared, job, order, limits, memo: Memo::default() }
    }

    fn target(&self) -> v1::Target {
        self.order.pod.clone().unwrap_or_default()
    }

    fn owner(&self) -> v1::Target {
        let mut owner = self.order.owner.clone().unwrap_or_default();
        if owner.namespace.is_empty() {
            owner.namespace = self.target().namespace;
        }
        owner
    }

    /// Evicts the pod; with `dry_run` only asks whether that would be allowed.
    async fn evict(&self, client: &::kube::Client, dry_run: bool) -> Result<(), ActError> {
        let target = self.target();
        let path = kube::pod_path(&target).map_err(ActError::Refused)?;
        let mut eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": target.name, "namespace": target.namespace },
            "deleteOptions": { "preconditions": { "uid": target.uid } },
        });
        if dry_run {
            eviction["deleteOptions"]["dryRun"] = json!(["All"]);
        }
        let answer = request::post::<Value>(client, &format!("{path}/eviction"), &eviction).await;
        let pod = format!("{}/{}", target.namespace, target.name);
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(eviction_error(&pod, error)),
        }
    }

    /// Is it the pod that the plan is about, and in the state that the plan is about?
    async fn still_broken(&self, client: &::kube::Client) -> Result<(), Refusal> {
        let pod =
            kube::pod(client, &kube::pod_path(&self.target())?).await.map_err(|error| unread(&error))?;
        preconditions::restart_pod(&self.order, pod.as_ref())
    }

    async fn verify_on(&mut self, client: &::kube::Client) -> Verdict {
        let started = Instant::now();
        let mut holding = Holding::new();
        let mut seen = String::from("no replacement was seen");
        let mut replacement = None;
        loop {
            match kube::pods_of(client, &self.owner()).await {
                Err(error) => {
                    seen = format!("the cluster did not answer: {error}");
                    holding.note(None, Instant::now());
                }
                Ok(pods) => {
                    let found = self.replacement(&pods);
                    let bound = found.is_some_and(|pod| !pod.node.is_empty());
                    if self.memo.cordoned.is_some() && (bound || started.elapsed() >= self.limits.act) {
                        // What cannot be lifted now is tried again at the end.
                        let _ = self.clean_up().await;
                    }
                    let state = found.map(describe);
                    if let (Some(pod), Some(state)) = (found, &state) {
                        seen.clone_from(state);
                        replacement = pod.meta.as_ref().map(|m| (m.uid.clone(), m.name.clone()));
                        if let Some(crashing) = crash_looping(pod) {
                            let reason = format!("expected the replacement to stay ready, found {crashing}");
                            return Verdict {
                                evidence: vec![state.clone()],
                                replacement,
                                ..Verdict::new(Told::Failed, reason)
                            };
                        }
                    }
                    let ready = found.filter(|pod| pod.ready).map(stable_name);
                    let held = holding.note(ready, Instant::now());
                    if held.is_some_and(|held| held >= self.limits.hold) {
                        let reason =
                            format!("the replacement was ready for {} ms", self.limits.hold.as_millis());
                        return Verdict {
                            evidence: vec![seen],
                            replacement,
                            ..Verdict::new(Told::Succeeded, reason)
                        };
                    }
                }
            }
            if started.elapsed() >= self.limits.reach {
                let reason = format!(
                    "expected a replacement ready for {} ms within {} ms, found: {seen}",
                    self.limits.hold.as_millis(),
                    self.limits.reach.as_millis()
                );
                let phase = if seen.starts_with("the cluster") { Told::Unknown } else { Told::Failed };
                return Verdict { replacement, ..Verdict::new(phase, reason) };
            }
            tokio::time::sleep(self.limits.pace()).await;
        }
    }

    /// The pod that came for the old one: the earliest of the owner's that was not there before and is to stay.
    fn replacement<'a>(&self, pods: &'a [v1::Pod]) -> Option<&'a v1::Pod> {
        let old = self.target().uid;
        let new = |pod: &&v1::Pod| {
            pod.meta.as_ref().is_some_and(|meta| {
                meta.uid != old && !self.memo.known.contains(&meta.uid) && meta.deleting_since_us == 0
            })
        };
        pods.iter()
            .filter(new)
            .min_by_key(|pod| pod.meta.as_ref().map(|meta| (meta.created_at_us, meta.name.clone())))
    }
}

fn unread(error: &RequestError) -> Refusal {
    precondition(format!("expected to read the pod again, found: {error}"))
}

/// What the API server's refusal of an eviction means.
fn eviction_error(pod: &str, error: RequestError) -> ActError {
    match error {
        RequestError::Unanswered(found) => {
            ActError::Uncertain(format!("the eviction of {pod} was not answered: {found}"))
        }
        RequestError::Api { code: 429, message, causes, .. } => {
            let causes = if causes.is_empty() { String::new() } else { format!(" ({causes})") };
            ActError::Refused(precondition(format!(
                "expected the eviction of {pod} to be allowed, found: {message}{causes}"
            )))
        }
        RequestError::Api { code: 404 | 409, message, .. } => {
            ActError::Refused(precondition(format!("expected pod {pod} as planned, found: {message}")))
        }
        RequestError::Api { code, message, .. } if code >= 500 => {
            ActError::Uncertain(format!("the eviction of {pod} ended with {code}: {message}"))
        }
        RequestError::Api { code, message, .. } => {
            ActError::Failed(format!("expected to evict pod {pod}, found {code}: {message}"))
        }
    }
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
        let client = kube::may_act(&self.shared).await?;
        self.still_broken(&client).await?;
        let pods = kube::pods_of(&client, &self.owner()).await.map_err(|error| unread(&error))?;
        self.memo.known = pods.into_iter().filter_map(|pod| pod.meta).map(|meta| meta.uid).collect();
        self.memo.cordoned =
            (self.order.avoid_node && !self.order.node.is_empty()).then(|| self.order.node.clone());
        Ok(())
    }

    fn memo(&self) -> Vec<u8> {
        serde_json::to_vec(&self.memo).unwrap_or_default()
    }

    fn recall(&mut self, memo: &[u8]) {
        // Before the intent there is none, and nothing was done either.
        self.memo = serde_json::from_slice(memo).unwrap_or_default();
    }

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let mut evidence = Vec::new();
        if let Some(node) = self.memo.cordoned.clone() {
            let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
            // A budget that forbids it is found before the node is closed for nothing.
            if let Err(ActError::Refused(refusal)) = self.evict(&client, true).await {
                return Err(ActError::Refused(refusal));
            }
            match cordons::cordon(&client, &node, &self.job.get().job_id).await {
                Ok(Cordoned::Ours) => {
                    evidence.push(format!("closed node {node} until the replacement is bound"));
                }
                Ok(Cordoned::AlreadyClosed) => {
                    self.memo.cordoned = None;
                    evidence.push(format!("node {node} was closed already, not by this agent"));
                }
                Err(error) => {
                    return Err(ActError::Failed(format!("expected to close node {node}, found: {error}")));
                }
            }
        }
        // Closing the node took its time. Meanwhile the lease may have been lost, the job may have expired, and the pod
        // may have recovered.
        let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
        self.still_broken(&client).await.map_err(ActError::Refused)?;
        window.still_open()?;
        self.evict(&client, false).await?;
        let target = self.target();
        evidence.push(format!("evicted pod {}/{}", target.namespace, target.name));
        Ok(evidence)
    }

    async fn probe(&mut self) -> Probe {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => return Probe::Unknown(why),
        };
        let Ok(path) = kube::pod_path(&self.target()) else { return Probe::NotThere };
        match kube::pod(&client, &path).await {
            Err(error) => Probe::Unknown(error.to_string()),
            Ok(Some(pod)) => {
                let meta = pod.meta.unwrap_or_default();
                let same = meta.uid == self.target().uid && meta.deleting_since_us == 0;
                if same { Probe::NotThere } else { Probe::There }
            }
            Ok(None) => Probe::There,
        }
    }

    async fn verify(&mut self) -> Verdict {
        match kube::client(&self.shared) {
            Ok(client) => self.verify_on(&client).await,
            Err(why) => Verdict::new(
                Told::Unknown,
                format!("the pod was evicted; whether it helped is not known: {why}"),
            ),
        }
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        let Some(node) = self.memo.cordoned.clone() else { return Ok(()) };
        let client = kube::client(&self.shared)?;
        let lifted = cordons::uncordon(&client, &node, &self.job.get().job_id).await;
        lifted.map_err(|error| format!("node {node} still carries this job's cordon: {error}"))?;
        self.memo.cordoned = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nimbus_agent_core::Code;

    fn api(code: u16, message: &str) -> RequestError {
        RequestError::Api {
            code,
            reason: String::new(),
            message: message.to_owned(),
            causes: "The disruption budget web needs 2 healthy pods and has 2 currently".to_owned(),
        }
    }

    #[test]
    fn a_disruption_budget_refuses_in_its_own_words() {
        let ActError::Refused(refusal) = eviction_error("shop/web-1", api(429, "Cannot evict pod")) else {
            panic!("not refused");
        };
        assert_eq!(refusal.code, Code::PreconditionFailed);
        assert!(refusal.reason.contains("disruption budget web needs 2"), "{}", refusal.reason);
    }

    #[test]
    fn an_answer_that_leaves_the_effect_open_is_not_taken_for_a_refusal() {
        assert!(matches!(eviction_error("a/b", api(409, "uid")), ActError::Refused(_)));
        assert!(matches!(eviction_error("a/b", api(403, "no")), ActError::Failed(_)));
        assert!(matches!(eviction_error("a/b", api(504, "late")), ActError::Uncertain(_)));
        assert!(matches!(
            eviction_error("a/b", RequestError::Unanswered("cut".into())),
            ActError::Uncertain(_)
        ));
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
