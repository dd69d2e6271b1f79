//! The executor of `raise_autoscaler_maximum` against a stub API server that keeps one autoscaler, its Deployment, a pod and a quota, and
//! applies what is written. What a real one and its controllers answer is seen in the scenes.

use std::sync::Mutex;

use super::super::test_support;
use super::*;

/// What the stub has, and what was written there.
struct Site {
    uid: &'static str,
    maximum: u64,
    asked: u64,
    ready: u64,
    limited: &'static str,
    /// What the CPU is at, percent of an aim of 80.
    cpu: u64,
    annotations: Value,
    quota: Value,
    /// What a dry run is answered where it is not taken.
    not_let: Option<(u16, &'static str)>,
    dry_runs: usize,
    /// So many patches are refused: somebody else wrote meanwhile.
    refuse: usize,
    writes: usize,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            uid: "h",
            maximum: 10,
            asked: 10,
            ready: 10,
            limited: "TooManyReplicas",
            cpu: 120,
            annotations: json!({}),
            quota: json!({}),
            not_let: None,
            dry_runs: 0,
            refuse: 0,
            writes: 0,
        }
    }
}

impl Site {
    fn write(&mut self, operations: &Value) {
        for operation in operations.as_array().unwrap() {
            match operation["path"].as_str().unwrap() {
                "/spec/maxReplicas" => self.maximum = operation["value"].as_u64().unwrap(),
                other => {
                    assert!(other.starts_with("/metadata/"), "nothing else is written: {other}");
                    if let Some(key) = other.strip_prefix("/metadata/annotations/") {
                        self.annotations[key.replace("~1", "/")] = operation["value"].clone();
                    }
                }
            }
        }
    }

    fn refused(code: u16, message: &str) -> (http::StatusCode, Value) {
        let status = json!({ "kind": "Status", "status": "Failure", "message": message, "code": code });
        (http::StatusCode::from_u16(code).unwrap(), status)
    }

    fn answer(&mut self, path: &str, body: &Value) -> (http::StatusCode, Value) {
        let found = if path.contains("/deployments/") {
            json!({ "metadata": { "name": "web", "uid": "d", "generation": 1 },
                    "spec": { "replicas": self.asked, "selector": { "matchLabels": { "app": "web" } } },
                    "status": { "observedGeneration": 1, "replicas": self.asked, "updatedReplicas": self.asked,
                                "readyReplicas": self.ready } })
        } else if path.contains("/resourcequotas") {
            json!({ "kind": "ResourceQuotaList", "items": [self.quota] })
        } else if path.contains("/pods") {
            assert!(path.contains("labelSelector=app%3Dweb"), "{path}");
            json!({ "metadata": {}, "items": [{ "spec": { "containers": [{ "resources": { "requests": { "cpu": "1" } } }] } }] })
        } else {
            return self.autoscaler(path, body);
        };
        (http::StatusCode::OK, found)
    }

    fn autoscaler(&mut self, path: &str, body: &Value) -> (http::StatusCode, Value) {
        if body.is_array() && path.contains("dryRun=All") {
            self.dry_runs += 1;
            if let Some((code, message)) = self.not_let {
                return Self::refused(code, message);
            }
        } else if body.is_array() {
            self.writes += 1;
            if self.writes <= self.refuse {
                return Self::refused(422, "the test failed");
            }
            self.write(body);
        }
        let meta = json!({ "name": "web", "namespace": "shop", "uid": self.uid, "annotations": self.annotations,
                           "resourceVersion": self.writes.to_string() });
        let target = json!({ "type": "Utilization", "averageUtilization": 80 });
        let spec = json!({
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "minReplicas": 2, "maxReplicas": self.maximum,
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": target } }],
        });
        let condition = |kind: &str, status: &str, reason: &str| json!({ "type": kind, "status": status, "reason": reason });
        let limited = if self.limited.is_empty() { "False" } else { "True" };
        let status = json!({
            "currentReplicas": self.asked, "desiredReplicas": self.asked,
            "conditions": [condition("AbleToScale", "True", ""), condition("ScalingActive", "True", ""),
                           condition("ScalingLimited", limited, self.limited)],
            "currentMetrics": [{ "type": "Resource", "resource": { "name": "cpu", "current": { "averageUtilization": self.cpu } } }],
        });
        (http::StatusCode::OK, json!({ "metadata": meta, "spec": spec, "status": status }))
    }
}

