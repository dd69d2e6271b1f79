//! The executor of `expand_volume`: raises how much storage a PersistentVolumeClaim asks for, and watches until its volume has
//! it, file system included.
//!
//! Nothing but that figure is written, and the mark of the job. The API server is asked without effect first: whether the class
//! allows it, and whether a quota leaves room, its own admission says. Whoever writes to the claim between the check and the
//! patch makes the patch fail; then everything is checked anew.
//!
//! A volume cannot be made smaller, so nothing is undone. What the storage system could not do, and what a driver does only when
//! a pod mounts the volume anew, is said as that.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::expand_volume::{ClaimNow, EXPANDED_AT, has_grown};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::kube::{Slim as _, SlimPersistentVolumeClaim, SlimStorageClass};
use nimbus_protocol::action::NOT_LET_GROW;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::quantity;
use nimbus_protocol::v1::{self, observation};
use serde_json::{Value, json};

use super::Shared;
use super::kube;
use super::kube::patch::{self, Checked, Object};
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use crate::watch::kube::request::{self, RequestError};

/// How often the patch is tried while somebody else writes to the claim.
const TRIES: u32 = 10;
/// Why it is not undone.
const NEVER_SMALLER: &str = "Kubernetes makes no volume smaller";

pub(super) struct ExpandVolume {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::ExpandVolume,
    limits: Limits,
    /// From the last check: what the patch relies on, and the value that it writes to the annotation.
    ready: Option<(Checked, String)>,
}

impl ExpandVolume {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::ExpandVolume) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, job_id: job.id(), action, limits, ready: None }
    }

    fn object(&self) -> Result<Object, Refusal> {
        Object::claim(&self.action.claim.clone().unwrap_or_default())
    }

    fn operations(&self, at: &str) -> [Value; 2] {
        let to = quantity::binary(self.action.to_bytes);
        let pointer = format!("/metadata/annotations/{}", EXPANDED_AT.replace('/', "~1"));
        [
            json!({ "op": "replace", "path": "/spec/resources/requests/storage", "value": to }),
            json!({ "op": "add", "path": pointer, "value": at }),
        ]
    }

    /// Does the claim ask for what this job wrote, or for more?
    fn asks(&self, claim: &v1::PersistentVolumeClaim) -> bool {
        let uid = self.action.claim.as_ref().map_or("", |claim| claim.uid.as_str());
        let same = claim.meta.as_ref().is_some_and(|meta| meta.uid == uid);
        same && claim.requested_bytes >= self.action.to_bytes
    }
}

fn claim(value: &Value) -> Option<v1::PersistentVolumeClaim> {
    match serde_json::from_value::<SlimPersistentVolumeClaim>(value.clone()).ok()?.observe() {
        observation::Body::PersistentVolumeClaim(claim) => Some(claim),
        _ => None,
    }
}

async fn class(client: &Client, name: &str) -> Result<Option<v1::StorageClass>, Refusal> {
    let segment = request::segment(name)
        .ok_or_else(|| precondition(format!("expected the name of a StorageClass, found {name:?}")))?;
    let path = format!("{}/{segment}", SlimStorageClass::PATH);
    let found: Option<SlimStorageClass> = request::get_optional(client, &path)
        .await
        .map_err(|error| precondition(format!("expected to read StorageClass {name}, found: {error}")))?;
    Ok(found.and_then(|class| match class.observe() {
        observation::Body::StorageClass(class) => Some(class),
        _ => None,
    }))
}

impl Watched for ExpandVolume {
    const STATE: &'static str = "the volume with the size that was asked for";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, _elapsed: Duration) -> Look {
        let over = |seen: &str| {
            let reason = format!("expected the claim with its new size, found {seen}");
            Look::new(seen, State::Over(Outcome::Unknown, reason))
        };
        let Ok(object) = self.object() else { return over("no name of a claim") };
        let value = match object.get(client).await {
            Err(error) => {
                return Look::new(format!("the cluster did not answer: {error}"), State::Unanswered);
            }
            Ok(None) => return over("that it is gone"),
            Ok(Some(value)) => value,
        };
        let Some(now) = claim(&value) else { return over("a claim that cannot be read") };
        if !self.asks(&now) {
            return over("that it is another one, or asks for less");
        }
        let has = quantity::binary(now.capacity_bytes);
        if !now.resize_error.is_empty() {
            // The storage system tries again by itself, as a rule: the time of the watch decides.
            return Look::new(format!("{has}; {}", now.resize_error), State::Pending);
        }
        if !has_grown(&now, self.action.to_bytes) {
            return Look::new(format!("{has}; {}", now.resizing), State::Pending);
        }
        Look::new(has.clone(), State::Reached(has))
    }
}

