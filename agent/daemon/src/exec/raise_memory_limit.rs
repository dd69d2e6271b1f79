//! The executor of `raise_memory_limit`: raises the memory limit of one container in a Deployment's pod template, watches the
//! rollout, and puts the old limit back where that does not become available.
//!
//! Nothing but that limit (and the request, where it is the same) is written, and only where the template says of it what the
//! plan says. Whoever writes to the Deployment between the check and the patch makes the patch fail; then everything is
//! checked anew. Afterwards the template has to be the one that was written: with another one nothing is concluded, and nothing
//! is written any more.
//!
//! It is undone where it shows that it does not help: a pod with the higher limit is killed as well, none can be made, one
//! crash-loops or finds no node for long, or the rollout passes its deadline. Judged are the pods of the ReplicaSet that makes
//! them from the raised template, and nobody else's. Then the limit of before is written back in its own words, so that the
//! ReplicaSet of before is the present one again. A rollout that is only slow goes on, and whether it helped is not known.
//!
//! It helped once no such pod was killed for twice as long as the killed container had run before: a leak takes as much longer to
//! fill a higher limit. Where that is longer than half of the watch, whether it helped is not known either. An agent that was away for longer than the watch would have taken judges
//! nothing any more, and undoes nothing.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::memory_pod::{MadeBy, MemoryPod};
use nimbus_agent_core::action::memory_trouble::{Trouble, trouble};
use nimbus_agent_core::action::raise_memory_limit::{MemoryNow, stated};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::kube::template_hash;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{quantity, to_hex, v1};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shared;
use super::kube;
use super::kube::patch::{self, Checked, Object};
use super::kube::put_back::{Reversible, put_back};
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{
    ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition, seconds,
};
use super::rollback_deployment::{complete, deployment, describe};
use crate::watch::kube::request::RequestError;

/// How often the patch is tried while somebody else writes to the Deployment.
const TRIES: u32 = 10;
/// An interruption that is shorter than this beside the watch does not keep a raise from being judged.
const AWAY: Duration = Duration::from_mins(1);

/// What has to be known after a crash.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// The hash of the template with the higher limit (hex).
    raised: String,
    /// Where the container stands, and what its limit and request were, in the template's own words.
    at: usize,
    limit: Value,
    request: Value,
    /// When it was checked, by the control plane's time, in microseconds.
    #[serde(default)]
    checked_us: i64,
    /// For how long the container had run when it was killed, in milliseconds; the longest of its pods.
    #[serde(default)]
    lived_ms: Option<u64>,
}

pub(super) struct RaiseMemoryLimit {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::RaiseMemoryLimit,
    limits: Limits,
    checkpoint: Checkpoint,
    /// From the last check: what the patch relies on.
    ready: Option<Checked>,
    /// Since when, in the time of the watch, something speaks against it.
    troubled: Option<Duration>,
    /// Did a look show that it does not help?
    is_decided: bool,
    /// Was it begun before the agent was started again?
    is_restored: bool,
}

