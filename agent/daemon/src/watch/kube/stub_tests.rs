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
use nimbus_agent_core::observe::kube::{SlimCertificate, SlimPod};
use nimbus_platform::since_boot;
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
mod streams;

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
    /// Cuts the connection of a watch of pods that hangs.
    cut: tokio::sync::Notify,
    /// How many watches of pods were begun.
    watches: std::sync::atomic::AtomicUsize,
    /// The second page of a list fails.
    breaks_off: std::sync::atomic::AtomicBool,
    /// The queries of all lists of pods.
    lists: Mutex<Vec<String>>,
    /// Collections are answered with an error of the server's own.
    broken: std::sync::atomic::AtomicBool,
    /// Lists of pods alone are answered so.
    is_unlisted: std::sync::atomic::AtomicBool,
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
    let groups = [
        "/apis/apps/v1/",
        "/apis/batch/v1/",
        "/apis/policy/v1/",
        "/apis/storage.k8s.io/v1/",
        "/apis/autoscaling/v2/",
        "/api/v1/persistentvolume",
    ];
    if [PODS, NODES, SECRETS, "/api/v1/events", "/api/v1/configmaps"].contains(&path.as_str())
        || groups.iter().any(|group| path.starts_with(group))
        || server.collections.lock().unwrap().contains_key(path.as_str())
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
            self.watches.fetch_add(usize::from(pods), std::sync::atomic::Ordering::SeqCst);
            let expired = futures::stream::once(async move {
                if !pods {
                    std::future::pending::<()>().await;
                }
                tokio::select! {
                    () = self.expire.notified() => Ok(line(&expired())),
                    () = self.cut.notified() => Err(std::io::Error::other("cut")),
                }
            });
            return Body::from_stream(futures::StreamExt::chain(futures::stream::iter(lines), expired))
                .into_response();
        }
        if path == PODS {
            if self.is_unlisted.load(std::sync::atomic::Ordering::SeqCst) {
                return status(StatusCode::SERVICE_UNAVAILABLE);
            }
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
        quiet: stream::QUIET,
        installed: stream::INSTALLED,
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
