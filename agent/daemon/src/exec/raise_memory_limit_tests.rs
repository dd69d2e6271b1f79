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
    /// The template of before, by which rs-1 makes pods; rs-2 makes them by the present one.
    first: Value,
    quota: Value,
    /// The job that changed it last.
    job: Option<String>,
    /// Pods: who owns each, and its status.
    pods: Vec<(&'static str, Value)>,
    progressing: &'static str,
    /// Are pods and ReplicaSets refused to it?
    hides_pods: bool,
    /// Why no pod can be made.
    failure: Option<&'static str>,
    /// Pods of the present template that are ready, of three.
    ready: u32,
    patches: Vec<Value>,
    /// So many patches are refused: somebody else wrote meanwhile.
    refuse: usize,
    /// What the limit is after a refused patch, if somebody else wrote that.
    meanwhile: Option<String>,
}

/// The status of a container, which was killed for its memory a moment ago after it had run for 40 s.
fn killed() -> Value {
    let ago = |seconds| (nimbus_platform::now() - jiff::SignedDuration::from_secs(seconds)).to_string();
    json!({ "containerStatuses": [{
        "name": "app", "restartCount": 5, "ready": false,
        "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        "lastState": { "terminated": { "reason": "OOMKilled", "exitCode": 137, "startedAt": ago(45), "finishedAt": ago(5) } },
    }] })
}

/// The status of a container that crash-loops for another reason.
fn looping() -> Value {
    json!({ "containerStatuses": [{
        "name": "app", "restartCount": 2, "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        "lastState": { "terminated": { "reason": "Error", "exitCode": 1 } },
    }] })
}

fn running(restarts: u32) -> Value {
    json!({ "containerStatuses": [{ "name": "app", "restartCount": restarts, "ready": true, "state": { "running": {} } }] })
}