/// From 10 to 15; the directory keeps its journal.
async fn remedy(site: &Arc<Mutex<Site>>) -> (RaiseAutoscalerMaximum, tempfile::TempDir) {
    let answers = site.clone();
    let client = test_support::api(move |path, body| answers.lock().unwrap().answer(&path, &body)).await;
    let dir = tempfile::tempdir().unwrap();
    let now = nimbus_platform::now();
    let journal = crate::files::journal::JournalStore::open(dir.path(), now).unwrap();
    let job = test_support::admitted(now, &journal);
    let cluster = crate::watch::kube::ClusterHandle::leading(client);
    let (shared, _refusals) = test_support::shared(dir.path(), journal, cluster);
    let action = v1::RaiseAutoscalerMaximum {
        autoscaler: Some(v1::Target { namespace: "shop".into(), name: "web".into(), uid: "h".into() }),
        target_kind: "Deployment".into(),
        target_name: "web".into(),
        from_replicas: 10,
        to_replicas: 15,
    };
    (RaiseAutoscalerMaximum::new(shared, &job, action), dir)
}

fn site(site: Site) -> Arc<Mutex<Site>> {
    Arc::new(Mutex::new(site))
}

async fn seen(remedy: &mut RaiseAutoscalerMaximum) -> State {
    let client = kube::client(&remedy.shared).unwrap();
    remedy.look(&client, Duration::ZERO).await.state
}

#[tokio::test]
async fn its_maximum_is_raised_once_and_helped_when_more_are_ready() {
    let site = site(Site::default());
    let (mut remedy, _dir) = remedy(&site).await;
    assert!(matches!(remedy.probe().await, Effect::Absent));
    remedy.check().await.unwrap();
    assert_eq!(site.lock().unwrap().dry_runs, 1);
    assert_eq!(site.lock().unwrap().writes, 0);
    let evidence = remedy.act().await.unwrap();
    assert!(evidence[0].contains("shop/web from 10 to 15 replicas"), "{evidence:?}");
    assert_eq!(site.lock().unwrap().maximum, 15);
    assert!(site.lock().unwrap().annotations[RAISED_MAXIMUM].is_string());
    assert!(matches!(remedy.probe().await, Effect::Present));
    assert!(matches!(seen(&mut remedy).await, State::Pending), "its controller did not look yet");
    site.lock().unwrap().limited = "ScaleUpLimit";
    assert!(matches!(seen(&mut remedy).await, State::Pending), "its own policy lets it make no more yet");
    site.lock().unwrap().asked = 14;
    site.lock().unwrap().limited = "";
    assert!(matches!(seen(&mut remedy).await, State::Pending), "they are asked for, and not ready");
    site.lock().unwrap().ready = 14;
    assert!(matches!(seen(&mut remedy).await, State::Reached(_)));
    // All that it may make now, and it would make more: so many more there are.
    site.lock().unwrap().asked = 15;
    site.lock().unwrap().ready = 15;
    site.lock().unwrap().limited = "TooManyReplicas";
    assert!(matches!(seen(&mut remedy).await, State::Reached(_)));
    assert!(remedy.check().await.is_err(), "it has another maximum to anybody who would do it again");
    assert_eq!(site.lock().unwrap().writes, 1);
}

#[tokio::test]
async fn less_load_than_before_is_well_too() {
    let site = site(Site::default());
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    site.lock().unwrap().asked = 7;
    site.lock().unwrap().ready = 7;
    site.lock().unwrap().limited = "";
    assert!(matches!(seen(&mut remedy).await, State::Reached(_)));
}

