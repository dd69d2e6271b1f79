//! The executor of `raise_memory_limit` against a stub API server that keeps one Deployment and applies what is written.

use std::sync::Mutex;

use super::super::test_support;
use super::*;

const MI: u64 = 1 << 20;

/// What the stub API server has, and what was written there.
struct Site {
    image: String,
    limit: String,
    request: Option<String>,
    quota: Value,
    /// The job that changed it last.
    job: Option<String>,
    /// Of the present template: its ReplicaSet, and whether and how the pod of it fails.
    pods: Vec<(&'static str, Value)>,
    progressing: &'static str,
    patches: Vec<Value>,
    /// So many patches are refused: somebody else wrote meanwhile.
    refuse: usize,
    /// What the limit is after a refused patch, if somebody else wrote that.
    meanwhile: Option<String>,
}

/// The status of a container, which was killed for its memory.
fn killed() -> Value {
    json!({ "containerStatuses": [{
        "name": "app", "restartCount": 5, "ready": false,
        "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        "lastState": { "terminated": { "reason": "OOMKilled", "exitCode": 137 } },
    }] })
}

impl Site {
    fn of(limit: &str, request: Option<&str>) -> Self {
        Self {
            image: "web:1".to_owned(),
            limit: limit.to_owned(),
            request: request.map(str::to_owned),
            quota: json!([]),
            job: None,
            pods: vec![("rs-1", killed())],
            progressing: "True",
            patches: Vec::new(),
            refuse: 0,
            meanwhile: None,
        }
    }

    /// How often it was written to, and the limit that it has.
    fn seen(&self) -> (usize, String) {
        (self.patches.len(), self.limit.clone())
    }

    fn template(&self) -> Value {
        let mut resources = json!({ "limits": { "memory": self.limit } });
        if let Some(request) = &self.request {
            resources["requests"] = json!({ "memory": request });
        }
        let app = json!({ "name": "app", "image": self.image, "resources": resources });
        json!({ "spec": { "containers": [{ "name": "side" }, app] } })
    }

    fn write(&mut self, patch: Value) -> bool {
        self.patches.push(patch);
        if self.patches.len() <= self.refuse {
            if let Some(limit) = &self.meanwhile {
                self.limit = limit.clone();
            }
            return false;
        }
        for operation in self.patches[self.patches.len() - 1].as_array().unwrap() {
            let text = || operation["value"].as_str().unwrap_or_default().to_owned();
            match operation["path"].as_str().unwrap() {
                "/spec/template/spec/containers/1/resources/limits/memory" => self.limit = text(),
                "/spec/template/spec/containers/1/resources/requests/memory" => self.request = Some(text()),
                "/metadata/annotations/nimbus.dev~1job" => self.job = Some(text()),
                other => assert!(other.starts_with("/metadata/"), "nothing else is written: {other}"),
            }
        }
        true
    }

    fn pod(number: usize, set: &str, status: &Value) -> Value {
        let owner = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true }]);
        let meta =
            json!({ "name": format!("web-{number}"), "uid": format!("p{number}"), "ownerReferences": owner });
        json!({ "metadata": meta, "spec": { "containers": [{ "name": "app" }] }, "status": status })
    }

    fn answer(&mut self, path: &str, body: Value) -> (http::StatusCode, Value) {
        let list =
            |items: Value| (http::StatusCode::OK, json!({ "kind": "List", "metadata": {}, "items": items }));
        if path.contains("/limitranges") {
            return list(json!([]));
        }
        if path.contains("/resourcequotas") {
            return list(self.quota.clone());
        }
        if path.contains("/pods?") {
            let pods =
                self.pods.iter().enumerate().map(|(number, (set, status))| Self::pod(number, set, status));
            return list(pods.collect());
        }
        if body.is_array() && !self.write(body) {
            let status =
                json!({ "kind": "Status", "status": "Failure", "message": "test failed", "code": 422 });
            return (http::StatusCode::UNPROCESSABLE_ENTITY, status);
        }
        let annotations =
            self.job.as_ref().map_or_else(|| json!({}), |job| json!({ patch::ANNOTATION: job }));
        let meta = json!({ "name": "web", "namespace": "shop", "uid": "d", "annotations": annotations,
                           "resourceVersion": self.patches.len().to_string() });
        let condition = json!([{ "type": "Progressing", "status": self.progressing, "reason": "X" }]);
        let spec = json!({ "replicas": 3, "template": self.template() });
        (
            http::StatusCode::OK,
            json!({ "metadata": meta, "spec": spec, "status": { "conditions": condition } }),
        )
    }
}

