//! The executor of `expand_volume` against a stub API server that keeps one claim and its class, and applies what is written.
//! What a real one answers is seen on the real node.

use std::sync::Mutex;

use super::super::test_support;
use super::*;

/// What the stub has, and what was written there.
struct Site {
    asks: String,
    has: &'static str,
    conditions: Value,
    allows: bool,
    annotations: Value,
    /// What a dry run is answered where it is not taken.
    not_let: Option<(u16, &'static str)>,
    dry_runs: usize,
    /// So many patches are refused: somebody else wrote meanwhile.
    refuse: usize,
    writes: usize,
}

impl Site {
    fn of(asks: &str, has: &'static str) -> Self {
        Self {
            asks: asks.to_owned(),
            has,
            conditions: json!([]),
            allows: true,
            annotations: json!({}),
            not_let: None,
            dry_runs: 0,
            refuse: 0,
            writes: 0,
        }
    }

    /// How often it was asked without effect and written to, and what it asks for.
    fn seen(&self) -> (usize, usize, &str) {
        (self.dry_runs, self.writes, &self.asks)
    }

    fn write(&mut self, operations: &Value) {
        for operation in operations.as_array().unwrap() {
            match operation["path"].as_str().unwrap() {
                "/spec/resources/requests/storage" => {
                    self.asks = operation["value"].as_str().unwrap().to_owned();
                }
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
        if path.contains("/storageclasses/") {
            let class = json!({ "metadata": { "name": "fast", "uid": "s" }, "provisioner": "csi.example.com",
                                "allowVolumeExpansion": self.allows });
            return (http::StatusCode::OK, class);
        }
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
        let meta = json!({ "name": "data", "namespace": "shop", "uid": "c", "annotations": self.annotations,
                           "resourceVersion": self.writes.to_string() });
        let spec = json!({ "storageClassName": "fast", "volumeName": "pv", "resources": { "requests": { "storage": self.asks } } });
        let status =
            json!({ "phase": "Bound", "capacity": { "storage": self.has }, "conditions": self.conditions });
        (http::StatusCode::OK, json!({ "metadata": meta, "spec": spec, "status": status }))
    }
}

/// From 8Gi to 12Gi; the directory keeps its journal.
async fn remedy(site: &Arc<Mutex<Site>>) -> (ExpandVolume, tempfile::TempDir) {
    let answers = site.clone();
    let client = test_support::api(move |path, body| answers.lock().unwrap().answer(&path, &body)).await;
    let dir = tempfile::tempdir().unwrap();
    let now = nimbus_platform::now();
    let journal = crate::files::journal::JournalStore::open(dir.path(), now).unwrap();
    let job = test_support::admitted(now, &journal);
    let cluster = crate::watch::kube::ClusterHandle::leading(client);
    let (shared, _refusals) = test_support::shared(dir.path(), journal, cluster);
    let target = v1::Target { namespace: "shop".into(), name: "data".into(), uid: "c".into() };
    let action = v1::ExpandVolume {
        claim: Some(target),
        from_bytes: 8 << 30,
        to_bytes: 12 << 30,
        storage_class: "fast".into(),
    };
    (ExpandVolume::new(shared, &job, action), dir)
}

fn site(site: Site) -> Arc<Mutex<Site>> {
    Arc::new(Mutex::new(site))
}

async fn seen(remedy: &mut ExpandVolume) -> State {
    let client = kube::client(&remedy.shared).unwrap();
    remedy.look(&client, Duration::ZERO).await.state
}

#[tokio::test]
async fn what_it_asks_for_is_raised_once_and_helped_when_the_file_system_has_it() {
    let site = site(Site::of("8Gi", "8Gi"));
    let (mut remedy, _dir) = remedy(&site).await;
    assert!(matches!(remedy.probe().await, Effect::Absent));
    remedy.check().await.unwrap();
    assert_eq!(site.lock().unwrap().seen(), (1, 0, "8Gi"));
    let evidence = remedy.act().await.unwrap();
    assert!(evidence[0].contains("from 8Gi to 12Gi"), "{evidence:?}");
    assert_eq!(site.lock().unwrap().asks, "12Gi");
    assert!(site.lock().unwrap().annotations[EXPANDED_AT].is_string());
    assert!(matches!(remedy.probe().await, Effect::Present));
    assert!(matches!(seen(&mut remedy).await, State::Pending), "it asks, and has it not");
    site.lock().unwrap().has = "12Gi";
    site.lock().unwrap().conditions = json!([{ "type": "FileSystemResizePending", "status": "True" }]);
    assert!(matches!(seen(&mut remedy).await, State::Pending), "its file system does not have it");
    site.lock().unwrap().conditions = json!([]);
    assert!(matches!(seen(&mut remedy).await, State::Reached(_)));
    // It is another one to anybody who would do it again, and it grew a moment ago.
    assert!(remedy.check().await.is_err());
    assert!(matches!(remedy.compensate().await, Compensation::NotReversible(_)));
    assert_eq!(site.lock().unwrap().writes, 1);
}

#[tokio::test]
async fn what_the_api_server_does_not_let_grow_is_refused_before_anything_is_written() {
    let site = site(Site { not_let: Some((403, "exceeded quota: storage")), ..Site::of("8Gi", "8Gi") });
    let (mut remedy, _dir) = remedy(&site).await;
    let refusal = remedy.check().await.unwrap_err().to_string();
    assert!(refusal.contains(NOT_LET_GROW) && refusal.contains("exceeded quota"), "{refusal}");
    assert!(remedy.act().await.is_err(), "nothing was checked");
    // Where it only could not answer, that is not its word.
    site.lock().unwrap().not_let = Some((503, "try again"));
    let refusal = remedy.check().await.unwrap_err().to_string();
    assert!(!refusal.contains(NOT_LET_GROW), "{refusal}");
    site.lock().unwrap().not_let = None;
    site.lock().unwrap().allows = false;
    let refusal = remedy.check().await.unwrap_err().to_string();
    assert!(refusal.contains("allow expansion"), "{refusal}");
    assert_eq!(site.lock().unwrap().writes, 0);
}

#[tokio::test]
async fn who_writes_to_the_claim_meanwhile_is_heeded() {
    let marked = site(Site { refuse: 2, ..Site::of("8Gi", "8Gi") });
    let (mut first, _dir) = remedy(&marked).await;
    first.check().await.unwrap();
    first.act().await.unwrap();
    assert_eq!(marked.lock().unwrap().seen(), (3, 3, "12Gi"));

    let grown = site(Site { refuse: 1, ..Site::of("8Gi", "8Gi") });
    let (mut second, _dir) = remedy(&grown).await;
    second.check().await.unwrap();
    grown.lock().unwrap().asks = "9Gi".to_owned();
    let Err(ActError::Refused(refusal)) = second.act().await else { panic!("it was changed") };
    assert_eq!(refusal.code, nimbus_agent_core::Code::PreconditionFailed);
    assert_eq!(grown.lock().unwrap().asks, "9Gi");
}

#[tokio::test]
async fn a_volume_that_does_not_grow_in_time_is_not_known_and_never_failed() {
    let site = site(Site::of("8Gi", "8Gi"));
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    site.lock().unwrap().conditions =
        json!([{ "type": "ControllerResizeError", "status": "True", "message": "the pool is full" }]);
    (remedy.limits.hold, remedy.limits.reach) = (Duration::ZERO, Duration::ZERO);
    let verdict = remedy.verify().await;
    assert_eq!(verdict.outcome, Outcome::Unknown, "{}", verdict.reason);
    assert!(verdict.reason.contains("the pool is full"), "{}", verdict.reason);
    // A person set it back, or it is another one of that name.
    site.lock().unwrap().asks = "8Gi".to_owned();
    assert!(matches!(seen(&mut remedy).await, State::Over(Outcome::Unknown, _)));
}
