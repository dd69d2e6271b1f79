//! The executor of `rollback_deployment`: returns a Deployment's pod template to that of an earlier ReplicaSet and
//! watches the rollout.
//!
//! Nothing but the pod template is written. Whoever writes to the Deployment between the check and the patch (its status, or
//! an autoscaler or a person who scales it) makes the patch fail; then everything is checked anew, and where the templates
//! are still the approved ones the patch is tried again. The template itself is not tested in the patch: the API server
//! compares texts there as they are encoded, and two encodings of the same text differ.
//!
//! A rollback that does not help is not undone. The template that was there before is the one whose rollout failed:
//! putting it back would begin a third rollout towards a state that is known not to work, and would take away pods that
//! the second one may still bring up. Its ReplicaSet stays in the Deployment's history, so that a person can go back to
//! it.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::rollback_deployment::RolloutNow;
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::kube::{Slim as _, SlimDeployment, SlimReplicaSet, template_hash};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1::{self, observation};
use serde_json::{Value, json};

use super::Shared;
use super::kube;
use super::kube::patch::{self, Checked, Object};
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use crate::watch::kube::request::{self, RequestError};

/// How often the patch is tried while somebody else writes to the Deployment.
const TRIES: u32 = 10;

/// Why a rollback is not undone.
const WORSE: &str = "the template before is the one whose rollout failed; its ReplicaSet is still in the Deployment's \
                     history";

pub(super) struct RollbackDeployment {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::RollbackDeployment,
    limits: Limits,
    /// From the last check: what the patch relies on, and the template that it brings.
    ready: Option<(Checked, Value)>,
}

impl RollbackDeployment {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RollbackDeployment) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, job_id: job.id(), limits, action, ready: None }
    }

    fn deployment(&self) -> Result<Object, Refusal> {
        Object::deployment(&self.action.deployment.clone().unwrap_or_default())
    }

    fn replica_set_path(&self) -> Result<String, Refusal> {
        let to = self.action.to_replica_set.clone().unwrap_or_default();
        kube::path("/apis/apps/v1", &to.namespace, "replicasets", &to.name)
    }
}

impl Watched for RollbackDeployment {
    const STATE: &'static str = "the rollout complete";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, _elapsed: Duration) -> Look {
        let over = |seen: &str| {
            let reason = format!("expected the template that was rolled back to, found {seen}");
            Look::new(seen, State::Over(Outcome::Unknown, reason))
        };
        let Ok(object) = self.deployment() else { return over("no name of a Deployment") };
        match object.get(client).await {
            Err(error) => Look::new(format!("the cluster did not answer: {error}"), State::Unanswered),
            Ok(None) => over("that the Deployment is gone"),
            Ok(Some(value)) => match deployment(&value) {
                None => over("a Deployment that cannot be read"),
                Some(now) if now.template_hash != self.action.to_template_hash => {
                    over("another: somebody changed it meanwhile")
                }
                Some(now) if complete(&now) => Look::new(describe(&now), State::Reached(String::new())),
                Some(now) => Look::new(describe(&now), State::Pending),
            },
        }
    }
}

