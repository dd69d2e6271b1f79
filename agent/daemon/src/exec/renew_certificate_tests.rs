//! The executor of `renew_certificate` against a stub API server that keeps one Certificate and its issuer, and applies what is written. What
//! cert-manager itself makes of it is seen on a real cluster.

use std::sync::Mutex;

use super::super::test_support;
use super::*;

const HOUR: i64 = 3_600;

/// What the stub has, and what was written there.
struct Site {
    uid: &'static str,
    status: Value,
    issuer: &'static str,
    /// So many patches are refused: somebody else wrote meanwhile.
    refuse: usize,
    writes: usize,
}

fn time(from_now: i64) -> String {
    let now = nimbus_platform::now().as_second();
    format!("{:.0}", jiff::Timestamp::from_second(now + from_now).unwrap())
}

fn ready() -> Value {
    json!({ "type": "Ready", "status": "True", "reason": "Ready" })
}

impl Site {
    /// Valid for ten hours more; its renewal was due ten hours ago and failed an hour ago.
    fn of() -> Self {
        let failed = json!({ "type": "Issuing", "status": "False", "reason": "Failed", "message": "the order is invalid" });
        let status = json!({
            "conditions": [ready(), failed], "revision": 3,
            "notBefore": time(-50 * HOUR), "notAfter": time(10 * HOUR), "renewalTime": time(-10 * HOUR),
            "lastFailureTime": time(-HOUR), "failedIssuanceAttempts": 2,
        });
        Self { uid: "c", status, issuer: "True", refuse: 0, writes: 0 }
    }

    fn condition(&self, of: &str) -> Value {
        let all = self.status["conditions"].as_array().unwrap();
        let mut found = all.iter().filter(|one| one["type"] == of);
        let one = found.next().cloned().unwrap_or_default();
        assert!(found.next().is_none(), "a condition is there once: {all:?}");
        one
    }

    fn write(&mut self, operations: &Value) {
        for operation in operations.as_array().unwrap() {
            let (op, path) = (operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap());
            let value = operation["value"].clone();
            match (op, path) {
                ("test", _) => {}
                ("add", "/status/conditions") => self.status["conditions"] = value,
                ("add", "/status/conditions/-") => {
                    self.status["conditions"].as_array_mut().unwrap().push(value);
                }
                ("replace", path) => {
                    let at: usize = path.strip_prefix("/status/conditions/").unwrap().parse().unwrap();
                    self.status["conditions"][at] = value;
                }
                other => panic!("nothing else is written: {other:?}"),
            }
        }
    }

    fn answer(&mut self, path: &str, body: &Value) -> (http::StatusCode, Value) {
        if path.contains("/issuers/") {
            let conditions = json!([{ "type": "Ready", "status": self.issuer, "reason": "said" }]);
            return (
                http::StatusCode::OK,
                json!({ "metadata": { "name": "ca" }, "status": { "conditions": conditions } }),
            );
        }
        if body.is_array() {
            assert!(path.contains("/certificates/web/status"), "the status alone is written: {path}");
            self.writes += 1;
            if self.writes <= self.refuse {
                let status = json!({ "kind": "Status", "message": "the test failed", "code": 422 });
                return (http::StatusCode::UNPROCESSABLE_ENTITY, status);
            }
            self.write(body);
        }
        let meta = json!({ "name": "web", "namespace": "shop", "uid": self.uid, "generation": 2,
                           "resourceVersion": self.writes.to_string() });
        let spec = json!({ "secretName": "web-tls", "issuerRef": { "name": "ca" } });
        (http::StatusCode::OK, json!({ "metadata": meta, "spec": spec, "status": self.status }))
    }
}

/// A job for the Certificate as the site has it; the directory keeps its journal.
async fn remedy(site: &Arc<Mutex<Site>>) -> (RenewCertificate, tempfile::TempDir) {
    let now = {
        let mut site = site.lock().unwrap();
        let (_, value) =
            site.answer("/apis/cert-manager.io/v1/namespaces/shop/certificates/web", &Value::Null);
        certificate(&value).unwrap()
    };
    let answers = site.clone();
    let client = test_support::api(move |path, body| answers.lock().unwrap().answer(&path, &body)).await;
    let dir = tempfile::tempdir().unwrap();
    let journal = crate::files::journal::JournalStore::open(dir.path(), nimbus_platform::now()).unwrap();
    let job = test_support::admitted(nimbus_platform::now(), &journal);
    let cluster = crate::watch::kube::ClusterHandle::leading(client);
    let (shared, _refusals) = test_support::shared(dir.path(), journal, cluster);
    let action = v1::RenewCertificate {
        certificate: Some(v1::Target { namespace: "shop".into(), name: "web".into(), uid: "c".into() }),
        issuer_group: "cert-manager.io".into(),
        issuer_kind: "Issuer".into(),
        issuer_name: "ca".into(),
        not_after_us: now.not_after_us,
        revision: now.revision,
        last_failure_us: now.last_failure_us,
    };
    (RenewCertificate::new(shared, &job, action), dir)
}

