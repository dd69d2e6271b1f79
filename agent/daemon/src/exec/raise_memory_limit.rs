//! The executor of `raise_memory_limit`: raises the memory limit of one container in a Deployment's pod template, watches the
//! rollout, and puts the old limit back where that does not become available.
//!
//! Nothing but that limit (and the request, where it is the same) is written, and only where the template says of it what the
//! plan says. Whoever writes to the Deployment between the check and the patch makes the patch fail; then everything is
//! checked anew.
//!
//! One that does not help is undone: the pods before it were made and began, while those with the higher limit may find no
//! room; and what is still killed at the higher limit is not helped by it. The old template's ReplicaSet has the pods then,
//! as it had before.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::raise_memory_limit::{MemoryNow, Stated, stated};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{quantity, v1};
use serde_json::{Value, json};

use super::Shared;
use super::kube;
use super::kube::patch::{self, Checked, Object};
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use super::rollback_deployment::{complete, deployment, describe};
use crate::watch::kube::request::{self, RequestError};

/// How often a patch is tried while somebody else writes to the Deployment.
const TRIES: u32 = 10;

pub(super) struct RaiseMemoryLimit {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::RaiseMemoryLimit,
    limits: Limits,
    /// From the last check: what the patch relies on, and where the container stands.
    ready: Option<(Checked, Stated)>,
}

impl RaiseMemoryLimit {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RaiseMemoryLimit) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, job_id: job.id(), limits, action, ready: None }
    }

    fn object(&self) -> Result<Object, Refusal> {
        Object::deployment(&self.action.deployment.clone().unwrap_or_default())
    }

    /// All objects of this resource in the Deployment's namespace. More than a page of them is no list.
    async fn all(&self, client: &Client, resource: &str) -> Result<Vec<Value>, Refusal> {
        const MOST: usize = 100;
        let namespace = self.action.deployment.as_ref().map_or("", |target| target.namespace.as_str());
        let path = kube::list_path(namespace, resource, MOST)?;
        let unread = |error: RequestError| {
            precondition(format!("expected to read the {resource} of {namespace}, found: {error}"))
        };
        let found: Option<Value> = request::get_optional(client, &path).await.map_err(unread)?;
        let Some(found) = found else {
            return Err(precondition(format!("expected the {resource} of {namespace}, found none such")));
        };
        let more = found["metadata"]["continue"].as_str().is_some_and(|more| !more.is_empty());
        match found["items"].as_array() {
            Some(items) if !more => Ok(items.clone()),
            Some(_) => Err(precondition(format!(
                "expected at most {MOST} {resource} in {namespace}, found more: whether there is room is not known"
            ))),
            // An empty list is written as nothing by some.
            None if found["items"].is_null() && found["kind"].is_string() => Ok(Vec::new()),
            None => Err(precondition(format!(
                "expected a list of {resource} in {namespace}, found something else"
            ))),
        }
    }

    /// Writes this many bytes where the container stands.
    fn operations(&self, at: usize, bytes: u64) -> Vec<Value> {
        let words: &[&str] = if self.action.request_too { &["limits", "requests"] } else { &["limits"] };
        let operation = |word: &&str| {
            let path = format!("/spec/template/spec/containers/{at}/resources/{word}/memory");
            json!({ "op": "replace", "path": path, "value": quantity::binary(bytes) })
        };
        words.iter().map(operation).collect()
    }

    /// What the container states, where it states what a raise leaves.
    fn raised(&self, value: &Value) -> Result<Stated, String> {
        let now = stated(value, &self.action.container)?;
        let same = !self.action.request_too || now.request == Some(now.limit);
        if now.limit == self.action.to_bytes && same {
            return Ok(now);
        }
        Err(format!(
            "expected the limit of {}, found {}",
            quantity::binary(self.action.to_bytes),
            quantity::binary(now.limit)
        ))
    }

    /// One try to put the old limit back; `None` where somebody wrote to the Deployment meanwhile.
    async fn put_back(&self, client: &Client, object: &Object) -> Option<Compensation> {
        let name = &object.name;
        let value = match object.get(client).await {
            Ok(Some(value)) => value,
            Ok(None) => return Some(Compensation::Undone(vec![format!("{name} is gone")])),
            Err(error) => {
                return Some(Compensation::Failed(format!(
                    "{name} cannot be read, its limit stays raised: {error}"
                )));
            }
        };
        let from = quantity::binary(self.action.from_bytes);
        match stated(&value, &self.action.container) {
            Ok(now) if now.limit == self.action.from_bytes => {
                return Some(Compensation::Undone(vec![format!("{name} has its limit of {from} again")]));
            }
            Ok(_) | Err(_) => {}
        }
        let now = match self.raised(&value) {
            Ok(now) => now,
            Err(found) => {
                return Some(Compensation::Failed(format!(
                    "{name} was changed meanwhile and is left alone: {found}"
                )));
            }
        };
        let operations = self.operations(now.at, self.action.from_bytes);
        match patch::apply(client, object, &Checked::of(&value), self.job_id, operations).await {
            Ok(()) => Some(Compensation::Undone(vec![format!("put the limit of {name} back to {from}")])),
            Err(ActError::Refused(_)) => None,
            Err(ActError::Failed(why) | ActError::Uncertain(why)) => Some(Compensation::Failed(why)),
        }
    }
}

