//! Tests of the election and the watches against a stub API server: paged lists, a watch that ends in 410, a kind that
//! may not be listed, Leases with resource versions. What only a real cluster shows is tested with a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use nimbus_agent_core::observe::kube::SlimPod;
use nimbus_platform::monotonic;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1::observation::Body as Seen;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client;
use super::cordons::Cordons;
use super::lease::{Elector, Leadership};
use super::stream::{self, Follow};
use super::watched::Collection;
use crate::config::{ClusterSource, LeaseSettings};
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

mod election;
mod secrets;

const PODS: &str = "/api/v1/pods";
const NODES: &str = "/api/v1/nodes";
const SECRETS: &str = "/api/v1/secrets";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/nimbus-agent-watch";

#[derive(Default)]
struct Server {
    url: String,
    /// Objects by path.
    objects: Mutex<BTreeMap<String, Value>>,
    version: Mutex<u64>,
    /// What the list of a collection shows, two to a page; one that is not here is empty.
    collections: Mutex<BTreeMap<&'static str, Vec<Value>>>,
    /// Collections that may not be listed.
    forbidden: Mutex<BTreeSet<&'static str>>,
    /// Collections that may be listed and not watched.
    unwatchable: Mutex<BTreeSet<&'static str>>,
    /// What the next watch of pods says before it hangs.
    events: Mutex<Vec<Value>>,
    /// Ends a watch of pods that hangs, with a 410.
    expire: tokio::sync::Notify,
    /// The second page of a list fails.
    breaks_off: std::sync::atomic::AtomicBool,
    /// The queries of all lists of pods.
    lists: Mutex<Vec<String>>,
    /// Collections are answered with an error of the server's own.
    broken: std::sync::atomic::AtomicBool,
    /// What was asked for of Secrets, each time: the header Accept.
    accepted: Mutex<Vec<String>>,
}

/// A server with a kube-system namespace.
async fn serve() -> (kube::Client, Arc<Server>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Arc::new(Server { url: url.clone(), ..Server::default() });
    let namespace = json!({ "metadata": { "name": "kube-system", "uid": "u-1" } });
    server.objects.lock().unwrap().insert("/api/v1/namespaces/kube-system".to_owned(), namespace);
    let app = Router::new().fallback(answer).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut config = kube::Config::new(url.parse().unwrap());
    config.default_retry = false;
    (kube::Client::try_from(config).unwrap(), server)
}

