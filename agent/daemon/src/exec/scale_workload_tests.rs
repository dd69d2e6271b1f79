//! The executor of `scale_workload` against a stub API server that keeps one Deployment and its pods, and applies what is written. What a real
//! one and its controllers answer is seen in the scenes.

use std::sync::Mutex;

use super::super::test_support;
use super::*;

/// What the stub has, and what was written there.
struct Site {
    replicas: u32,
    ready: u32,
    annotations: Value,
    labels: Value,
    /// So many patches are refused: somebody else wrote meanwhile.
    refuse: usize,
    writes: usize,
}

impl Site {
    fn of(replicas: u32, scaled: &str) -> Arc<Mutex<Self>> {
        let annotations = if scaled.is_empty() { json!({}) } else { json!({ SCALED: scaled }) };
        let mut labels = json!({ "nimbus.dev/scale-to": "6" });
        if !scaled.is_empty() {
            labels[SCALED_OUT] = json!("true");
        }
        Arc::new(Mutex::new(Self { replicas, ready: replicas, annotations, labels, refuse: 0, writes: 0 }))
    }

    fn write(&mut self, operations: &Value) {
        for operation in operations.as_array().unwrap() {
            let path = operation["path"].as_str().unwrap();
            if path == "/spec/replicas" {
                self.replicas = u32::try_from(operation["value"].as_u64().unwrap()).unwrap();
                continue;
            }
            let (of, key) =
                match (path.strip_prefix("/metadata/annotations/"), path.strip_prefix("/metadata/labels/")) {
                    (Some(key), _) => (&mut self.annotations, key),
                    (_, Some(key)) => (&mut self.labels, key),
                    (None, None) => {
                        assert!(path.starts_with("/metadata/"), "nothing else is written: {path}");
                        continue;
                    }
                };
            if operation["op"] == "remove" {
                let removed = of.as_object_mut().unwrap().remove(&key.replace("~1", "/"));
                assert!(removed.is_some(), "an API server refuses to remove what is not there");
            } else {
                of[key.replace("~1", "/")] = operation["value"].clone();
            }
        }
    }

