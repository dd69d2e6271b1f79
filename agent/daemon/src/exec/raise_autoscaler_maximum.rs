//! The executor of `raise_autoscaler_maximum`: raises how many replicas a HorizontalPodAutoscaler may make, watches until they are there
//! and ready, and puts the old maximum back where none of them becomes ready.
//!
//! Nothing but that figure is written, and the marks of the job. The API server is asked without effect first, so that a policy which
//! lets nobody write it is known before. Whoever writes to the autoscaler between the check and the patch makes the patch fail; then
//! everything is checked anew: its own controller writes to it all the time.
//!
//! It helped once the autoscaler asks for more replicas than it might make before and all that it asks for are ready, or once it asks for
//! no more than before because less is wanted by then. Where some became ready and others did not, whether it helped is not known, and
//! it is not undone: those that are ready carry load. Where none did, the old maximum is put back, if nobody wrote another since.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::raise_autoscaler_maximum::AutoscalerNow;
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::kube::load::{LoadedPod, SlimScaled};
use nimbus_agent_core::observe::kube::pod_asks::PodAsks;
use nimbus_agent_core::observe::kube::{RAISED_MAXIMUM, Slim as _, SlimHorizontalPodAutoscaler};
use nimbus_protocol::action::MORE_REPLICAS;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1::{self, observation};
use serde_json::{Value, json};

use super::Shared;
use super::kube;
use super::kube::patch::{self, Checked, Object};
use super::kube::put_back::{Reversible, put_back};
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use crate::watch::kube::request::{self, RequestError};

/// How often the patch is tried while somebody else writes to the autoscaler.
const TRIES: u32 = 10;

pub(super) struct RaiseAutoscalerMaximum {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::RaiseAutoscalerMaximum,
    limits: Limits,
    /// From the last check: what the patch relies on, and the value that it writes to the annotation.
    ready: Option<(Checked, String)>,
    /// The most ready pods that a look found, and the most that the autoscaler asked for.
    most_ready: u64,
    most_asked: u64,
}