/// A raise of what is there now, to half more; the directory keeps its journal.
async fn remedy(site: &Arc<Mutex<Site>>) -> (RaiseMemoryLimit, tempfile::TempDir) {
    let (answers, template) = (site.clone(), site.lock().unwrap().template());
    let client = test_support::api(move |path, body| answers.lock().unwrap().answer(&path, body)).await;
    let dir = tempfile::tempdir().unwrap();
    let now = nimbus_platform::now();
    let journal = crate::files::journal::JournalStore::open(dir.path(), now).unwrap();
    let job = test_support::admitted(now, &journal);
    let cluster = crate::watch::kube::ClusterHandle::leading(client);
    let (shared, _refusals) = test_support::shared(dir.path(), journal, cluster);
    let target = v1::Target { namespace: "shop".into(), name: "web".into(), uid: "d".into() };
    let stated = stated(&json!({ "spec": { "template": template } }), "app").unwrap();
    let action = v1::RaiseMemoryLimit {
        deployment: Some(target),
        current_template_hash: template_hash(&template).to_vec(),
        container: "app".into(),
        from_bytes: stated.limit,
        to_bytes: (stated.limit * 3 / 2).next_multiple_of(MI),
        request_too: stated.request == Some(stated.limit),
    };
    (RaiseMemoryLimit::new(shared, &job, action), dir)
}

fn site(site: Site) -> Arc<Mutex<Site>> {
    Arc::new(Mutex::new(site))
}

fn client(remedy: &RaiseMemoryLimit) -> Client {
    kube::client(&remedy.shared).unwrap()
}

#[tokio::test]
async fn the_limit_alone_is_raised_and_put_back_where_it_did_not_help() {
    let site = site(Site::of("64Mi", Some("32Mi")));
    let (mut remedy, _dir) = remedy(&site).await;
    assert!(matches!(remedy.probe().await, Effect::Absent));
    remedy.check().await.unwrap();
    let evidence = remedy.act().await.unwrap();
    assert!(evidence[0].contains("from 64Mi to 96Mi"), "{evidence:?}");
    assert_eq!(site.lock().unwrap().seen(), (1, "96Mi".to_owned()));
    assert_eq!(site.lock().unwrap().request.as_deref(), Some("32Mi"));
    assert!(matches!(remedy.probe().await, Effect::Present));
    let client = client(&remedy);
    assert!(matches!(remedy.look(&client, Duration::ZERO).await.state, State::Pending));
    // What is known after a crash is what was noted before.
    let noted = remedy.checkpoint();
    remedy.checkpoint = Checkpoint::default();
    remedy.restore(&noted);
    for _ in 0..2 {
        // A second time, as after a crash, changes nothing any more.
        assert!(matches!(remedy.compensate().await, Compensation::Undone(_)));
        assert_eq!(site.lock().unwrap().seen(), (2, "64Mi".to_owned()));
    }
}

/// Another text for the same amount would be another template, and no ReplicaSet would be the present one.
#[tokio::test]
async fn a_limit_is_put_back_in_its_own_words_and_a_request_that_is_the_limit_goes_with_it() {
    let site = site(Site::of("512M", Some("512000k")));
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    assert_eq!(site.lock().unwrap().limit, "733Mi");
    assert_eq!(site.lock().unwrap().request.as_deref(), Some("733Mi"));
    assert!(matches!(remedy.compensate().await, Compensation::Undone(_)));
    assert_eq!(site.lock().unwrap().limit, "512M");
    assert_eq!(site.lock().unwrap().request.as_deref(), Some("512000k"));
}