    fn answer(&mut self, path: &str, body: &Value) -> (http::StatusCode, Value) {
        if path.contains("/resourcequotas") || path.contains("/horizontalpodautoscalers") {
            return (http::StatusCode::OK, json!({ "kind": "List", "metadata": {}, "items": [] }));
        }
        if path.contains("/pods") {
            let pod = json!({ "metadata": { "name": "a" }, "spec": { "containers": [] },
                              "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
            let pods = vec![pod; usize::try_from(self.ready).unwrap()];
            return (http::StatusCode::OK, json!({ "metadata": {}, "items": pods }));
        }
        if body.is_array() {
            self.writes += 1;
            if self.writes <= self.refuse {
                let status = json!({ "kind": "Status", "status": "Failure", "message": "the test failed", "code": 422 });
                return (http::StatusCode::UNPROCESSABLE_ENTITY, status);
            }
            self.write(body);
        }
        let meta = json!({ "name": "web", "namespace": "shop", "uid": "d", "generation": 1, "annotations": self.annotations,
                           "labels": self.labels, "resourceVersion": self.writes.to_string() });
        let status = json!({ "observedGeneration": 1, "replicas": self.replicas, "updatedReplicas": self.replicas,
                             "readyReplicas": self.ready });
        let spec = json!({ "replicas": self.replicas, "selector": { "matchLabels": { "app": "web" } } });
        (http::StatusCode::OK, json!({ "metadata": meta, "spec": spec, "status": status }))
    }
}

/// From and to so many, of a workload that had two at first; the directory keeps its journal.
async fn remedy(site: &Arc<Mutex<Site>>, from: u32, to: u32) -> (ScaleWorkload, tempfile::TempDir) {
    let answers = site.clone();
    let client = test_support::api(move |path, body| answers.lock().unwrap().answer(&path, &body)).await;
    let dir = tempfile::tempdir().unwrap();
    let now = nimbus_platform::now();
    let journal = crate::files::journal::JournalStore::open(dir.path(), now).unwrap();
    let job = test_support::admitted(now, &journal);
    let cluster = crate::watch::kube::ClusterHandle::leading(client);
    let (shared, _refusals) = test_support::shared(dir.path(), journal, cluster);
    let action = v1::ScaleWorkload {
        workload: Some(v1::Target { namespace: "shop".into(), name: "web".into(), uid: "d".into() }),
        kind: "Deployment".into(),
        from_replicas: from,
        to_replicas: to,
        base_replicas: 2,
    };
    (ScaleWorkload::new(shared, &job, action), dir)
}

async fn seen(remedy: &mut ScaleWorkload) -> State {
    let client = kube::client(&remedy.shared).unwrap();
    remedy.look(&client, Duration::ZERO).await.state
}

#[tokio::test]
async fn it_is_scaled_out_once_and_says_from_what() {
    let site = Site::of(2, "");
    let (mut remedy, _dir) = remedy(&site, 2, 4).await;
    assert!(matches!(remedy.probe().await, Effect::Absent));
    remedy.check().await.unwrap();
    let evidence = remedy.act().await.unwrap();
    assert!(evidence[0].contains("shop/web from 2 to 4 replicas"), "{evidence:?}");
    assert_eq!(site.lock().unwrap().replicas, 4);
    let scaled = Scaled::parse(site.lock().unwrap().annotations[SCALED].as_str().unwrap(), "d").unwrap();
    assert_eq!((scaled.from, scaled.to), (2, 4));
    assert_eq!(site.lock().unwrap().labels[SCALED_OUT], "true");
    assert!(matches!(remedy.probe().await, Effect::Present));
    assert!(matches!(seen(&mut remedy).await, State::Pending), "they are not ready");
    site.lock().unwrap().ready = 4;
    assert!(matches!(seen(&mut remedy).await, State::Reached(_)));
    assert!(remedy.check().await.is_err(), "it has another number to anybody who would do it again");
    assert_eq!(site.lock().unwrap().writes, 1);
}

#[tokio::test]
async fn it_is_scaled_in_by_steps_and_says_no_more_once_it_has_what_it_had() {
    let site = Site::of(4, "2 4 2026-12-01T11:00:00Z d");
    let (mut first, _dir) = remedy(&site, 4, 3).await;
    first.check().await.unwrap();
    first.act().await.unwrap();
    let text = site.lock().unwrap().annotations[SCALED].as_str().unwrap().to_owned();
    assert!(text.starts_with("2 3 "), "{text}");
    site.lock().unwrap().annotations[SCALED] = json!("2 3 2026-12-01T11:00:00Z d");
    site.lock().unwrap().ready = 3;
    let (mut second, _dir) = remedy(&site, 3, 2).await;
    second.check().await.unwrap();
    second.act().await.unwrap();
    assert!(site.lock().unwrap().annotations[SCALED].is_null());
    assert!(site.lock().unwrap().labels[SCALED_OUT].is_null());
    assert_eq!(site.lock().unwrap().replicas, 2);
    // Where that does not do, it gets back what it had.
    site.lock().unwrap().ready = 1;
    (second.limits.hold, second.limits.reach) = (Duration::ZERO, Duration::ZERO);
    assert_eq!(second.verify().await.outcome, Outcome::Failed);
    let Compensation::Undone(what) = second.compensate().await else { panic!("it stays scaled in") };
    assert!(what[0].contains("its 3 replicas again"), "{what:?}");
    assert_eq!(site.lock().unwrap().replicas, 3);
    assert!(site.lock().unwrap().annotations[SCALED].as_str().unwrap().starts_with("2 3 "));
}

#[tokio::test]
async fn pods_that_never_become_ready_are_taken_back_and_some_that_do_are_not() {
    for (ready, outcome) in [(2, Outcome::Failed), (3, Outcome::Unknown)] {
        let site = Site::of(2, "");
        let (mut remedy, _dir) = remedy(&site, 2, 4).await;
        remedy.check().await.unwrap();
        remedy.act().await.unwrap();
        site.lock().unwrap().ready = ready;
        (remedy.limits.hold, remedy.limits.reach) = (Duration::ZERO, Duration::ZERO);
        let verdict = remedy.verify().await;
        assert_eq!(verdict.outcome, outcome, "{}", verdict.reason);
        let Compensation::Undone(what) = remedy.compensate().await else { panic!("it stays scaled out") };
        assert!(what[0].contains("its 2 replicas again"), "{what:?}");
        assert!(site.lock().unwrap().annotations[SCALED].is_null());
        let Compensation::Undone(again) = remedy.compensate().await else { panic!("once more") };
        assert!(again[0].contains("has its 2 replicas again"), "{again:?}");
        assert_eq!(site.lock().unwrap().writes, 2);
    }
}

#[tokio::test]
async fn who_writes_to_the_workload_meanwhile_is_heeded() {
    let marked = Site::of(2, "");
    marked.lock().unwrap().refuse = 2;
    let (mut first, _dir) = remedy(&marked, 2, 4).await;
    first.check().await.unwrap();
    first.act().await.unwrap();
    assert_eq!(marked.lock().unwrap().writes, 3);

    let scaled = Site::of(2, "");
    scaled.lock().unwrap().refuse = 1;
    let (mut second, _dir) = remedy(&scaled, 2, 4).await;
    second.check().await.unwrap();
    scaled.lock().unwrap().replicas = 3;
    let Err(ActError::Refused(refusal)) = second.act().await else { panic!("it was changed") };
    assert_eq!(refusal.code, nimbus_agent_core::Code::PreconditionFailed);
    assert_eq!(scaled.lock().unwrap().replicas, 3);

    // What a person sets afterwards is left.
    let left = Site::of(2, "");
    let (mut third, _dir) = remedy(&left, 2, 4).await;
    third.check().await.unwrap();
    third.act().await.unwrap();
    left.lock().unwrap().replicas = 5;
    assert!(matches!(seen(&mut third).await, State::Over(Outcome::Unknown, _)));
    assert!(matches!(third.compensate().await, Compensation::Failed(_)));
    assert_eq!(left.lock().unwrap().replicas, 5);
}