fn site(site: Site) -> Arc<Mutex<Site>> {
    Arc::new(Mutex::new(site))
}

async fn seen(remedy: &mut RenewCertificate) -> State {
    let client = kube::client(&remedy.shared).unwrap();
    remedy.look(&client, Duration::ZERO).await.state
}

#[tokio::test]
async fn it_is_asked_for_once_and_helped_when_there_is_a_later_one_that_is_ready() {
    let site = site(Site::of());
    let (mut remedy, _dir) = remedy(&site).await;
    assert!(matches!(remedy.probe().await, Effect::Absent));
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    let asked = site.lock().unwrap().condition("Issuing");
    assert_eq!(asked["status"], "True");
    assert_eq!(asked["reason"], "ManuallyTriggered");
    assert_eq!(asked["observedGeneration"], 2);
    assert!(asked["message"].as_str().unwrap().contains(&remedy.job_id.to_string()));
    assert_eq!(site.lock().unwrap().condition("Ready"), ready(), "the others stay");
    assert!(matches!(remedy.probe().await, Effect::Present));
    assert!(matches!(seen(&mut remedy).await, State::Pending), "it is asked for, and not there");
    // Somebody is at work at it: it is not asked for twice.
    assert!(remedy.check().await.is_err());
    site.lock().unwrap().status["conditions"] = json!([ready()]);
    site.lock().unwrap().status["revision"] = json!(4);
    assert!(matches!(seen(&mut remedy).await, State::Pending), "its end is what it was");
    site.lock().unwrap().status["notAfter"] = json!(time(90 * HOUR));
    let State::Reached(seen) = seen(&mut remedy).await else { panic!("it is issued") };
    assert!(seen.contains("issued for time 4"), "{seen}");
    assert!(matches!(remedy.compensate().await, Compensation::NotReversible(_)));
}

#[tokio::test]
async fn what_cert_manager_says_of_another_failure_is_the_reason() {
    let site = site(Site::of());
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    let failed =
        json!({ "type": "Issuing", "status": "False", "reason": "Failed", "message": "the name is refused" });
    site.lock().unwrap().status["conditions"] = json!([ready(), failed]);
    site.lock().unwrap().status["lastFailureTime"] = json!(time(0));
    let State::Over(outcome, reason) = seen(&mut remedy).await else { panic!("it failed") };
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.contains("the name is refused; the one in use is valid until"), "{reason}");
    // After a crash nobody could tell whose request that was.
    assert!(matches!(remedy.probe().await, Effect::Unknown(_)));
}

#[tokio::test]
async fn a_condition_is_added_where_there_is_none_beside_those_that_there_are() {
    for conditions in [json!([ready()]), json!([]), Value::Null] {
        let site = site(Site::of());
        site.lock().unwrap().status["conditions"] = conditions;
        let (mut remedy, _dir) = remedy(&site).await;
        remedy.check().await.unwrap();
        remedy.act().await.unwrap();
        assert_eq!(site.lock().unwrap().condition("Issuing")["status"], "True");
    }
}

#[tokio::test]
async fn whoever_writes_meanwhile_makes_it_look_again() {
    let site = site(Site { refuse: 2, ..Site::of() });
    let (mut remedy, _dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    assert_eq!(site.lock().unwrap().writes, 3);

    let site = self::site(Site { refuse: usize::MAX, ..Site::of() });
    let (mut remedy, _dir) = self::remedy(&site).await;
    remedy.check().await.unwrap();
    assert!(matches!(remedy.act().await, Err(ActError::Refused(_))));
    assert_eq!(site.lock().unwrap().writes, 10);
}

#[tokio::test]
async fn an_issuer_that_is_not_ready_and_another_certificate_of_the_name_are_refused() {
    let site = site(Site { issuer: "False", ..Site::of() });
    let (mut remedy, _dir) = remedy(&site).await;
    let refusal = remedy.check().await.unwrap_err();
    assert!(refusal.reason.contains("expected Issuer.cert-manager.io ca to be ready"), "{}", refusal.reason);
    site.lock().unwrap().issuer = "True";
    site.lock().unwrap().uid = "d";
    assert!(remedy.check().await.is_err());
    assert!(matches!(seen(&mut remedy).await, State::Over(Outcome::Unknown, _)));
    assert_eq!(site.lock().unwrap().writes, 0);
}