impl Site {
    fn of(limit: &str, request: Option<&str>) -> Self {
        let mut site = Self {
            image: "web:1".to_owned(),
            limit: limit.to_owned(),
            request: request.map(str::to_owned),
            first: Value::Null,
            quota: json!([]),
            job: None,
            pods: vec![("rs-1", killed())],
            progressing: "True",
            hides_pods: false,
            failure: None,
            ready: 0,
            patches: Vec::new(),
            refuse: 0,
            meanwhile: None,
        };
        site.first = site.template();
        site
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

    fn pod(&self, number: usize, set: &str, status: &Value) -> Value {
        let owner = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true }]);
        let meta =
            json!({ "name": format!("web-{number}"), "uid": format!("p{number}"), "ownerReferences": owner });
        let template = if set == "rs-2" { self.template() } else { self.first.clone() };
        json!({ "metadata": meta, "spec": template["spec"], "status": status })
    }

    fn set(name: &str, owner: &str, template: &Value) -> Value {
        let owners = json!([{ "kind": "Deployment", "name": "web", "uid": owner, "controller": true }]);
        json!({ "metadata": { "name": name, "uid": name, "ownerReferences": owners }, "spec": { "template": template } })
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
        if self.hides_pods && (path.contains("/replicasets?") || path.contains("/pods?")) {
            let status =
                json!({ "kind": "Status", "status": "Failure", "message": "forbidden", "code": 403 });
            return (http::StatusCode::FORBIDDEN, status);
        }
        if path.contains("/replicasets?") {
            let mut sets = vec![Self::set("rs-1", "d", &self.first), Self::set("rs-9", "other", &self.first)];
            if self.template() != self.first {
                sets.push(Self::set("rs-2", "d", &self.template()));
            }
            return list(Value::Array(sets));
        }
        if path.contains("/pods?") {
            let pods =
                self.pods.iter().enumerate().map(|(number, (set, status))| self.pod(number, set, status));
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
        let mut conditions =
            vec![json!({ "type": "Progressing", "status": self.progressing, "reason": "X" })];
        conditions.extend(
            self.failure.map(|why| json!({ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": why })),
        );
        let spec = json!({ "replicas": 3, "template": self.template() });
        let status = json!({ "conditions": conditions, "replicas": self.ready, "updatedReplicas": self.ready,
                             "readyReplicas": self.ready, "availableReplicas": self.ready });
        (http::StatusCode::OK, json!({ "metadata": meta, "spec": spec, "status": status }))
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

/// One that was raised already, with these pods of the raised template.
async fn raised(
    pods: Vec<(&'static str, Value)>,
    ready: u32,
) -> (Arc<Mutex<Site>>, RaiseMemoryLimit, tempfile::TempDir) {
    let site = site(Site::of("64Mi", None));
    let (mut remedy, dir) = remedy(&site).await;
    remedy.check().await.unwrap();
    remedy.act().await.unwrap();
    {
        let mut site = site.lock().unwrap();
        site.pods.extend(pods);
        site.ready = ready;
    }
    (site, remedy, dir)
}

/// What a look means after so many seconds.
async fn look(remedy: &mut RaiseMemoryLimit, seconds: u64) -> State {
    let client = client(remedy);
    remedy.look(&client, Duration::from_secs(seconds)).await.state
}

fn failed(state: &State, words: &str) -> bool {
    matches!(state, State::Over(Outcome::Failed, why) if why.contains(words))
}

#[tokio::test]
async fn a_kill_with_the_higher_limit_undoes_it_at_once_also_where_all_pods_are_ready_again() {
    let mut again = running(1);
    again["containerStatuses"][0]["lastState"] = killed()["containerStatuses"][0]["lastState"].clone();
    for status in [killed(), again] {
        let (_site, mut remedy, _dir) = raised(vec![("rs-2", status)], 3).await;
        let state = look(&mut remedy, 1).await;
        assert!(failed(&state, "with the higher limit as well"), "{state:?}");
    }
}

/// A CronJob's pods may have the labels that the Deployment selects, and those of before go on being killed until they are gone.
#[tokio::test]
async fn pods_of_others_and_of_before_say_nothing() {
    let (site, mut remedy, _dir) =
        raised(vec![("cron-1", looping()), ("rs-9", killed()), ("rs-1", killed()), ("rs-2", running(0))], 3)
            .await;
    assert!(matches!(look(&mut remedy, 1).await, State::Reached(_)));
    // Nor is a stranger's killed pod a reason to raise anything.
    let only = Site { pods: vec![("cron-1", killed()), ("rs-9", killed())], ..Site::of("64Mi", None) };
    let (mut other, _other_dir) = self::remedy(&self::site(only)).await;
    let refusal = other.check().await.unwrap_err();
    assert!(refusal.to_string().contains("was killed for its memory"), "{refusal}");
    drop(site);
}

#[tokio::test]
async fn what_may_pass_by_itself_undoes_it_only_once_it_has_lasted() {
    let unplaced = json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                                            "message": "Insufficient memory" }] });
    let starting = json!({ "containerStatuses": [{ "name": "app", "state": { "waiting": { "reason": "ContainerCreating" } } }] });
    for (status, words) in [(unplaced, "finds no node"), (looping(), "crash-loops")] {
        let (site, mut remedy, _dir) = raised(vec![("rs-2", status.clone())], 0).await;
        let patience = remedy.patience().as_secs();
        assert!(matches!(look(&mut remedy, 1).await, State::Pending));
        assert!(matches!(look(&mut remedy, patience).await, State::Pending), "not for as long yet");
        let replace = |status: &Value| site.lock().unwrap().pods[1].1 = status.clone();
        replace(&starting);
        assert!(matches!(look(&mut remedy, patience + 1).await, State::Pending));
        replace(&status);
        assert!(matches!(look(&mut remedy, patience + 2).await, State::Pending), "it begins anew");
        let state = look(&mut remedy, 2 * patience + 2).await;
        assert!(failed(&state, words), "{state:?}");
    }
}

/// With the strategy Recreate no pod is left by then.
#[tokio::test]
async fn where_no_pod_can_be_made_or_the_deadline_passes_it_is_undone() {
    let (site, mut remedy, _dir) = raised(Vec::new(), 0).await;
    let patience = remedy.patience().as_secs();
    site.lock().unwrap().failure = Some("exceeded quota: team");
    assert!(matches!(look(&mut remedy, 1).await, State::Pending));
    let state = look(&mut remedy, 1 + patience).await;
    assert!(failed(&state, "exceeded quota"), "{state:?}");
    {
        let mut site = site.lock().unwrap();
        (site.failure, site.progressing) = (None, "False");
    }
    let state = look(&mut remedy, 2 + patience).await;
    assert!(failed(&state, "does not go on"), "{state:?}");
    // The rights to list may be taken away meanwhile.
    site.lock().unwrap().hides_pods = true;
    let state = look(&mut remedy, 3 + patience).await;
    assert!(failed(&state, "does not go on"), "{state:?}");
    site.lock().unwrap().progressing = "True";
    assert!(matches!(look(&mut remedy, 4 + patience).await, State::Unanswered));
}

/// What was started again meanwhile has to run for the whole time anew.
#[tokio::test]
async fn a_restart_is_another_state_to_hold() {
    let (site, mut remedy, _dir) = raised(vec![("rs-2", running(0))], 3).await;
    let State::Reached(before) = look(&mut remedy, 1).await else { panic!("all are ready") };
    site.lock().unwrap().pods[1].1 = running(1);
    let State::Reached(after) = look(&mut remedy, 2).await else { panic!("all are ready") };
    assert_ne!(before, after);
    assert_eq!(remedy.checkpoint.lived_ms, Some(40_000), "it has to run for twice as long as it did before");
}

/// A container that took longer to be killed than this watches: nothing was seen that was not so before.
#[tokio::test]
async fn what_took_longer_to_be_killed_than_is_watched_is_not_called_a_success() {
    let (_site, mut remedy, _dir) = raised(vec![("rs-2", running(0))], 3).await;
    (remedy.limits.hold, remedy.limits.reach) = (Duration::ZERO, Duration::from_secs(2));
    remedy.checkpoint.lived_ms = Some(60_000);
    let verdict = remedy.verify().await;
    assert_eq!(verdict.outcome, Outcome::Unknown, "{}", verdict.reason);
    assert!(verdict.reason.contains("after 60 s before"), "{}", verdict.reason);
    // Twice as long fits into half of the watch.
    remedy.checkpoint.lived_ms = Some(500);
    let begun = std::time::Instant::now();
    let verdict = remedy.verify().await;
    assert_eq!(verdict.outcome, Outcome::Succeeded, "{}", verdict.reason);
    assert!(begun.elapsed() >= Duration::from_secs(1), "as a leak may take twice as long to be killed again");
    for lived in [Some(501), None] {
        remedy.checkpoint.lived_ms = lived;
        assert_eq!(remedy.verify().await.outcome, Outcome::Unknown, "{lived:?}");
    }
}

/// Three hours after a node went down nobody judges by what is so at that moment.
#[tokio::test]
async fn an_agent_that_was_away_for_long_undoes_nothing() {
    let (site, mut remedy, _dir) = raised(vec![("rs-2", looping())], 0).await;
    remedy.checkpoint.checked_us -= 3 * 3_600 * 1_000_000;
    let noted = remedy.checkpoint();
    remedy.restore(&noted);
    let verdict = remedy.verify().await;
    assert_eq!(verdict.outcome, Outcome::Unknown, "{}", verdict.reason);
    assert!(verdict.reason.contains("was away"), "{}", verdict.reason);
    // Nor where an agent of before left no time.
    remedy.checkpoint.checked_us = 0;
    assert_eq!(remedy.verify().await.outcome, Outcome::Unknown);
    assert_eq!(site.lock().unwrap().seen().1, "96Mi");
}

/// Only what shows that it does not help undoes it.
#[tokio::test]
async fn a_rollout_that_is_only_slow_is_no_failure() {
    let starting = json!({ "containerStatuses": [{ "name": "app", "state": { "waiting": { "reason": "ContainerCreating" } } }] });
    let (_site, mut remedy, _dir) = raised(vec![("rs-2", starting)], 0).await;
    (remedy.limits.hold, remedy.limits.reach) = (Duration::ZERO, Duration::ZERO);
    let verdict = remedy.verify().await;
    assert_eq!(verdict.outcome, Outcome::Unknown, "{}", verdict.reason);
    assert!(verdict.reason.contains("nothing shows"), "{}", verdict.reason);
}