impl RaiseAutoscalerMaximum {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RaiseAutoscalerMaximum) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, job_id: job.id(), action, limits, ready: None, most_ready: 0, most_asked: 0 }
    }

    fn target(&self) -> v1::Target {
        self.action.autoscaler.clone().unwrap_or_default()
    }

    fn object(&self) -> Result<Object, Refusal> {
        Object::autoscaler(&self.target())
    }

    /// What it scales, as the API server has it; `None` when there is none of that name.
    async fn scaled(&self, client: &Client) -> Result<Option<Value>, RequestError> {
        let resource = match self.action.target_kind.as_str() {
            "Deployment" => "deployments",
            "StatefulSet" => "statefulsets",
            other => {
                return Err(RequestError::Unanswered(format!(
                    "expected a Deployment or a StatefulSet, found {other}"
                )));
            }
        };
        let path = kube::path("/apis/apps/v1", &self.target().namespace, resource, &self.action.target_name)
            .map_err(|refusal| RequestError::Unanswered(refusal.to_string()))?;
        request::get_optional(client, &path).await
    }

    /// What the pods ask for that its selector chooses, and that have not ended.
    async fn pods(&self, client: &Client, scaled: &Value) -> Result<Vec<PodAsks>, RequestError> {
        let scaled = SlimScaled::of(scaled);
        let Some(labels) = scaled.as_ref().and_then(SlimScaled::pod_labels) else {
            let found = "expected a selector of labels alone, found expressions, or none".to_owned();
            return Err(RequestError::Unanswered(found));
        };
        let selector = kube::label_selector(labels);
        let all: Vec<LoadedPod> =
            kube::all(client, "/api/v1", &self.target().namespace, "pods", &selector).await?;
        Ok(all.iter().filter(|pod| pod.is_active()).map(LoadedPod::whole).collect())
    }

    /// Is this the autoscaler, with the maximum that this job wrote?
    fn is_raised(&self, value: &Value) -> bool {
        value["metadata"]["uid"].as_str() == Some(self.target().uid.as_str())
            && value["spec"]["maxReplicas"].as_u64() == Some(self.action.to_replicas.into())
    }

    /// The API server's answer to the change without effect.
    async fn tried_out(
        &self,
        client: &Client,
        object: &Object,
        checked: &Checked,
        at: &str,
    ) -> Result<(), Refusal> {
        match patch::try_out(client, object, checked, self.job_id, maximum_of(self.action.to_replicas, at))
            .await
        {
            Ok(()) => Ok(()),
            // A test of the patch that fails because somebody wrote meanwhile is answered as what a policy does not let happen.
            Err(RequestError::Api { code: 422, message, .. }) => {
                let again = object.get(client).await.map_err(|error| unread(&error))?;
                Err(if again.is_some_and(|again| checked.is(&again)) {
                    precondition(format!("{MORE_REPLICAS}, found 422: {message}"))
                } else {
                    precondition("expected the autoscaler as it was checked, found that somebody wrote to it")
                })
            }
            // What passes by itself: it is gone, somebody wrote meanwhile, or the API server is busy.
            Err(RequestError::Api { code, message, .. })
                if (400..500).contains(&code) && ![401, 404, 409, 429].contains(&code) =>
            {
                Err(precondition(format!("{MORE_REPLICAS}, found {code}: {message}")))
            }
            Err(error) => {
                Err(precondition(format!("expected a dry run of the change to pass, found: {error}")))
            }
        }
    }

    /// What a look at the raised autoscaler and its pods means.
    fn judged(&mut self, now: &v1::HorizontalPodAutoscaler, ready: Option<u32>) -> Look {
        let Some(ready) = ready else {
            return Look::new(format!("{} does not say how many are ready", self.name()), State::Pending);
        };
        let ready = u64::from(ready);
        self.most_ready = self.most_ready.max(ready);
        let asked = u64::try_from(now.desired_replicas).unwrap_or(0);
        self.most_asked = self.most_asked.max(asked);
        let seen = format!("it asks for {asked}, and {ready} are ready");
        let is_seen = now.observed_generation == 0 || now.observed_generation >= now.generation;
        let scales = is_seen && now.able_to_scale == "True" && now.scaling_active == "True";
        // With no more than before it is well only where it wants no more: what it said before the change, it says until its controller
        // looks again, and its own policies may let it make no more for a while.
        let is_well = match now.limited_reason.as_str() {
            "" | "TooFewReplicas" => true,
            "TooManyReplicas" => asked >= u64::from(self.action.to_replicas),
            _ => asked > u64::from(self.action.from_replicas),
        };
        if !scales || !is_well || ready < asked {
            return Look::new(seen, State::Pending);
        }
        Look::new(seen, State::Reached(String::new()))
    }

    fn name(&self) -> String {
        format!("{} {}", self.action.target_kind, self.action.target_name)
    }
}

/// Writes this maximum, and that it is the one that Nimbus wrote.
fn maximum_of(maximum: u32, at: &str) -> [Value; 2] {
    marked(maximum, maximum, at)
}

/// Writes the maximum that it had, and that none is Nimbus's, but when Nimbus wrote it last.
fn put_back_to(maximum: u32, at: &str) -> [Value; 2] {
    marked(maximum, 0, at)
}

fn marked(maximum: u32, raised_to: u32, at: &str) -> [Value; 2] {
    let pointer = format!("/metadata/annotations/{}", RAISED_MAXIMUM.replace('/', "~1"));
    [
        json!({ "op": "replace", "path": "/spec/maxReplicas", "value": maximum }),
        json!({ "op": "add", "path": pointer, "value": format!("{raised_to} {at}") }),
    ]
}

fn unread(error: &RequestError) -> Refusal {
    precondition(format!("expected to read the autoscaler and what it scales again, found: {error}"))
}

fn autoscaler(value: &Value) -> Option<v1::HorizontalPodAutoscaler> {
    match serde_json::from_value::<SlimHorizontalPodAutoscaler>(value.clone()).ok()?.observe() {
        observation::Body::HorizontalPodAutoscaler(autoscaler) => Some(autoscaler),
        _ => None,
    }
}