/// A Deployment as it is observed.
pub(super) fn deployment(value: &Value) -> Option<v1::Deployment> {
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

/// Does every pod that is wanted run the newest template, and is available?
pub(super) fn complete(now: &v1::Deployment) -> bool {
    now.observed_generation >= now.generation
        && now.updated == now.desired
        // Ready and available count the pods of every revision: while an old one is there, it may be the one that is.
        && now.replicas == now.updated
        && now.ready >= now.desired
        && now.available >= now.desired
}

/// How its rollout stands, for people.
pub(super) fn describe(now: &v1::Deployment) -> String {
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
        let now = self.deployment()?.get(&client).await.map_err(unread)?;
        let to: Option<Value> =
            request::get_optional(&client, &self.replica_set_path()?).await.map_err(unread)?;
        let found = now.as_ref().and_then(deployment);
        let good = to.as_ref().and_then(replica_set);
        self.action
            .preconditions(RolloutNow { deployment: found.as_ref(), to_replica_set: good.as_ref() })?;
        let (Some(now), Some(to)) = (now, to) else {
            return Err(precondition("expected the Deployment and the ReplicaSet, found one of them gone"));
        };
        let template = template_of(&to);
        // The bytes that will be written, not only what was said about them.
        if template_hash(&template)[..] != self.action.to_template_hash[..] {
            return Err(precondition("expected the approved template in the ReplicaSet, found another"));
        }
        self.ready = Some((Checked::of(&now), template));
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let object = self.deployment().map_err(ActError::Refused)?;
        let mut tries = 0;
        loop {
            let Some((checked, template)) = self.ready.take() else {
                return Err(ActError::Failed("expected a check before the change, found none".to_owned()));
            };
            let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
            // The election, or the tries before, may have taken their time.
            window.still_open()?;
            let replace = json!({ "op": "replace", "path": "/spec/template", "value": template });
            tries += 1;
            match patch::apply(&client, &object, &checked, self.job_id, [replace]).await {
                Ok(()) => break,
                // Nothing was changed. Is it still what was approved?
                Err(ActError::Refused(_)) if tries < TRIES => {
                    self.check().await.map_err(ActError::Refused)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(vec![format!("rolled {} back to revision {}", object.name, self.action.to_revision)])
    }

    async fn probe(&mut self) -> Effect {
        let Ok(object) = self.deployment() else { return Effect::Absent };
        let wanted = &self.action.to_template_hash;
        let shows = |now: &Value| template_hash(&now["spec"]["template"])[..] == wanted[..];
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
                format!("it was rolled back; whether it helped is not known: {why}"),
            ),
        }
    }

    async fn compensate(&mut self) -> Compensation {
        Compensation::NotReversible(WORSE)
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support;
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
        let client = test_support::api(move |_, _| {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            (http::StatusCode::OK, json!({}))
        })
        .await;

        let dir = tempfile::tempdir().unwrap();
        let now = nimbus_platform::now();
        let journal = crate::files::journal::JournalStore::open(dir.path(), now).unwrap();
        let job = test_support::admitted(now, &journal);
        let cluster = crate::watch::kube::ClusterHandle::leading(client);
        let (shared, _refusals) = test_support::shared(dir.path(), journal, cluster);
        let target = v1::Target { namespace: "shop".into(), name: "web".into(), uid: "u".into() };
        let action = v1::RollbackDeployment { deployment: Some(target), ..v1::RollbackDeployment::default() };
        let mut remedy = RollbackDeployment::new(shared, &job, action);
        let (open, ready) = (remedy.limits.expires, (Checked::of(&json!({})), json!({})));

        remedy.limits.expires = now;
        remedy.ready = Some(ready.clone());
        let Err(ActError::Refused(refusal)) = remedy.act().await else { panic!("not refused") };
        assert_eq!(refusal.code, nimbus_agent_core::Code::Expired);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);

        (remedy.limits.expires, remedy.ready) = (open, Some(ready));
        remedy.act().await.unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    /// What the stub API server has, and how its patches were answered.
    #[derive(Default)]
    struct Site {
        patches: Vec<Value>,
        refuse: usize,
        /// Somebody changes the template as well, when a patch is refused.
        changes_template: bool,
    }

    fn web(image: &str) -> Value {
        json!({ "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": image, "args": ["a && b > c"] }] } })
    }

    async fn acts_on(site: Site) -> (Result<Vec<String>, ActError>, Vec<Value>) {
        let site = Arc::new(std::sync::Mutex::new(site));
        let shown = site.clone();
        let client = test_support::api(move |path, body| {
            let mut site = shown.lock().unwrap();
            let version = site.patches.len().to_string();
            if body.is_array() {
                site.patches.push(body);
                let refused = site.patches.len() <= site.refuse;
                let status = if refused { http::StatusCode::UNPROCESSABLE_ENTITY } else { http::StatusCode::OK };
                return (status, json!({ "kind": "Status", "status": "Failure", "message": "test failed", "code": 422 }));
            }
            if path.contains("/replicasets/") {
                let owner = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true }]);
                let revision = json!({ "deployment.kubernetes.io/revision": "1" });
                let meta = json!({ "name": "web-1", "namespace": "shop", "uid": "r", "ownerReferences": owner,
                                   "annotations": revision });
                return (http::StatusCode::OK, json!({ "metadata": meta, "spec": { "template": web("web:1") } }));
            }
            let image = if site.changes_template && !site.patches.is_empty() { "web:3" } else { "web:2" };
            let meta = json!({ "name": "web", "namespace": "shop", "uid": "d", "resourceVersion": version,
                               "annotations": {} });
            (http::StatusCode::OK, json!({ "metadata": meta, "spec": { "replicas": 3, "template": web(image) } }))
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let now = nimbus_platform::now();
        let journal = crate::files::journal::JournalStore::open(dir.path(), now).unwrap();
        let job = test_support::admitted(now, &journal);
        let cluster = crate::watch::kube::ClusterHandle::leading(client);
        let (shared, _refusals) = test_support::shared(dir.path(), journal, cluster);
        let target = |name: &str, uid: &str| {
            Some(v1::Target { namespace: "shop".into(), name: name.into(), uid: uid.into() })
        };
        let action = v1::RollbackDeployment {
            deployment: target("web", "d"),
            generation: 0,
            current_template_hash: template_hash(&web("web:2")).to_vec(),
            to_replica_set: target("web-1", "r"),
            to_revision: 1,
            to_template_hash: template_hash(&web("web:1")).to_vec(),
        };
        let mut remedy = RollbackDeployment::new(shared, &job, action);
        remedy.check().await.unwrap();
        let result = remedy.act().await;
        let patches = std::mem::take(&mut site.lock().unwrap().patches);
        (result, patches)
    }

    #[tokio::test]
    async fn whoever_scales_meanwhile_is_not_in_the_way_and_is_not_undone() {
        let (result, patches) = acts_on(Site { refuse: 3, ..Site::default() }).await;
        result.unwrap();
        let versions: Vec<&str> = patches.iter().map(|patch| patch[1]["value"].as_str().unwrap()).collect();
        assert_eq!(versions, ["0", "1", "2", "3"], "each try relies on what was read before it");
        for operation in patches.iter().flat_map(|patch| patch.as_array().unwrap()) {
            let path = operation["path"].as_str().unwrap();
            assert!(operation["op"] == "test" || !path.contains("replicas"), "{operation}");
        }
    }

    #[tokio::test]
    async fn whoever_changes_the_template_meanwhile_makes_it_another_plan() {
        let (result, patches) = acts_on(Site { refuse: 9, changes_template: true, ..Site::default() }).await;
        let Err(ActError::Refused(refusal)) = result else { panic!("{result:?}") };
        assert_eq!((refusal.code, patches.len()), (nimbus_agent_core::Code::PreconditionFailed, 1));
        let (result, patches) = acts_on(Site { refuse: 99, ..Site::default() }).await;
        assert!(matches!(result, Err(ActError::Refused(_))), "{result:?}");
        assert_eq!(patches.len(), TRIES as usize, "it is not tried for ever");
    }

    #[test]
    fn a_rollout_is_complete_only_when_everything_says_so() {
        let done = v1::Deployment {
            generation: 4,
            observed_generation: 4,
            desired: 3,
            replicas: 3,
            updated: 3,
            ready: 3,
            available: 3,
            ..v1::Deployment::default()
        };
        assert!(complete(&done));
        for incomplete in [
            v1::Deployment { observed_generation: 3, ..done.clone() },
            v1::Deployment { updated: 2, ..done.clone() },
            v1::Deployment { replicas: 4, ..done.clone() },
            v1::Deployment { ready: 2, ..done.clone() },
            v1::Deployment { available: 2, ..done.clone() },
        ] {
            assert!(!complete(&incomplete), "{incomplete:?}");
        }
    }
}