async fn answer(
    State(server): State<Arc<Server>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if uri.path() == SECRETS {
        let accept = headers.get("accept").map(|value| value.to_str().unwrap().to_owned());
        server.accepted.lock().unwrap().push(accept.unwrap_or_default());
    }
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let groups = ["/apis/apps/v1/", "/apis/batch/v1/"];
    if [PODS, NODES, SECRETS, "/api/v1/events", "/api/v1/configmaps"].contains(&path.as_str())
        || groups.iter().any(|group| path.starts_with(group))
    {
        return server.collection(&path, &query);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match method {
        Method::GET => server.get(&path),
        Method::POST => {
            server.put(&format!("{path}/{}", body["metadata"]["name"].as_str().unwrap()), body, true)
        }
        _ => server.put(&path, body, false),
    }
}

fn status(code: StatusCode) -> Response {
    let body =
        json!({ "kind": "Status", "status": "Failure", "code": code.as_u16(), "message": code.to_string() });
    (code, body.to_string()).into_response()
}

impl Server {
    /// A Lease that an earlier leader gave back: nobody has to wait for one that was only just made.
    fn lease_was_given_back(&self) {
        let annotations = json!({ "nimbus.dev/term": "3", "nimbus.dev/leader": "" });
        let lease = json!({ "metadata": { "name": "nimbus-agent-watch", "annotations": annotations },
                            "spec": { "holderIdentity": "" } });
        self.put(LEASE, lease, true);
    }

    /// Waits until so many second pages were asked for.
    async fn second_pages(&self, so_many: usize) {
        let asked = async {
            while self.lists.lock().unwrap().iter().filter(|query| query.contains("continue=more")).count()
                < so_many
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
        asked.unwrap_or_else(|_| panic!("{:?}", self.lists.lock().unwrap()));
    }

    fn get(&self, path: &str) -> Response {
        match self.objects.lock().unwrap().get(path) {
            Some(object) => object.to_string().into_response(),
            None => status(StatusCode::NOT_FOUND),
        }
    }

    fn put(&self, path: &str, mut object: Value, new: bool) -> Response {
        let mut objects = self.objects.lock().unwrap();
        let there = objects.get(path);
        let stale =
            there.is_some_and(|o| o["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"]);
        if !new && there.is_none() {
            return status(StatusCode::NOT_FOUND);
        }
        if new && there.is_some() || !new && stale {
            return status(StatusCode::CONFLICT);
        }
        let mut version = self.version.lock().unwrap();
        *version += 1;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        objects.insert(path.to_owned(), object.clone());
        object.to_string().into_response()
    }

    fn collection(self: Arc<Self>, path: &str, query: &str) -> Response {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if self.forbidden.lock().unwrap().contains(path) {
            return status(StatusCode::FORBIDDEN);
        }
        if query.contains("watch=true") && self.unwatchable.lock().unwrap().contains(path) {
            return status(StatusCode::FORBIDDEN);
        }
        if query.contains("watch=true") {
            let events =
                if path == PODS { std::mem::take(&mut *self.events.lock().unwrap()) } else { Vec::new() };
            let lines: Vec<Result<String, std::io::Error>> =
                events.iter().map(|event| Ok(line(event))).collect();
            let pods = path == PODS;
            let expired = futures::stream::once(async move {
                if !pods {
                    std::future::pending::<()>().await;
                }
                self.expire.notified().await;
                Ok(line(&expired()))
            });
            return Body::from_stream(futures::StreamExt::chain(futures::stream::iter(lines), expired))
                .into_response();
        }
        if path == PODS {
            self.lists.lock().unwrap().push(query.to_owned());
        }
        if query.contains("continue=more") && self.breaks_off.load(std::sync::atomic::Ordering::SeqCst) {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let objects = self.collections.lock().unwrap().get(path).cloned().unwrap_or_default();
        let from = if query.contains("continue=more") { 2 } else { 0 };
        let page: Vec<_> = objects.iter().skip(from).take(2).cloned().collect();
        let more = if from == 0 && objects.len() > 2 { "more" } else { "" };
        let metadata = json!({ "resourceVersion": "100", "continue": more });
        json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": page })
            .to_string()
            .into_response()
    }
}

/// What a stream of cluster `c` under term 5 needs.
fn follow(
    client: kube::Client,
    observations: ObservationQueue,
    status: &Arc<SharedStatus>,
    resync: &watch::Sender<u64>,
    cancel: &CancellationToken,
) -> Follow {
    Follow {
        client,
        cluster_uid: "c".to_owned(),
        term: 5,
        observations,
        status: status.clone(),
        resync: resync.subscribe(),
        listings: Arc::default(),
        cordons: Arc::new(Cordons::default()),
        cancel: cancel.clone(),
    }
}

/// An event as an API server writes it: its type first.
fn line(event: &Value) -> String {
    format!("{{\"type\":{},\"object\":{}}}\n", event["type"], event["object"])
}

/// The end of a watch whose version the server does not have any more.
fn expired() -> Value {
    json!({ "type": "ERROR", "object": { "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired",
                                         "message": "too old resource version" } })
}

fn pod(number: u8, phase: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": format!("web-{number}"), "namespace": "shop", "resourceVersion": "7",
            "uid": format!("00000000-0000-0000-0000-0000000000{number:02x}"),
        },
        "status": { "phase": phase },
    })
}

