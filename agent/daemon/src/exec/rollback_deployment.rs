//! Puts a Deployment's pod template back to that of an earlier ReplicaSet, and watches the rollout.
//!
//! The patch tests the resourceVersion that was checked, so a change by anybody else in between makes it fail.

use std::sync::Arc;
use std::time::Instant;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::Admitted;
use nimbus_agent_core::observe::kube::{Slim as _, SlimDeployment, SlimReplicaSet, template_hash};
use nimbus_agent_core::preconditions::{self, RolloutNow};
use nimbus_protocol::v1::job_report::Phase as Told;
use nimbus_protocol::v1::{self, observation};
use serde_json::{Value, json};

use super::Shared;
use super::kube::{self, Holding};
use super::remedy::{ActError, Limits, Probe, Remedy, Verdict, precondition};
use crate::watch::kube::request::{self, RequestError};

/// The annotation that says which job last rolled a Deployment back.
const ANNOTATION: &str = "nimbus.dev/job";

pub(super) struct RollbackDeployment {
    shared: Arc<Shared>,
    job: Arc<Admitted<v1::Job>>,
    order: v1::RollbackDeployment,
    limits: Limits,
    /// From the last check: what the patch relies on and brings.
    ready: Option<(String, bool, Value)>,
}

impl RollbackDeployment {
    pub(super) fn new(
        shared: Arc<Shared>,
        job: Arc<Admitted<v1::Job>>,
        order: v1::RollbackDeployment,
    ) -> Self {
        let limits = Limits::of(job.get());
        Self { shared, job, order, limits, ready: None }
    }

    fn target(&self) -> v1::Target {
        self.order.deployment.clone().unwrap_or_default()
    }

    fn deployment_path(&self) -> Result<String, Refusal> {
        let target = self.target();
        kube::path("/apis/apps/v1", &target.namespace, "deployments", &target.name)
    }

    fn replica_set_path(&self) -> Result<String, Refusal> {
        let to = self.order.to_replica_set.clone().unwrap_or_default();
        let namespace = if to.namespace.is_empty() { self.target().namespace } else { to.namespace };
        kube::path("/apis/apps/v1", &namespace, "replicasets", &to.name)
    }

    async fn rollout(&self, client: &::kube::Client) -> Result<Option<v1::Deployment>, RequestError> {
        let path = self.deployment_path().map_err(|refusal| RequestError::Unanswered(refusal.reason))?;
        let found: Option<Value> = request::get_optional(client, &path).await?;
        Ok(found.as_ref().and_then(deployment))
    }

    async fn verify_on(&self, client: &::kube::Client) -> Verdict {
        let started = Instant::now();
        let mut holding = Holding::new();
        let mut seen;
        loop {
            match self.rollout(client).await {
                Err(error) => {
                    seen = format!("the cluster did not answer: {error}");
                    holding.note(None, Instant::now());
                }
                Ok(None) => {
                    return Verdict::new(Told::Unknown, "expected the Deployment, found that it is gone");
                }
                Ok(Some(now)) if now.template_hash != self.order.to_template_hash => {
                    return Verdict::new(
                        Told::Unknown,
                        "expected the template that was rolled back to, found another: somebody changed it meanwhile",
                    );
                }
                Ok(Some(now)) => {
                    seen = describe(&now);
                    let state = complete(&now).then(|| self.target().uid);
                    if holding.note(state, Instant::now()).is_some_and(|held| held >= self.limits.hold) {
                        let reason =
                            format!("the rollout was complete for {} ms", self.limits.hold.as_millis());
                        return Verdict { evidence: vec![seen], ..Verdict::new(Told::Succeeded, reason) };
                    }
                }
            }
            if started.elapsed() >= self.limits.reach {
                let reason = format!(
                    "expected the rollout complete for {} ms within {} ms, found: {seen}",
                    self.limits.hold.as_millis(),
                    self.limits.reach.as_millis()
                );
                let phase = if seen.starts_with("the cluster") { Told::Unknown } else { Told::Failed };
                return Verdict::new(phase, reason);
            }
            tokio::time::sleep(self.limits.pace()).await;
        }
    }
}