impl Watched for RaiseAutoscalerMaximum {
    const STATE: &'static str = "the replicas that the autoscaler asks for ready";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, _elapsed: Duration) -> Look {
        let over = |seen: &str| {
            let reason = format!("expected the autoscaler with its new maximum, found {seen}");
            Look::new(seen, State::Over(Outcome::Unknown, reason))
        };
        let unanswered = |error: RequestError| {
            Look::new(format!("the cluster did not answer: {error}"), State::Unanswered)
        };
        let Ok(object) = self.object() else { return over("no name of an autoscaler") };
        let value = match object.get(client).await {
            Err(error) => return unanswered(error),
            Ok(None) => return over("that it is gone"),
            Ok(Some(value)) => value,
        };
        if !self.is_raised(&value) {
            return over("that it is another one, or has another maximum");
        }
        let Some(now) = autoscaler(&value) else { return over("one that cannot be read") };
        match self.scaled(client).await {
            Err(error) => unanswered(error),
            Ok(None) => over("that what it scales is gone"),
            Ok(Some(scaled)) => {
                self.judged(&now, SlimScaled::of(&scaled).and_then(|scaled| scaled.ready_now()))
            }
        }
    }
}

impl Reversible for RaiseAutoscalerMaximum {
    fn before(&self) -> String {
        format!("its maximum of {}", self.action.from_replicas)
    }

    fn is_back(&self, now: &Value) -> bool {
        now["spec"]["maxReplicas"].as_u64() == Some(self.action.from_replicas.into())
    }

    fn is_written(&self, now: &Value) -> bool {
        self.is_raised(now)
    }

    fn operations(&self, _now: &Value) -> Vec<Value> {
        // None is raised any more: what is there then is a person's own.
        put_back_to(self.action.from_replicas, &nimbus_platform::now().to_string()).to_vec()
    }
}

impl Remedy for RaiseAutoscalerMaximum {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let object = self.object()?;
        let value = object.get(&client).await.map_err(|error| unread(&error))?;
        let scaled = self.scaled(&client).await.map_err(|error| unread(&error))?;
        let pods = match &scaled {
            Some(scaled) => self.pods(&client, scaled).await.map_err(|error| unread(&error))?,
            None => Vec::new(),
        };
        let quotas = kube::listed(&client, &self.target().namespace, "resourcequotas").await?;
        let now = nimbus_platform::now();
        let found = value.as_ref().and_then(autoscaler);
        self.action.preconditions(AutoscalerNow {
            autoscaler: found.as_ref().zip(value.as_ref()),
            scaled: scaled.as_ref(),
            pods: &pods,
            quotas: &quotas,
            now,
        })?;
        let Some(value) = value else { return Err(precondition("expected the autoscaler, found it gone")) };
        let (checked, at) = (Checked::of(&value), now.to_string());
        self.tried_out(&client, &object, &checked, &at).await?;
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
            match patch::apply(
                &client,
                &object,
                &checked,
                self.job_id,
                maximum_of(self.action.to_replicas, &at),
            )
            .await
            {
                Ok(()) => break,
                // Nothing was changed. Is it still what was approved?
                Err(ActError::Refused(_)) if tries < TRIES => {
                    self.check().await.map_err(ActError::Refused)?;
                }
                Err(error) => return Err(error),
            }
        }
        let (from, to) = (self.action.from_replicas, self.action.to_replicas);
        Ok(vec![format!("raised the maximum of {} from {from} to {to} replicas", object.name)])
    }

    async fn probe(&mut self) -> Effect {
        let Ok(object) = self.object() else { return Effect::Absent };
        // The same maximum may be a person's: only the mark of this job tells.
        patch::probe(kube::client(&self.shared), &object, self.job_id, |_| false).await
    }

    async fn verify(&mut self) -> Verdict {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => {
                let reason = format!("the maximum was raised; whether it helped is not known: {why}");
                return Verdict::new(Outcome::Unknown, reason);
            }
        };
        let (shared, limits) = (self.shared.clone(), self.limits);
        let verdict = until_stable(self, limits, &client, &shared.cluster.looks).await;
        let some_are_ready = self.most_ready > self.action.from_replicas.into();
        match verdict.outcome {
            Outcome::Failed if some_are_ready => {
                let reason = format!(
                    "{}; up to {} were ready at once, {} more than before, so the maximum stays raised",
                    verdict.reason,
                    self.most_ready,
                    self.most_ready.saturating_sub(self.action.from_replicas.into())
                );
                Verdict { outcome: Outcome::Unknown, reason, ..verdict }
            }
            // Whether more would have become ready, nobody saw.
            Outcome::Failed if self.most_asked <= self.action.from_replicas.into() => {
                Verdict { reason: format!("{}; it asked for no more meanwhile", verdict.reason), ..verdict }
            }
            Outcome::Failed | Outcome::Succeeded | Outcome::Unknown => verdict,
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
#[path = "raise_autoscaler_maximum_tests.rs"]
mod tests;