fn say(body: Option<Seen>) -> String {
    match body {
        Some(Seen::Sync(mark)) => format!("{:?} {} {}", mark.phase(), mark.kind, mark.lease_term),
        Some(Seen::Pod(pod)) => format!("{} {}", pod.meta.unwrap().name, pod.phase),
        Some(Seen::Gone(gone)) => format!("gone {}", gone.uid.chars().last().unwrap()),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_tells_what_changed_and_lists_again_when_the_server_forgot() {
    let (client, server) = serve().await;
    server
        .collections
        .lock()
        .unwrap()
        .insert(PODS, vec![pod(1, "Running"), pod(2, "Pending"), pod(3, "Running")]);
    *server.events.lock().unwrap() = vec![
        json!({ "type": "MODIFIED", "object": pod(1, "Running") }),
        json!({ "type": "MODIFIED", "object": pod(2, "Running") }),
        json!({ "type": "DELETED", "object": pod(3, "Running") }),
        expired(),
    ];
    let (observations, mut items) = ObservationQueue::new();
    let resync = watch::Sender::new(0);
    let status = Arc::new(SharedStatus::new());
    let cancel = CancellationToken::new();
    let follow = follow(client, observations, &status, &resync, &cancel);
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
    let mut next = async || {
        let item =
            tokio::time::timeout(Duration::from_secs(10), items.recv()).await.expect("in time").unwrap();
        assert_eq!(item.observation.cluster_uid, "c");
        say(item.observation.body)
    };
    for expected in ["Begin Pod 5", "web-1 Running", "web-2 Pending", "web-3 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    // While it was away, web-1 vanished and web-4 came.
    server.collections.lock().unwrap().insert(PODS, vec![pod(2, "Running"), pod(4, "Pending")]);
    for expected in ["web-2 Running", "gone 3", "web-4 Pending", "gone 1"] {
        assert_eq!(next().await, expected);
    }
    assert!(status.status().problems.is_empty(), "a 410 is no problem: {:?}", status.status().problems);
    resync.send_replace(1);
    for expected in ["Begin Pod 5", "web-2 Running", "web-4 Pending", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    assert!(server.lists.lock().unwrap()[1].contains("continue=more"), "lists come in pages");

    // A UID that is no UUID cannot be told from what is kept of it: everything is listed again between marks.
    let mut odd = pod(5, "Running");
    odd["metadata"]["uid"] = json!("odd");
    server.collections.lock().unwrap().insert(PODS, vec![odd]);
    resync.send_replace(2);
    for expected in ["Begin Pod 5", "web-5 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    server.collections.lock().unwrap().insert(PODS, vec![pod(2, "Running")]);
    server.expire.notify_one();
    for expected in ["web-2 Running", "Begin Pod 5", "web-2 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    cancel.cancel();
    watching.await.unwrap();
}

/// Whatever such an event was about would be missing otherwise, in a kind that counts as known.
#[tokio::test]
async fn after_an_event_that_does_not_read_everything_is_listed_again() {
    for odd in [json!({ "metadata": 7 }), json!({ "metadata": { "name": "web-1" }, "status": 7 })] {
        let (client, server) = serve().await;
        server.collections.lock().unwrap().insert(PODS, vec![pod(1, "Running")]);
        *server.events.lock().unwrap() = vec![json!({ "type": "MODIFIED", "object": odd })];
        let (observations, _items) = ObservationQueue::new();
        let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
        let resync = watch::Sender::new(0);
        let follow = follow(client, observations, &status, &resync, &cancel);
        let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
        let again = async {
            while server.lists.lock().unwrap().len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), again).await.expect("it is listed again");
        cancel.cancel();
        watching.await.unwrap();
    }
}

/// What was listed once is not known any more when nobody may watch it: a node would fail unseen.
#[tokio::test]
async fn a_kind_that_may_be_listed_and_not_watched_is_not_known() {
    let (client, server) = serve().await;
    server.collections.lock().unwrap().insert(PODS, vec![pod(1, "Running")]);
    server.unwatchable.lock().unwrap().insert(PODS);
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let follow = follow(client, observations, &status, &resync, &cancel);
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
    let mut next = async || {
        let item = tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time");
        say(item.unwrap().observation.body)
    };
    for expected in ["Begin Pod 5", "web-1 Running", "End Pod 5", "Begin Pod 5"] {
        assert_eq!(next().await, expected);
    }
    let problems = status.status().problems.clone();
    assert!(problems.len() == 1 && problems[0].contains("lacks watch"), "{problems:?}");
    server.unwatchable.lock().unwrap().clear();
    for expected in ["Begin Pod 5", "web-1 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    assert!(status.status().problems.is_empty(), "it is over");
    // The right to list and to watch is withdrawn later.
    server.forbidden.lock().unwrap().insert(PODS);
    server.expire.notify_one();
    assert_eq!(next().await, "Begin Pod 5");
    let problems = status.status().problems.clone();
    assert!(problems.len() == 1 && problems[0].contains("of which it lacks"), "{problems:?}");
    // What the control plane holds may be from before that, when it asks for everything again.
    resync.send_replace(1);
    assert_eq!(next().await, "Begin Pod 5");
    server.forbidden.lock().unwrap().clear();
    for expected in ["Begin Pod 5", "web-1 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    cancel.cancel();
    watching.await.unwrap();
}

/// Which objects are gone is not known from a listing that broke off: the next one is begun anew, and each costs a longer
/// wait than the one before.
#[tokio::test]
async fn a_listing_that_breaks_off_is_begun_anew_between_marks() {
    let (client, server) = serve().await;
    let three = vec![pod(1, "Running"), pod(2, "Running"), pod(3, "Running")];
    server.collections.lock().unwrap().insert(PODS, three);
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let follow = follow(client, observations, &status, &resync, &cancel);
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
    let mut next = async || {
        let item = tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time");
        say(item.unwrap().observation.body)
    };
    for expected in ["Begin Pod 5", "web-1 Running", "web-2 Running", "web-3 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    server.breaks_off.store(true, std::sync::atomic::Ordering::SeqCst);
    server.expire.notify_one();
    // Nothing of the first one that breaks off is new; the next one tells everything that it comes to.
    for expected in ["Begin Pod 5", "web-1 Running", "web-2 Running"] {
        assert_eq!(next().await, expected);
    }
    server.second_pages(3).await;
    server.collections.lock().unwrap().insert(PODS, vec![pod(2, "Running"), pod(3, "Running")]);
    server.breaks_off.store(false, std::sync::atomic::Ordering::SeqCst);
    for expected in ["Begin Pod 5", "web-2 Running", "web-3 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    cancel.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_is_a_problem_and_no_other_kind_waits_for_it() {
    let (_, server) = serve().await;
    server.lease_was_given_back();
    // Secrets may always be withheld: that is no problem.
    server.forbidden.lock().unwrap().extend([NODES, SECRETS]);
    server.collections.lock().unwrap().insert(PODS, vec![pod(1, "Running")]);
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n",
        server.url
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let source = ClusterSource::Kubeconfig { path: Some(kubeconfig), context: None };
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let running = tokio::spawn(super::run(super::Watch {
        target: client::target(&source).await.unwrap().unwrap(),
        lease: LeaseSettings::default(),
        identity: "me".to_owned(),
        observations,
        status: status.clone(),
        handle: Arc::default(),
        resync: resync.subscribe(),
        cancel: cancel.clone(),
    }));
    let mut next = async || {
        let item =
            tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time").unwrap();
        say(item.observation.body)
    };
    // All kinds but these are listed whole: two marks each, and one pod.
    let withheld = [ObjectKind::Node, ObjectKind::Secret];
    let listed: Vec<ObjectKind> =
        ObjectKind::ALL.iter().copied().filter(|kind| !withheld.contains(kind)).collect();
    let mut told = BTreeSet::new();
    for _ in 0..=2 * listed.len() {
        told.insert(next().await.rsplit_once(' ').unwrap().0.to_owned());
    }
    let marks = listed.iter().map(|kind| [format!("Begin {kind}"), format!("End {kind}")]);
    let expected: BTreeSet<_> = marks.flatten().chain(["web-1".to_owned()]).collect();
    assert_eq!(told, expected);
    let mut changes = status.subscribe();
    let synced =
        tokio::time::timeout(Duration::from_secs(10), changes.wait_for(|status| status.synced)).await;
    let problems = synced.expect("synced for what may be listed").unwrap().problems.clone();
    assert_eq!(problems.len(), 1, "{problems:?}");
    for part in ["every Node", "403", "get, list and watch on nodes", "lacks list"] {
        assert!(problems[0].contains(part), "{part}: {problems:?}");
    }
    // Once it is granted, the kind is listed and the problem is gone.
    server.forbidden.lock().unwrap().clear();
    let mut told = BTreeSet::new();
    for _ in 0..2 * withheld.len() {
        told.insert(next().await.rsplit_once(' ').unwrap().0.to_owned());
    }
    assert_eq!(told, withheld.iter().flat_map(|k| [format!("Begin {k}"), format!("End {k}")]).collect());
    assert!(status.status().problems.is_empty());
    cancel.cancel();
    running.await.unwrap();
}