impl RaiseMemoryLimit {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RaiseMemoryLimit) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        let checkpoint = Checkpoint::default();
        Self {
            shared,
            job_id: job.id(),
            limits,
            action,
            checkpoint,
            ready: None,
            troubled: None,
            is_decided: false,
            is_restored: false,
        }
    }

    fn target(&self) -> v1::Target {
        self.action.deployment.clone().unwrap_or_default()
    }

    fn object(&self) -> Result<Object, Refusal> {
        Object::deployment(&self.target())
    }

    /// Writes these where the container stands; the request only where it goes with the limit.
    fn limits_of(&self, limit: &Value, request: &Value) -> Vec<Value> {
        let at = self.checkpoint.at;
        let operation = |word: &str, value: &Value| {
            let path = format!("/spec/template/spec/containers/{at}/resources/{word}/memory");
            json!({ "op": "replace", "path": path, "value": value })
        };
        let mut all = vec![operation("limits", limit)];
        if self.action.request_too {
            all.push(operation("requests", request));
        }
        all
    }

    /// Does the object have the template that this job wrote?
    fn is_raised(&self, value: &Value) -> bool {
        let is_same = value["metadata"]["uid"].as_str() == Some(self.target().uid.as_str());
        is_same && to_hex(&template_hash(&value["spec"]["template"])) == self.checkpoint.raised
    }

    /// The pods that were made from the template with this hash, and are not on their way out.
    async fn made_from(
        &self,
        client: &Client,
        deployment: &Value,
        hash: &[u8],
    ) -> Result<Vec<MemoryPod>, RequestError> {
        let namespace = self.target().namespace;
        let selector = kube::label_selector(&deployment["spec"]["selector"]["matchLabels"]);
        let sets: Vec<MadeBy> =
            kube::all(client, "/apis/apps/v1", &namespace, "replicasets", &selector).await?;
        let uid = self.target().uid;
        let sets: Vec<String> =
            sets.iter().filter_map(|set| set.uid_if(&uid, hash)).map(str::to_owned).collect();
        let mut pods: Vec<MemoryPod> = kube::all(client, "/api/v1", &namespace, "pods", &selector).await?;
        pods.retain(|pod| pod.is_of(&sets));
        Ok(pods)
    }

    /// What a look at the Deployment with the raised template means.
    fn judged(&mut self, now: &v1::Deployment, pods: &[MemoryPod], elapsed: Duration) -> Look {
        match trouble(&self.action.container, now, pods) {
            Some(Trouble::Certain(why)) => return self.decided(why),
            Some(Trouble::Lasting(why)) => {
                let since = *self.troubled.get_or_insert(elapsed);
                if elapsed.saturating_sub(since) >= self.patience() {
                    return self.decided(why);
                }
                return Look::new(why, State::Pending);
            }
            None => self.troubled = None,
        }
        // Without pods nothing shows whether it helped.
        if now.desired == 0 {
            let reason = "expected pods with the higher limit, found a Deployment that was scaled to zero";
            return Look::new("scaled to zero", State::Over(Outcome::Unknown, reason.to_owned()));
        }
        if !complete(now) {
            return Look::new(describe(now), State::Pending);
        }
        // Whoever was started again meanwhile has to run for the whole time anew.
        let restarts: u64 = pods.iter().map(|pod| u64::from(pod.restarts(&self.action.container))).sum();
        Look::new(describe(now), State::Reached(restarts.to_string()))
    }

    /// It does not help, because of `why`.
    fn decided(&mut self, why: String) -> Look {
        self.is_decided = true;
        let reason = format!("expected pods that run with the higher limit, found that {why}");
        Look::new(why, State::Over(Outcome::Failed, reason))
    }

    /// For how long something has to speak against it that may pass by itself.
    fn patience(&self) -> Duration {
        self.limits.reach / 5
    }

    /// Is it longer since the check than acting and watching would have taken?
    fn was_away(&self) -> bool {
        let now = nimbus_protocol::to_micros(self.shared.job_time());
        // A clock that went back says nothing of how long it was.
        let passed = u64::try_from(now.saturating_sub(self.checkpoint.checked_us)).unwrap_or(0);
        self.is_restored && Duration::from_micros(passed) > self.limits.act + self.limits.reach + AWAY
    }

    /// Watches the pods with the higher limit for twice as long as the killed container ran, where there is time for that.
    async fn watched(&mut self, client: &Client) -> Verdict {
        let shared = self.shared.clone();
        let lived = self.checkpoint.lived_ms.map(Duration::from_millis);
        let mut limits = self.limits;
        // The step is at most twice the limit.
        let wanted = lived.map(|lived| lived * 2).filter(|wanted| *wanted <= limits.reach / 2);
        limits.hold = limits.hold.max(wanted.unwrap_or_default());
        let verdict = until_stable(self, limits, client, &shared.cluster.looks).await;
        let not_known = match verdict.outcome {
            Outcome::Succeeded if wanted.is_none() => format!(
                "{}, and was killed after {} before: whether the higher limit helps is not known yet",
                verdict.reason,
                lived.map_or_else(|| "a time that is not told".to_owned(), seconds)
            ),
            // The time was over, and no look had decided it.
            Outcome::Failed if !self.is_decided => {
                format!("{}; nothing shows that the higher limit does not help", verdict.reason)
            }
            Outcome::Succeeded | Outcome::Failed | Outcome::Unknown => return verdict,
        };
        Verdict { outcome: Outcome::Unknown, reason: not_known, ..verdict }
    }
}

impl Watched for RaiseMemoryLimit {
    const STATE: &'static str = "the rollout with the higher limit complete";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, elapsed: Duration) -> Look {
        let over = |seen: &str| {
            let reason = format!("expected the template with the higher limit, found {seen}");
            Look::new(seen, State::Over(Outcome::Unknown, reason))
        };
        let Ok(object) = self.object() else { return over("no name of a Deployment") };
        let value = match object.get(client).await {
            Err(error) => {
                return Look::new(format!("the cluster did not answer: {error}"), State::Unanswered);
            }
            Ok(None) => return over("that the Deployment is gone"),
            Ok(Some(value)) => value,
        };
        if !self.is_raised(&value) {
            return over("another pod template: somebody changed it meanwhile");
        }
        let Some(now) = deployment(&value) else { return over("a Deployment that cannot be read") };
        let hash = template_hash(&value["spec"]["template"]);
        match self.made_from(client, &value, &hash).await {
            Ok(pods) => self.judged(&now, &pods, elapsed),
            // What the Deployment says by itself counts also where its pods cannot be read.
            Err(_) if trouble(&self.action.container, &now, &[]).is_some() => self.judged(&now, &[], elapsed),
            Err(error) => Look::new(format!("the cluster did not answer: {error}"), State::Unanswered),
        }
    }
}

impl Reversible for RaiseMemoryLimit {
    fn before(&self) -> String {
        format!("its limit of {}", quantity::binary(self.action.from_bytes))
    }