impl Watched for RaiseMemoryLimit {
    const STATE: &'static str = "the rollout with the higher limit complete";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, _elapsed: Duration) -> Look {
        let over = |seen: &str| {
            let reason = format!("expected the limit that was raised, found {seen}");
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
        if let Err(found) = self.raised(&value) {
            return over(&format!("that somebody changed it meanwhile: {found}"));
        }
        match deployment(&value) {
            None => over("a Deployment that cannot be read"),
            Some(now) if complete(&now) => Look::new(describe(&now), State::Reached(String::new())),
            Some(now) => Look::new(describe(&now), State::Pending),
        }
    }
}

impl Remedy for RaiseMemoryLimit {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let unread = |error: RequestError| {
            precondition(format!("expected to read the Deployment again, found: {error}"))
        };
        let value = self.object()?.get(&client).await.map_err(unread)?;
        let limit_ranges = self.all(&client, "limitranges").await?;
        let quotas = self.all(&client, "resourcequotas").await?;
        let found = value.as_ref().and_then(deployment);
        self.action.preconditions(MemoryNow {
            deployment: found.as_ref().zip(value.as_ref()),
            limit_ranges: &limit_ranges,
            quotas: &quotas,
        })?;
        let Some(value) = value else { return Err(precondition("expected the Deployment, found it gone")) };
        let stated = stated(&value, &self.action.container).map_err(precondition)?;
        self.ready = Some((Checked::of(&value), stated));
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let object = self.object().map_err(ActError::Refused)?;
        let mut tries = 0;
        loop {
            let Some((checked, stated)) = self.ready.take() else {
                return Err(ActError::Failed("expected a check before the change, found none".to_owned()));
            };
            let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
            // The election, or the tries before, may have taken their time.
            window.still_open()?;
            tries += 1;
            let operations = self.operations(stated.at, self.action.to_bytes);
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
        let shows = |value: &Value| self.raised(value).is_ok();
        patch::probe(kube::client(&self.shared), &object, self.job_id, shows).await
    }

    async fn verify(&mut self) -> Verdict {
        match kube::client(&self.shared) {
            Ok(client) => {
                let (limits, shared) = (self.limits, self.shared.clone());
                until_stable(self, limits, &client, &shared.cluster.looks).await
            }
            Err(why) => Verdict::new(
                Outcome::Unknown,
                format!("the limit was raised; whether it helped is not known: {why}"),
            ),
        }
    }

    async fn compensate(&mut self) -> Compensation {
        let object = match self.object() {
            Ok(object) => object,
            Err(refusal) => return Compensation::Failed(refusal.to_string()),
        };
        for _ in 0..TRIES {
            let client = match kube::client(&self.shared) {
                Ok(client) => client,
                Err(why) => return Compensation::Failed(format!("the limit stays raised: {why}")),
            };
            if let Some(ended) = self.put_back(&client, &object).await {
                return ended;
            }
        }
        Compensation::Failed(format!(
            "somebody else wrote to {} each of {TRIES} times; its limit stays raised",
            object.name
        ))
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "raise_memory_limit_tests.rs"]
mod tests;
