//! The executor of `renew_certificate`: sets the condition Issuing of a Certificate, as `cmctl renew` does, and watches until cert-manager
//! has issued it anew, or says that it failed.
//!
//! The condition's message names the job, so that after a crash the agent can tell whether it asked. Whoever writes to the Certificate
//! between the check and the patch makes the patch fail; then everything is checked anew. Nothing is undone: cert-manager does what it was
//! asked for, or says why not.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::renew_certificate::{
    CertificateNow, failed_again, is_of_cert_manager, is_renewed,
};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::kube::{Slim as _, SlimCertificate, SlimClusterIssuer, SlimIssuer};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::Shared;
use super::kube;
use super::kube::patch::{self, Checked, Object};
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use crate::watch::kube::request::{self, RequestError};

/// How often the patch is tried while somebody else writes to the Certificate.
const TRIES: u32 = 10;
/// Why it is not undone.
const ASKED: &str = "cert-manager does what it was asked for, or says why not; the certificate in use stays until there is a new one";

pub(super) struct RenewCertificate {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::RenewCertificate,
    limits: Limits,
    /// From the last check: the Certificate as it was read.
    ready: Option<Value>,
}

impl RenewCertificate {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RenewCertificate) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, job_id: job.id(), action, limits, ready: None }
    }

    fn object(&self) -> Result<Object, Refusal> {
        Object::certificate(&self.action.certificate.clone().unwrap_or_default())
    }

    /// What the condition says, by which this job's request is known.
    fn message(&self) -> String {
        format!("asked for by Nimbus, job {}", self.job_id)
    }

    /// Its issuer as it is now; `None` for one that is not there, or not cert-manager's own.
    async fn issuer(&self, client: &Client) -> Result<Option<v1::Issuer>, Refusal> {
        let action = &self.action;
        if !is_of_cert_manager(action) {
            return Ok(None);
        }
        let unread = |error: RequestError| {
            precondition(format!(
                "expected to read {} {}, found: {error}",
                action.issuer_kind, action.issuer_name
            ))
        };
        if action.issuer_kind == "ClusterIssuer" {
            let name = request::segment(&action.issuer_name).ok_or_else(|| {
                precondition(format!("expected the name of an issuer, found {:?}", action.issuer_name))
            })?;
            let path = format!("{}/{name}", SlimClusterIssuer::PATH);
            let found: Option<SlimClusterIssuer> =
                request::get_optional(client, &path).await.map_err(unread)?;
            return Ok(found.map(|issuer| issuer.told()));
        }
        let namespace = action.certificate.as_ref().map_or("", |target| target.namespace.as_str());
        let path = kube::path("/apis/cert-manager.io/v1", namespace, "issuers", &action.issuer_name)?;
        let found: Option<SlimIssuer> = request::get_optional(client, &path).await.map_err(unread)?;
        Ok(found.map(|issuer| issuer.told()))
    }

    /// What makes the condition Issuing true, beside the other conditions.
    fn operation(&self, certificate: &Value, at: jiff::Timestamp) -> Value {
        let condition = json!({
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": self.message(),
            "lastTransitionTime": format!("{at:.0}"),
            "observedGeneration": certificate["metadata"]["generation"],
        });
        let conditions = certificate["status"]["conditions"].as_array();
        match conditions.and_then(|all| all.iter().position(|one| one["type"] == "Issuing")) {
            Some(place) => {
                json!({ "op": "replace", "path": format!("/status/conditions/{place}"), "value": condition })
            }
            None if conditions.is_some() => {
                json!({ "op": "add", "path": "/status/conditions/-", "value": condition })
            }
            None => json!({ "op": "add", "path": "/status/conditions", "value": [condition] }),
        }
    }
}

fn certificate(value: &Value) -> Option<v1::Certificate> {
    serde_json::from_value::<SlimCertificate>(value.clone()).ok().map(|it| it.told())
}