    fn is_back(&self, now: &Value) -> bool {
        template_hash(&now["spec"]["template"])[..] == self.action.current_template_hash[..]
    }

    fn is_written(&self, now: &Value) -> bool {
        self.is_raised(now)
    }

    fn operations(&self, _now: &Value) -> Vec<Value> {
        self.limits_of(&self.checkpoint.limit, &self.checkpoint.request)
    }
}

impl Remedy for RaiseMemoryLimit {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let unread = |error: RequestError| {
            precondition(format!("expected to read the Deployment again, found: {error}"))
        };
        let value = self.object()?.get(&client).await.map_err(unread)?;
        let limit_ranges = kube::listed(&client, &self.target().namespace, "limitranges").await?;
        let quotas = kube::listed(&client, &self.target().namespace, "resourcequotas").await?;
        let now = self.shared.job_time();
        let pods = match &value {
            Some(value) => self.made_from(&client, value, &self.action.current_template_hash).await,
            None => Ok(Vec::new()),
        };
        let pods = pods.map_err(|error| {
            precondition(format!("expected to read the Deployment's pods, found: {error}"))
        })?;
        let pods: Vec<&MemoryPod> = pods.iter().collect();
        let found = value.as_ref().and_then(deployment);
        self.action.preconditions(MemoryNow {
            deployment: found.as_ref().zip(value.as_ref()),
            limit_ranges: &limit_ranges,
            quotas: &quotas,
            pods: &pods,
            now,
        })?;
        let Some(value) = value else { return Err(precondition("expected the Deployment, found it gone")) };
        let at = stated(&value, &self.action.container).map_err(precondition)?.at;
        let mut template = value["spec"]["template"].clone();
        let resources = template.pointer_mut(&format!("/spec/containers/{at}/resources"));
        let Some(resources) = resources else { return Err(precondition("expected resources, found none")) };
        let (limit, request) =
            (resources["limits"]["memory"].clone(), resources["requests"]["memory"].clone());
        resources["limits"]["memory"] = json!(quantity::binary(self.action.to_bytes));
        if self.action.request_too {
            resources["requests"]["memory"] = json!(quantity::binary(self.action.to_bytes));
        }
        let lived = pods.iter().filter_map(|pod| pod.kill(&self.action.container)?.lived).max();
        let lived_ms = lived.and_then(|lived| u64::try_from(lived.as_millis()).ok());
        let raised = to_hex(&template_hash(&template));
        let checked_us = nimbus_protocol::to_micros(now);
        self.checkpoint = Checkpoint { raised, at, limit, request, checked_us, lived_ms };
        self.ready = Some(Checked::of(&value));
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        serde_json::to_vec(&self.checkpoint).unwrap_or_default()
    }

    fn restore(&mut self, checkpoint: &[u8]) {
        // Before the intent there is none, and nothing was done either.
        self.checkpoint = serde_json::from_slice(checkpoint).unwrap_or_default();
        self.is_restored = true;
    }

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let object = self.object().map_err(ActError::Refused)?;
        let mut tries = 0;
        loop {
            let Some(checked) = self.ready.take() else {
                return Err(ActError::Failed("expected a check before the change, found none".to_owned()));
            };
            let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
            // The election, or the tries before, may have taken their time.
            window.still_open()?;
            tries += 1;
            let to = json!(quantity::binary(self.action.to_bytes));
            let operations = self.limits_of(&to, &to);
            match patch::apply(&client, &object, &checked, self.job_id, operations).await {
                Ok(()) => break,
                // Nothing was changed. Is it still what was approved?
                Err(ActError::Refused(_)) if tries < TRIES => {
                    self.check().await.map_err(ActError::Refused)?;
                }
                Err(error) => return Err(error),
            }
        }
        let (from, to) = (quantity::binary(self.action.from_bytes), quantity::binary(self.action.to_bytes));
        let container = &self.action.container;
        Ok(vec![format!(
            "raised the memory limit of container {container} of {} from {from} to {to}",
            object.name
        )])
    }

    async fn probe(&mut self) -> Effect {
        let Ok(object) = self.object() else { return Effect::Absent };
        // The same limit may be a person's: only the mark of this job tells.
        patch::probe(kube::client(&self.shared), &object, self.job_id, |_| false).await
    }

    async fn verify(&mut self) -> Verdict {
        let not_known = |why: &str| {
            Verdict::new(
                Outcome::Unknown,
                format!("the limit was raised; whether it helped is not known: {why}"),
            )
        };
        if self.was_away() {
            return not_known(
                "the agent was away for longer than it would have watched, and undoes nothing now",
            );
        }
        match kube::client(&self.shared) {
            Ok(client) => self.watched(&client).await,
            Err(why) => not_known(&why),
        }
    }

    async fn compensate(&mut self) -> Compensation {
        put_back(&self.shared, self.job_id, self.object(), self).await
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "raise_memory_limit_tests.rs"]
mod tests;