impl Remedy for ExpandVolume {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let object = self.object()?;
        let unread =
            |error: RequestError| precondition(format!("expected to read the claim again, found: {error}"));
        let value = object.get(&client).await.map_err(unread)?;
        let class = class(&client, &self.action.storage_class).await?;
        let now = nimbus_platform::now();
        let found = value.as_ref().and_then(claim);
        self.action.preconditions(ClaimNow {
            claim: found.as_ref().zip(value.as_ref()),
            class: class.as_ref(),
            now,
        })?;
        let Some(value) = value else { return Err(precondition("expected the claim, found it gone")) };
        let (checked, at) = (Checked::of(&value), now.to_string());
        match patch::try_out(&client, &object, &checked, self.job_id, self.operations(&at)).await {
            Ok(()) => {}
            // A test of the patch that fails because somebody wrote meanwhile is answered as what a policy does not let happen.
            Err(RequestError::Api { code: 422, message, .. }) => {
                let again = object.get(&client).await.map_err(unread)?;
                if again.is_some_and(|again| checked.is(&again)) {
                    return Err(precondition(format!("{NOT_LET_GROW}, found 422: {message}")));
                }
                return Err(precondition(
                    "expected the claim as it was checked, found that somebody wrote to it",
                ));
            }
            // What passes by itself: somebody wrote meanwhile, it is gone, or the API server is busy.
            Err(RequestError::Api { code, message, .. })
                if (400..500).contains(&code) && ![401, 404, 409, 429].contains(&code) =>
            {
                return Err(precondition(format!("{NOT_LET_GROW}, found {code}: {message}")));
            }
            Err(error) => {
                return Err(precondition(format!(
                    "expected a dry run of the change to pass, found: {error}"
                )));
            }
        }
        self.ready = Some((checked, at));
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
            let Some((checked, at)) = self.ready.take() else {
                return Err(ActError::Failed("expected a check before the change, found none".to_owned()));
            };
            let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
            // The election, or the tries before, may have taken their time.
            window.still_open()?;
            tries += 1;
            match patch::apply(&client, &object, &checked, self.job_id, self.operations(&at)).await {
                Ok(()) => break,
                // Nothing was changed. Is it still what was approved?
                Err(ActError::Refused(_)) if tries < TRIES => {
                    self.check().await.map_err(ActError::Refused)?;
                }
                // Nothing was changed: what the dry run says to it now, such as of a quota that was used up in between, is its reason.
                Err(ActError::Failed(why)) => {
                    return Err(self
                        .check()
                        .await
                        .map_or_else(ActError::Refused, |()| ActError::Failed(why)));
                }
                Err(error) => return Err(error),
            }
        }
        let (from, to) = (quantity::binary(self.action.from_bytes), quantity::binary(self.action.to_bytes));
        Ok(vec![format!("raised what {} asks for from {from} to {to}", object.name)])
    }

    async fn probe(&mut self) -> Effect {
        let Ok(object) = self.object() else { return Effect::Absent };
        // The same size may be a person's: only the mark of this job tells.
        patch::probe(kube::client(&self.shared), &object, self.job_id, |_| false).await
    }

    async fn verify(&mut self) -> Verdict {
        let not_known = |why: &str| {
            let reason = format!("the claim asks for more; whether its volume has it is not known: {why}");
            Verdict::new(Outcome::Unknown, reason)
        };
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => return not_known(&why),
        };
        let (shared, limits) = (self.shared.clone(), self.limits);
        let verdict = until_stable(self, limits, &client, &shared.cluster.looks).await;
        match verdict.outcome {
            // Storage systems take hours at times, and some grow a file system only when a pod mounts it anew.
            Outcome::Failed => {
                let reason = format!(
                    "{}; the claim asks for {} all the same, and what it waits for its conditions and events say (`kubectl describe \
                     pvc`): a file system that grows off line does so when its pod starts anew",
                    verdict.reason,
                    quantity::binary(self.action.to_bytes)
                );
                Verdict { outcome: Outcome::Unknown, reason, ..verdict }
            }
            Outcome::Succeeded | Outcome::Unknown => verdict,
        }
    }

    async fn compensate(&mut self) -> Compensation {
        Compensation::NotReversible(NEVER_SMALLER)
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "expand_volume_tests.rs"]
mod tests;