impl Watched for RenewCertificate {
    const STATE: &'static str = "the certificate issued anew";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, _elapsed: Duration) -> Look {
        let over = |seen: &str| {
            let reason = format!("expected the Certificate to be issued anew, found {seen}");
            Look::new(seen, State::Over(Outcome::Unknown, reason))
        };
        let Ok(object) = self.object() else { return over("no name of a Certificate") };
        let value = match object.get(client).await {
            Err(error) => {
                return Look::new(format!("the cluster did not answer: {error}"), State::Unanswered);
            }
            Ok(None) => return over("that it is gone"),
            Ok(Some(value)) => value,
        };
        if !object.is(&value) {
            return over("another one of its name");
        }
        let Some(now) = certificate(&value) else { return over("one that cannot be read") };
        let until = nimbus_protocol::from_micros(now.not_after_us);
        if is_renewed(&self.action, &now) {
            let seen = format!("issued for time {}, valid until {until}", now.revision);
            return Look::new(seen.clone(), State::Reached(seen));
        }
        if failed_again(&self.action, &now) {
            let reason = format!(
                "expected the certificate issued anew, found that issuing it failed again: {} {}; the one in use is valid until {until}",
                now.issuing_reason, now.issuing_message
            );
            return Look::new(now.issuing_message.clone(), State::Over(Outcome::Failed, reason));
        }
        let seen = if now.issuing == "True" && now.issuing_message == self.message() {
            "that it is asked for, and cert-manager has not said anything to it".to_owned()
        } else {
            format!("Issuing {} {} {}", now.issuing, now.issuing_reason, now.issuing_message)
        };
        Look::new(seen, State::Pending)
    }
}

impl Remedy for RenewCertificate {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let object = self.object()?;
        let value = object.get(&client).await.map_err(|error| {
            precondition(format!("expected to read the Certificate again, found: {error}"))
        })?;
        let issuer = self.issuer(&client).await?;
        let found = value.as_ref().and_then(certificate);
        self.action.preconditions(CertificateNow {
            certificate: found.as_ref(),
            issuer: issuer.as_ref(),
            now: nimbus_platform::now(),
        })?;
        self.ready = value;
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
            let Some(value) = self.ready.take() else {
                return Err(ActError::Failed("expected a check before the change, found none".to_owned()));
            };
            let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
            // The election, or the tries before, may have taken their time.
            window.still_open()?;
            tries += 1;
            let operation = self.operation(&value, nimbus_platform::now());
            match patch::apply_to_status(&client, &object, &Checked::of(&value), [operation]).await {
                Ok(()) => break,
                // Nothing was changed. Is it still what was planned on?
                Err(ActError::Refused(_)) if tries < TRIES => {
                    self.check().await.map_err(ActError::Refused)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(vec![format!("asked cert-manager to issue {} anew", object.name)])
    }

    async fn probe(&mut self) -> Effect {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => return Effect::Unknown(why),
        };
        let Ok(object) = self.object() else { return Effect::Absent };
        let value = match object.get(&client).await {
            Err(error) => return Effect::Unknown(error.to_string()),
            Ok(None) => return Effect::Unknown(format!("{} is gone", object.name)),
            Ok(Some(value)) => value,
        };
        let Some(now) = certificate(&value).filter(|_| object.is(&value)) else {
            return Effect::Unknown(format!("{} is another one, or cannot be read", object.name));
        };
        if now.issuing_message == self.message() {
            return Effect::Present;
        }
        // Once cert-manager is done nothing tells whose request that was.
        let moved =
            now.revision != self.action.revision || now.last_failure_us != self.action.last_failure_us;
        if moved || now.issuing == "True" {
            return Effect::Unknown(format!("{} was issued, or is being issued, since", object.name));
        }
        Effect::Absent
    }

    async fn verify(&mut self) -> Verdict {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => {
                let reason =
                    format!("the certificate was asked for; whether it was issued is not known: {why}");
                return Verdict::new(Outcome::Unknown, reason);
            }
        };
        let (shared, limits) = (self.shared.clone(), self.limits);
        until_stable(self, limits, &client, &shared.cluster.looks).await
    }

    async fn compensate(&mut self) -> Compensation {
        Compensation::NotReversible(ASKED)
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "renew_certificate_tests.rs"]
mod tests;
