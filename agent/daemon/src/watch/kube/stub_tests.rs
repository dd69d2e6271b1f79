//! The election and a watch against an API server in miniature: lists in pages, a watch that ends in 410, leases with
//! resource versions. What only a real cluster shows is tested with a real one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use nimbus_agent_core::observe::kube::SlimPod;
use nimbus_protocol::v1::observation::Body as Seen;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cordons::Cordons;
use super::lease::{Elector, Leadership};
use super::stream::{self, Follow};
use crate::config::LeaseSettings;
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

#[derive(Default)]
struct Server {
    /// Objects by path.
    objects: Mutex<BTreeMap<String, Value>>,
    version: Mutex<u64>,
    /// Pods that a list shows, two to a page.
    pods: Mutex<Vec<Value>>,
    /// What the next watch says before it hangs.
    events: Mutex<Vec<Value>>,
    lists: Mutex<Vec<String>>,
}

async fn serve() -> (kube::Client, Arc<Server>) {
    let server = Arc::<Server>::default();
    let app = Router::new().fallback(answer).with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut config = kube::Config::new(url.parse().unwrap());
    config.default_retry = false;
    (kube::Client::try_from(config).unwrap(), server)
}

async fn answer(State(server): State<Arc<Server>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    if path == "/api/v1/pods" {
        return server.pods(&query);
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
        if new && there.is_some() || !new && (there.is_none() || stale) {
            return status(StatusCode::CONFLICT);
        }
        let mut version = self.version.lock().unwrap();
        *version += 1;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        objects.insert(path.to_owned(), object.clone());
        object.to_string().into_response()
    }

    fn pods(&self, query: &str) -> Response {
        if query.contains("watch=true") {
            let events = std::mem::take(&mut *self.events.lock().unwrap());
            let lines: Vec<Result<String, std::io::Error>> =
                events.iter().map(|e| Ok(format!("{e}\n"))).collect();
            let hang = futures::stream::pending();
            return Body::from_stream(futures::StreamExt::chain(futures::stream::iter(lines), hang))
                .into_response();
        }
        self.lists.lock().unwrap().push(query.to_owned());
        let pods = self.pods.lock().unwrap();
        let from = if query.contains("continue=more") { 2 } else { 0 };
        let page: Vec<_> = pods.iter().skip(from).take(2).cloned().collect();
        let more = if from == 0 && pods.len() > 2 { "more" } else { "" };
        let metadata = json!({ "resourceVersion": "100", "continue": more });
        json!({ "kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": page })
            .to_string()
            .into_response()
    }
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
    *server.pods.lock().unwrap() = vec![pod(1, "Running"), pod(2, "Pending"), pod(3, "Running")];
    *server.events.lock().unwrap() = vec![
        json!({ "type": "MODIFIED", "object": pod(1, "Running") }),
        json!({ "type": "MODIFIED", "object": pod(2, "Running") }),
        json!({ "type": "DELETED", "object": pod(3, "Running") }),
        json!({ "type": "ERROR", "object": { "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired",
                                             "message": "too old resource version" } }),
    ];
    let (outbox, mut items) = ObservationQueue::new();
    let resync = watch::Sender::new(0);
    let board = Arc::new(SharedStatus::new());
    let cancel = CancellationToken::new();
    let follow = Follow {
        client,
        cluster_uid: "c".to_owned(),
        term: 5,
        outbox,
        board: board.clone(),
        resync: resync.subscribe(),
        synced: Arc::default(),
        cordons: Arc::new(Cordons::default()),
        cancel: cancel.clone(),
    };
    let watching = tokio::spawn(stream::run::<SlimPod>(follow));
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
    *server.pods.lock().unwrap() = vec![pod(2, "Running"), pod(4, "Pending")];
    for expected in ["web-2 Running", "gone 3", "web-4 Pending", "gone 1"] {
        assert_eq!(next().await, expected);
    }
    assert!(board.status().problems.is_empty(), "a 410 is no problem: {:?}", board.status().problems);
    resync.send_replace(1);
    for expected in ["Begin Pod 5", "web-2 Running", "web-4 Pending", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    assert!(server.lists.lock().unwrap()[1].contains("continue=more"), "lists come in pages");
    cancel.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn two_replicas_never_lead_at_once_and_the_second_follows_a_dead_first() {
    let (client, server) = serve().await;
    let namespace = json!({ "metadata": { "name": "kube-system" } });
    server.objects.lock().unwrap().insert("/api/v1/namespaces/kube-system".to_owned(), namespace);
    let settings = LeaseSettings { duration: Duration::from_secs(2), ..LeaseSettings::default() };
    let replica = |name: &str| {
        let out = Arc::new(watch::Sender::new(Leadership::Unknown));
        let cancel = CancellationToken::new();
        let elector = Elector::new(
            client.clone(),
            settings.clone(),
            name.to_owned(),
            out.clone(),
            Arc::new(SharedStatus::new()),
        );
        (out, cancel.clone(), tokio::spawn(elector.run(cancel)))
    };
    let leading = async |out: &watch::Sender<Leadership>| {
        let mut seen = out.subscribe();
        let leads = |now: &Leadership| now.term(Instant::now()).is_some();
        let led = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(leads)).await;
        led.expect("nobody leads").unwrap().term(Instant::now()).unwrap()
    };
    let (first, _, dying) = replica("first");
    let term = leading(&first).await;
    let (second, end, ending) = replica("second");
    let mut standby = second.subscribe();
    standby.wait_for(|now| *now == Leadership::Standby).await.unwrap();
    // Killed: the lease is not given back.
    dying.abort();
    let next = leading(&second).await;
    assert!(next > term, "{next} follows {term}");
    assert_eq!(first.borrow().term(Instant::now()), None, "the dead one's lease ended before");

    // A clean end gives it back: the third need not wait for it to run out.
    end.cancel();
    ending.await.unwrap();
    let started = Instant::now();
    let (third, stop, last) = replica("third");
    assert!(leading(&third).await > next);
    assert!(started.elapsed() < settings.duration, "it waited {:?}", started.elapsed());
    stop.cancel();
    last.await.unwrap();
}

#[tokio::test]
async fn a_leader_that_the_control_plane_turned_away_makes_room_and_competes_again_once_it_is_let_in() {
    let (client, server) = serve().await;
    let namespace = json!({ "metadata": { "name": "kube-system" } });
    server.objects.lock().unwrap().insert("/api/v1/namespaces/kube-system".to_owned(), namespace);
    // So long that nobody leads in this test because a lease ran out.
    let settings = LeaseSettings { duration: Duration::from_mins(2), ..LeaseSettings::default() };
    let replica = |name: &str| {
        let (out, board) = (Arc::new(watch::Sender::new(Leadership::Unknown)), Arc::new(SharedStatus::new()));
        let cancel = CancellationToken::new();
        let elector =
            Elector::new(client.clone(), settings.clone(), name.to_owned(), out.clone(), board.clone());
        (out, board, tokio::spawn(elector.run(cancel.clone())), cancel)
    };
    let leading = async |out: &watch::Sender<Leadership>| {
        let mut seen = out.subscribe();
        let leads = |now: &Leadership| now.term(Instant::now()).is_some();
        let led = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(leads)).await;
        drop(led.expect("nobody leads").unwrap());
    };
    let (first, board, task, _end) = replica("first");
    leading(&first).await;
    board.update(|status| status.turned_away = true);
    let (second, _, other, stop) = replica("second");
    leading(&second).await;
    assert_eq!(first.borrow().term(Instant::now()), None);
    stop.cancel();
    other.await.unwrap();
    board.update(|status| status.turned_away = false);
    leading(&first).await;
    task.abort();
}
