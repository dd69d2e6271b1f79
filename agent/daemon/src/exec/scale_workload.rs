//! The executor of `scale_workload`: sets how many pods a Deployment or StatefulSet has, watches until those are ready, and puts the number
//! of before back where it does not help.
//!
//! Nothing but that figure is written, the mark of the job, and the annotation that says what it was scaled from and to. By that it is known
//! later whether the number is still Nimbus's, or somebody else's by now. Whoever writes to the workload between the check and the patch makes
//! the patch fail; then everything is checked anew.
//!
//! It helped once all pods that are asked for are ready. Of a workload that was scaled out and of which some of the added pods became
//! ready, it is not known; they carry load, and stay. Where none did, or where too few are left after it was scaled in, it gets the number of
//! before, if nobody wrote another since.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::scale_workload::ScaledNow;
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::kube::load::{LoadedPod, SCALED, SCALED_OUT, Scaled, SlimScaled};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::Shared;
use super::kube;
use super::kube::patch::{self, Checked, Object};
use super::kube::put_back::{Reversible, put_back};
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use crate::watch::kube::request::RequestError;

/// How often the patch is tried while somebody else writes to the workload.
const TRIES: u32 = 10;

pub(super) struct ScaleWorkload {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::ScaleWorkload,
    limits: Limits,
    /// From the last check: what the patch relies on, and what it writes.
    ready: Option<(Checked, Vec<Value>)>,
    /// The most ready pods that a look found.
    most_ready: u32,
}

impl ScaleWorkload {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::ScaleWorkload) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, job_id: job.id(), action, limits, ready: None, most_ready: 0 }
    }

    fn target(&self) -> v1::Target {
        self.action.workload.clone().unwrap_or_default()
    }

    fn is_out(&self) -> bool {
        self.action.to_replicas > self.action.from_replicas
    }

    fn object(&self) -> Result<Object, Refusal> {
        match self.action.kind.as_str() {
            "Deployment" => Object::deployment(&self.target()),
            "StatefulSet" => Object::stateful_set(&self.target()),
            other => Err(precondition(format!("expected a Deployment or a StatefulSet, found {other}"))),
        }
    }

    /// Sets how many pods of the workload, as it is now, there are to be. The marks that say what it had go with it, and away where it has
    /// that again.
    fn replicas_of(&self, replicas: u32, now: &Value) -> Vec<Value> {
        let metadata = &now["metadata"];
        let label = format!("/metadata/labels/{}", SCALED_OUT.replace('/', "~1"));
        let annotation = format!("/metadata/annotations/{}", SCALED.replace('/', "~1"));
        let mut all = vec![json!({ "op": "replace", "path": "/spec/replicas", "value": replicas })];
        if replicas > self.action.base_replicas {
            let scaled = Scaled { from: self.action.base_replicas, to: replicas, at: nimbus_platform::now() };
            let text = scaled.text(&self.target().uid);
            if !metadata["labels"].is_object() {
                all.push(json!({ "op": "add", "path": "/metadata/labels", "value": {} }));
            }
            all.push(json!({ "op": "add", "path": label, "value": "true" }));
            all.push(json!({ "op": "add", "path": annotation, "value": text }));
            return all;
        }
        for (of, key, pointer) in [("labels", SCALED_OUT, label), ("annotations", SCALED, annotation)] {
            if !metadata[of][key].is_null() {
                all.push(json!({ "op": "remove", "path": pointer }));
            }
        }
        all
    }

    /// Is this the workload, with the number that this job wrote?
    fn is_scaled(&self, value: &Value) -> bool {
        value["metadata"]["uid"].as_str() == Some(self.target().uid.as_str())
            && value["spec"]["replicas"].as_u64() == Some(self.action.to_replicas.into())
    }

    fn load(&self, value: &Value) -> Option<v1::WorkloadLoad> {
        Some(SlimScaled::of(value)?.load(&self.action.kind, &[], &[], nimbus_platform::now()))
    }

    /// The pods that its selector chooses.
    async fn pods(&self, client: &Client, value: &Value) -> Result<Vec<LoadedPod>, RequestError> {
        let scaled = SlimScaled::of(value);
        let Some(labels) = scaled.as_ref().and_then(SlimScaled::pod_labels) else {
            let found = "expected a selector of labels alone, found expressions, or none".to_owned();
            return Err(RequestError::Unanswered(found));
        };
        let selector = kube::label_selector(labels);
        kube::all(client, "/api/v1", &self.target().namespace, "pods", &selector).await
    }

    /// The autoscalers of its namespace.
    async fn autoscalers(&self, client: &Client) -> Result<Vec<Value>, RequestError> {
        let namespace = self.target().namespace;
        kube::all(client, "/apis/autoscaling/v2", &namespace, "horizontalpodautoscalers", "").await
    }

    /// What a look at the scaled workload means.
    fn judged(&mut self, now: &v1::WorkloadLoad) -> Look {
        let seen = format!("{} of {} are ready", now.ready, now.replicas);
        self.most_ready = self.most_ready.max(now.ready);
        if !now.settled || now.ready < self.action.to_replicas {
            return Look::new(seen, State::Pending);
        }
        Look::new(seen, State::Reached(String::new()))
    }
}