#[tokio::test]
async fn what_has_no_room_or_is_not_let_is_refused_before_anything_is_written() {
    let quota = json!({ "metadata": { "name": "team" }, "status": { "hard": { "requests.cpu": "12" }, "used": { "requests.cpu": "10" } } });
    let site = site(Site { quota, ..Site::default() });
    let (mut remedy, _dir) = remedy(&site).await;
    let refusal = remedy.check().await.unwrap_err().to_string();
    assert!(refusal.contains(MORE_REPLICAS) && refusal.contains("5 more pods need 5"), "{refusal}");
    assert!(remedy.act().await.is_err(), "nothing was checked");
    site.lock().unwrap().quota = json!({});
    site.lock().unwrap().not_let = Some((403, "a policy bounds it"));
    let refusal = remedy.check().await.unwrap_err().to_string();
    assert!(refusal.contains(MORE_REPLICAS) && refusal.contains("a policy bounds it"), "{refusal}");
    // Where it only could not answer, that is not its word.
    site.lock().unwrap().not_let = Some((503, "try again"));
    let refusal = remedy.check().await.unwrap_err().to_string();
    assert!(!refusal.contains(MORE_REPLICAS), "{refusal}");
    site.lock().unwrap().not_let = None;
    site.lock().unwrap().cpu = 70;
    let refusal = remedy.check().await.unwrap_err().to_string();
    assert!(refusal.contains("wants no more now"), "{refusal}");
    assert_eq!(site.lock().unwrap().writes, 0);
}

#[tokio::test]
async fn who_writes_to_the_autoscaler_meanwhile_is_heeded() {
    let marked = site(Site { refuse: 2, ..Site::default() });
    let (mut first, _dir) = remedy(&marked).await;
    first.check().await.unwrap();
    first.act().await.unwrap();
    assert_eq!(marked.lock().unwrap().dry_runs, 3);
    assert_eq!(marked.lock().unwrap().writes, 3);

    let raised = site(Site { refuse: 1, ..Site::default() });
    let (mut second, _dir) = remedy(&raised).await;
    second.check().await.unwrap();
    raised.lock().unwrap().maximum = 12;
    let Err(ActError::Refused(refusal)) = second.act().await else { panic!("it was changed") };
    assert_eq!(refusal.code, nimbus_agent_core::Code::PreconditionFailed);
    assert_eq!(raised.lock().unwrap().maximum, 12);
}

#[tokio::test]
async fn replicas_that_never_become_ready_are_taken_back_and_some_are_not() {
    for (ready, outcome) in [(10, Outcome::Failed), (12, Outcome::Unknown)] {
        let site = site(Site::default());
        let (mut remedy, _dir) = remedy(&site).await;
        remedy.check().await.unwrap();
        remedy.act().await.unwrap();
        site.lock().unwrap().asked = 15;
        site.lock().unwrap().ready = ready;
        (remedy.limits.hold, remedy.limits.reach) = (Duration::ZERO, Duration::ZERO);
        let verdict = remedy.verify().await;
        assert_eq!(verdict.outcome, outcome, "{}", verdict.reason);
        assert_eq!(verdict.reason.contains("2 more than before"), ready == 12, "{}", verdict.reason);
        let Compensation::Undone(what) = remedy.compensate().await else { panic!("it stays raised") };
        assert!(what[0].contains("gave") && what[0].contains("its maximum of 10 again"), "{what:?}");
        assert_eq!(site.lock().unwrap().maximum, 10);
        let Compensation::Undone(again) = remedy.compensate().await else { panic!("once more") };
        assert!(again[0].contains("has its maximum of 10 again"), "{again:?}");
        assert_eq!(site.lock().unwrap().writes, 2);
    }
}

#[tokio::test]
async fn what_a_person_wrote_since_is_left() {
    let site = site(Site::default());
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    site.lock().unwrap().maximum = 20;
    assert!(matches!(seen(&mut remedy).await, State::Over(Outcome::Unknown, _)));
    assert!(matches!(remedy.compensate().await, Compensation::Failed(_)));
    site.lock().unwrap().maximum = 15;
    site.lock().unwrap().annotations[patch::ANNOTATION] = json!("job_of_somebody_else");
    assert!(matches!(remedy.compensate().await, Compensation::Failed(_)));
    site.lock().unwrap().uid = "another";
    assert!(matches!(seen(&mut remedy).await, State::Over(Outcome::Unknown, _)));
    assert!(matches!(remedy.compensate().await, Compensation::Failed(_)));
    assert_eq!(site.lock().unwrap().maximum, 15);
    assert_eq!(site.lock().unwrap().writes, 1);
}