#[tokio::test]
async fn a_quota_without_room_or_that_is_not_answered_leaves_it_alone() {
    let full = json!({ "metadata": { "name": "team" }, "spec": { "hard": { "limits.memory": "200Mi" } },
                       "status": { "hard": { "limits.memory": "200Mi" }, "used": { "limits.memory": "192Mi" } } });
    let site = site(Site::of("64Mi", None));
    let (mut remedy, _dir) = remedy(&site).await;
    for (quota, words) in [(json!([full]), "ResourceQuota team"), (json!("many"), "found something else")] {
        site.lock().unwrap().quota = quota;
        let refusal = remedy.check().await.unwrap_err();
        assert!(refusal.to_string().contains(words), "{refusal}");
    }
    site.lock().unwrap().quota = json!([]);
    site.lock().unwrap().pods.clear();
    let refusal = remedy.check().await.unwrap_err();
    assert!(refusal.to_string().contains("was killed for its memory"), "{refusal}");
    assert!(remedy.act().await.is_err(), "nothing was checked");
    assert_eq!(site.lock().unwrap().patches.len(), 0);
}

#[tokio::test]
async fn who_writes_meanwhile_is_heeded() {
    let scaled = site(Site { refuse: 2, ..Site::of("64Mi", None) });
    let (mut first, _dir) = remedy(&scaled).await;
    first.check().await.unwrap();
    first.act().await.unwrap();
    assert_eq!(scaled.lock().unwrap().seen(), (3, "96Mi".to_owned()));

    let other = site(Site { refuse: 1, meanwhile: Some("128Mi".to_owned()), ..Site::of("64Mi", None) });
    let (mut second, _dir) = remedy(&other).await;
    second.check().await.unwrap();
    let Err(ActError::Refused(refusal)) = second.act().await else { panic!("it was changed") };
    assert_eq!(refusal.code, nimbus_agent_core::Code::PreconditionFailed);
    // Nor is what a person wrote put back.
    let Compensation::Failed(why) = second.compensate().await else { panic!("it was put back") };
    assert!(why.contains("left as it is"), "{why}");
    assert_eq!(other.lock().unwrap().seen(), (1, "128Mi".to_owned()));
}

/// A person brings out another image right after the raise: the template is theirs from then on.
#[tokio::test]
async fn another_template_after_the_raise_is_neither_judged_nor_written_to() {
    let site = site(Site::of("64Mi", None));
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    site.lock().unwrap().image = "web:2".to_owned();
    let client = client(&remedy);
    let State::Over(outcome, why) = remedy.look(&client, Duration::ZERO).await.state else {
        panic!("judged")
    };
    assert!(outcome == Outcome::Unknown && why.contains("somebody changed it"), "{why}");
    assert!(matches!(remedy.compensate().await, Compensation::Failed(_)));
    assert_eq!(site.lock().unwrap().seen(), (1, "96Mi".to_owned()));
    // The very same template, written by somebody else.
    site.lock().unwrap().image = "web:1".to_owned();
    site.lock().unwrap().job = None;
    assert!(matches!(remedy.compensate().await, Compensation::Failed(_)));
    assert_eq!(site.lock().unwrap().patches.len(), 1);
}

/// Only what shows that it does not help undoes it.
#[tokio::test]
async fn a_rollout_that_is_only_slow_is_no_failure() {
    let site = site(Site::of("64Mi", None));
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    let client = client(&remedy);
    let starting = json!({ "containerStatuses": [{ "name": "app", "state": { "waiting": { "reason": "ContainerCreating" } } }] });
    site.lock().unwrap().pods.push(("rs-2", starting));
    assert_eq!(remedy.trouble(&client).await, None, "a pod of before that was killed says nothing");
    let unplaced = json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                                            "message": "Insufficient memory" }] });
    for (status, words) in [(killed(), "with the higher limit as well"), (unplaced, "finds no node")] {
        site.lock().unwrap().pods[1].1 = status;
        let why = remedy.trouble(&client).await.unwrap();
        assert!(why.contains(words), "{why}");
    }
    site.lock().unwrap().pods.pop();
    site.lock().unwrap().progressing = "False";
    assert!(remedy.trouble(&client).await.unwrap().contains("does not go on"));
}