fn unread(error: &RequestError) -> Refusal {
    precondition(format!("expected to read the workload, its pods and autoscalers again, found: {error}"))
}

impl Watched for ScaleWorkload {
    const STATE: &'static str = "all pods that are asked for ready";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, _elapsed: Duration) -> Look {
        let over = |seen: &str| {
            let reason = format!("expected the workload with its new number of replicas, found {seen}");
            Look::new(seen, State::Over(Outcome::Unknown, reason))
        };
        let Ok(object) = self.object() else { return over("no name of a workload") };
        let value = match object.get(client).await {
            Err(error) => {
                return Look::new(format!("the cluster did not answer: {error}"), State::Unanswered);
            }
            Ok(None) => return over("that it is gone"),
            Ok(Some(value)) => value,
        };
        if !self.is_scaled(&value) {
            return over("that it is another one, or has another number");
        }
        match self.load(&value) {
            Some(now) => self.judged(&now),
            None => over("one that cannot be read"),
        }
    }
}

impl Reversible for ScaleWorkload {
    fn before(&self) -> String {
        format!("its {} replicas", self.action.from_replicas)
    }

    fn is_back(&self, now: &Value) -> bool {
        now["spec"]["replicas"].as_u64() == Some(self.action.from_replicas.into())
    }

    fn is_written(&self, now: &Value) -> bool {
        self.is_scaled(now)
    }

    fn operations(&self, now: &Value) -> Vec<Value> {
        self.replicas_of(self.action.from_replicas, now)
    }
}

impl Remedy for ScaleWorkload {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let object = self.object()?;
        let value = object.get(&client).await.map_err(|error| unread(&error))?;
        let pods = match &value {
            Some(value) => self.pods(&client, value).await.map_err(|error| unread(&error))?,
            None => Vec::new(),
        };
        let autoscalers = self.autoscalers(&client).await.map_err(|error| unread(&error))?;
        let quotas = if self.is_out() {
            kube::listed(&client, &self.target().namespace, "resourcequotas").await?
        } else {
            Vec::new()
        };
        let now = nimbus_platform::now();
        let found = value.as_ref().and_then(|value| self.load(value));
        self.action.preconditions(ScaledNow {
            workload: found.as_ref().zip(value.as_ref()),
            pods: &pods,
            autoscalers: &autoscalers,
            quotas: &quotas,
            now,
        })?;
        let Some(value) = value else { return Err(precondition("expected the workload, found it gone")) };
        self.ready = Some((Checked::of(&value), self.replicas_of(self.action.to_replicas, &value)));
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let object = self.object().map_err(ActError::Refused)?;
        let (from, to) = (self.action.from_replicas, self.action.to_replicas);
        let mut tries = 0;
        loop {
            let Some((checked, operations)) = self.ready.take() else {
                return Err(ActError::Failed("expected a check before the change, found none".to_owned()));
            };
            let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
            // The election, or the tries before, may have taken their time.
            window.still_open()?;
            tries += 1;
            match patch::apply(&client, &object, &checked, self.job_id, operations).await {
                Ok(()) => break,
                // Nothing was changed. Is it still what was planned on?
                Err(ActError::Refused(_)) if tries < TRIES => {
                    self.check().await.map_err(ActError::Refused)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(vec![format!("scaled {} from {from} to {to} replicas", object.name)])
    }

    async fn probe(&mut self) -> Effect {
        let Ok(object) = self.object() else { return Effect::Absent };
        // The same number may be a person's: only the mark of this job tells.
        patch::probe(kube::client(&self.shared), &object, self.job_id, |_| false).await
    }

    async fn verify(&mut self) -> Verdict {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => {
                let reason = format!("it was scaled; whether it helped is not known: {why}");
                return Verdict::new(Outcome::Unknown, reason);
            }
        };
        let (shared, limits) = (self.shared.clone(), self.limits);
        let verdict = until_stable(self, limits, &client, &shared.cluster.looks).await;
        let some_are_ready = self.is_out() && self.most_ready > self.action.from_replicas;
        match verdict.outcome {
            Outcome::Failed if some_are_ready => {
                let reason = format!(
                    "{}; up to {} were ready at once, so it stays scaled out",
                    verdict.reason, self.most_ready
                );
                Verdict { outcome: Outcome::Unknown, reason, ..verdict }
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
#[path = "scale_workload_tests.rs"]
mod tests;