fn deployment(value: &Value) -> Option<v1::Deployment> {
    match serde_json::from_value::<SlimDeployment>(value.clone()).ok()?.observe() {
        observation::Body::Deployment(deployment) => Some(deployment),
        _ => None,
    }
}

fn replica_set(value: &Value) -> Option<v1::ReplicaSet> {
    match serde_json::from_value::<SlimReplicaSet>(value.clone()).ok()?.observe() {
        observation::Body::ReplicaSet(replica_set) => Some(replica_set),
        _ => None,
    }
}

fn complete(now: &v1::Deployment) -> bool {
    now.observed_generation >= now.generation
        && now.updated == now.desired
        && now.ready >= now.desired
        && now.available >= now.desired
}

fn describe(now: &v1::Deployment) -> String {
    format!(
        "{} desired, {} updated, {} ready, {} available; Progressing {} {}",
        now.desired, now.updated, now.ready, now.available, now.progressing_status, now.progressing_reason
    )
}

/// A ReplicaSet's template as a Deployment has it: without the label that tells ReplicaSets apart.
fn template_of(replica_set: &Value) -> Value {
    let mut template = replica_set["spec"]["template"].clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    template
}

impl Remedy for RollbackDeployment {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let unread =
            |error: RequestError| precondition(format!("expected to read the rollout again, found: {error}"));
        let now: Option<Value> =
            request::get_optional(&client, &self.deployment_path()?).await.map_err(unread)?;
        let to: Option<Value> =
            request::get_optional(&client, &self.replica_set_path()?).await.map_err(unread)?;
        let found = now.as_ref().and_then(deployment);
        let good = to.as_ref().and_then(replica_set);
        preconditions::rollback_deployment(
            &self.order,
            RolloutNow { deployment: found.as_ref(), to_replica_set: good.as_ref() },
        )?;
        let (Some(now), Some(to)) = (now, to) else {
            return Err(precondition("expected the Deployment and the ReplicaSet, found one of them gone"));
        };
        let template = template_of(&to);
        // The bytes that will be written, not only what was said about them.
        if template_hash(&template)[..] != self.order.to_template_hash[..] {
            return Err(precondition("expected the approved template in the ReplicaSet, found another"));
        }
        let version = now["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        self.ready = Some((version, now["metadata"]["annotations"].is_object(), template));
        Ok(())
    }

    fn memo(&self) -> Vec<u8> {
        Vec::new()
    }

