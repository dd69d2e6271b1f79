//! The executor of `raise_memory_limit` against a stub API server that keeps one Deployment and applies what is written.

use std::sync::Mutex;

use nimbus_agent_core::observe::kube::template_hash;

use super::super::test_support;
use super::*;

const MI: u64 = 1 << 20;

/// What the stub API server has, and what was written there.
struct Site {
    limit: String,
    request: Option<String>,
    quota: Value,
    patches: Vec<Value>,
    /// So many patches are refused: somebody else wrote meanwhile.
    refuse: usize,
    /// What the limit is after a refused patch, if somebody else wrote that.
    meanwhile: Option<String>,
}

impl Site {
    fn of(limit: &str, request: Option<&str>) -> Self {
        Self {
            limit: limit.to_owned(),
            request: request.map(str::to_owned),
            quota: json!([]),
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
        json!({ "spec": { "containers": [{ "name": "side" }, { "name": "app", "resources": resources }] } })
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
                other => assert!(other.starts_with("/metadata/"), "nothing else is written: {other}"),
            }
        }
        true
    }

    fn answer(&mut self, path: &str, body: Value) -> (http::StatusCode, Value) {
        if path.contains("/limitranges") {
            return (http::StatusCode::OK, json!({ "kind": "LimitRangeList", "items": [] }));
        }
        if path.contains("/resourcequotas") {
            return (http::StatusCode::OK, json!({ "kind": "ResourceQuotaList", "items": self.quota }));
        }
        if body.is_array() && !self.write(body) {
            let status =
                json!({ "kind": "Status", "status": "Failure", "message": "test failed", "code": 422 });
            return (http::StatusCode::UNPROCESSABLE_ENTITY, status);
        }
        let meta = json!({ "name": "web", "namespace": "shop", "uid": "d", "annotations": {},
                           "resourceVersion": self.patches.len().to_string() });
        (
            http::StatusCode::OK,
            json!({ "metadata": meta, "spec": { "replicas": 3, "template": self.template() } }),
        )
    }
}

/// A raise from 64Mi to 96Mi of what is there now; the directory keeps its journal.
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
    let same = site.lock().unwrap().request.as_deref() == Some("64Mi");
    let action = v1::RaiseMemoryLimit {
        deployment: Some(target),
        current_template_hash: template_hash(&template).to_vec(),
        container: "app".into(),
        from_bytes: 64 * MI,
        to_bytes: 96 * MI,
        request_too: same,
    };
    (RaiseMemoryLimit::new(shared, &job, action), dir)
}

fn site(site: Site) -> Arc<Mutex<Site>> {
    Arc::new(Mutex::new(site))
}

#[tokio::test]
async fn the_limit_alone_is_raised_and_put_back_where_it_did_not_help() {
    let site = site(Site::of("64Mi", Some("32Mi")));
    let (mut remedy, _dir) = remedy(&site).await;
    assert!(matches!(remedy.probe().await, Effect::Absent));
    remedy.check().await.unwrap();
    let evidence = remedy.act().await.unwrap();
    assert!(evidence[0].contains("from 64Mi to 96Mi"), "{evidence:?}");
    {
        let site = site.lock().unwrap();
        assert_eq!((site.limit.as_str(), site.request.as_deref()), ("96Mi", Some("32Mi")));
    }
    assert!(matches!(remedy.probe().await, Effect::Present));
    for _ in 0..2 {
        // A second time, as after a crash, changes nothing any more.
        assert!(matches!(remedy.compensate().await, Compensation::Undone(_)));
        assert_eq!(site.lock().unwrap().limit, "64Mi");
    }
    assert_eq!(site.lock().unwrap().patches.len(), 2);
}

#[tokio::test]
async fn a_request_that_is_the_limit_goes_with_it_both_ways() {
    let site = site(Site::of("64Mi", Some("64Mi")));
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    assert_eq!(site.lock().unwrap().request.as_deref(), Some("96Mi"));
    assert!(matches!(remedy.compensate().await, Compensation::Undone(_)));
    let site = site.lock().unwrap();
    assert_eq!((site.limit.as_str(), site.request.as_deref()), ("64Mi", Some("64Mi")));
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
    assert!(why.contains("left alone"), "{why}");
    assert_eq!(other.lock().unwrap().seen(), (1, "128Mi".to_owned()));
}