    fn recall(&mut self, _memo: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let Some((version, annotated, template)) = self.ready.take() else {
            return Err(ActError::Failed("expected a check before the change, found none".to_owned()));
        };
        let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
        let url = self.deployment_path().map_err(ActError::Refused)?;
        let mut patch = vec![
            json!({ "op": "test", "path": "/metadata/uid", "value": self.target().uid }),
            json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version }),
        ];
        if !annotated {
            patch.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
        }
        let pointer = format!("/metadata/annotations/{}", ANNOTATION.replace('/', "~1"));
        patch.push(json!({ "op": "add", "path": pointer, "value": self.job.get().job_id }));
        patch.push(json!({ "op": "replace", "path": "/spec/template", "value": template }));
        let target = self.target();
        let name = format!("{}/{}", target.namespace, target.name);
        // The election may have taken its time.
        window.still_open()?;
        match request::json_patch::<Value>(&client, &url, &Value::Array(patch)).await {
            Ok(_) => {
                Ok(vec![format!("rolled Deployment {name} back to revision {}", self.order.to_revision)])
            }
            Err(RequestError::Unanswered(found)) => {
                Err(ActError::Uncertain(format!("the change of {name} was not answered: {found}")))
            }
            Err(RequestError::Api { code: 404 | 409 | 422, message, .. }) => Err(ActError::Refused(
                precondition(format!("expected Deployment {name} as it was checked, found: {message}")),
            )),
            Err(RequestError::Api { code, message, .. }) if code >= 500 => {
                Err(ActError::Uncertain(format!("the change of {name} ended with {code}: {message}")))
            }
            Err(error) => {
                Err(ActError::Failed(format!("expected to change Deployment {name}, found: {error}")))
            }
        }
    }

    async fn probe(&mut self) -> Probe {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => return Probe::Unknown(why),
        };
        let Ok(path) = self.deployment_path() else { return Probe::NotThere };
        match request::get_optional::<Value>(&client, &path).await {
            Err(error) => Probe::Unknown(error.to_string()),
            Ok(None) => Probe::Unknown("the Deployment is gone".to_owned()),
            Ok(Some(now)) => {
                let ours = now["metadata"]["annotations"][ANNOTATION] == json!(self.job.get().job_id);
                let there = template_hash(&now["spec"]["template"])[..] == self.order.to_template_hash[..];
                if ours || there { Probe::There } else { Probe::NotThere }
            }
        }
    }

    async fn verify(&mut self) -> Verdict {
        match kube::client(&self.shared) {
            Ok(client) => self.verify_on(&client).await,
            Err(why) => Verdict::new(
                Told::Unknown,
                format!("it was rolled back; whether it helped is not known: {why}"),
            ),
        }
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_that_tells_replica_sets_apart_is_left_out() {
        let replica_set = json!({ "spec": { "template": {
            "metadata": { "labels": { "app": "web", "pod-template-hash": "7d4" } },
            "spec": { "containers": [{ "name": "web", "image": "web:1" }] },
        } } });
        let template = template_of(&replica_set);
        assert_eq!(template["metadata"]["labels"], json!({ "app": "web" }));
        assert_eq!(template["spec"], replica_set["spec"]["template"]["spec"]);
    }

    #[tokio::test]
    async fn nothing_is_written_once_the_time_to_act_is_over() {
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = asked.clone();
        let app = axum::Router::new().fallback(move || async move {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            "{}"
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = ::kube::Client::try_from(::kube::Config::new(url.parse().unwrap())).unwrap();

        let dir = tempfile::tempdir().unwrap();
        let now = crate::clock::now();
        let journal = crate::files::journal::JournalStore::open(dir.path(), now).unwrap();
        let job = Arc::new(super::super::bench::admitted(now, &journal));
        let cluster = crate::watch::kube::ClusterHandle::leading(client);
        let (shared, _told) = super::super::bench::shared(dir.path(), journal, cluster);
        let target = v1::Target { namespace: "shop".into(), name: "web".into(), uid: "u".into() };
        let order = v1::RollbackDeployment { deployment: Some(target), ..v1::RollbackDeployment::default() };
        let mut remedy = RollbackDeployment::new(shared, job, order);
        let (open, ready) = (remedy.limits.expires, ("1".to_owned(), true, json!({})));

        remedy.limits.expires = now;
        remedy.ready = Some(ready.clone());
        let Err(ActError::Refused(refusal)) = remedy.act().await else { panic!("not refused") };
        assert_eq!(refusal.code, nimbus_agent_core::Code::Expired);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);

        (remedy.limits.expires, remedy.ready) = (open, Some(ready));
        remedy.act().await.unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[test]
    fn a_rollout_is_complete_only_when_everything_says_so() {
        let done = v1::Deployment {
            generation: 4,
            observed_generation: 4,
            desired: 3,
            updated: 3,
            ready: 3,
            available: 3,
            ..v1::Deployment::default()
        };
        assert!(complete(&done));
        for broken in [
            v1::Deployment { observed_generation: 3, ..done.clone() },
            v1::Deployment { updated: 2, ..done.clone() },
            v1::Deployment { ready: 2, ..done.clone() },
            v1::Deployment { available: 2, ..done.clone() },
        ] {
            assert!(!complete(&broken), "{broken:?}");
        }
    }
}
