//! The looks against a stub API server with one Deployment that asks to be scaled out, its pods and what was measured of them.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;

/// What the stub answers.
#[derive(Clone)]
struct Site {
    deployments: Vec<Value>,
    /// The status of the answers of the metrics API, and of the lists of Deployments.
    metrics: u16,
    lists: u16,
    more: bool,
}

fn web(selector: &Value) -> Value {
    json!({
        "metadata": { "uid": "d", "name": "web", "namespace": "shop", "generation": 1, "labels": { SCALE_TO: "6" } },
        "spec": { "replicas": 1, "selector": selector },
        "status": { "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1 },
    })
}

fn site() -> Site {
    Site {
        deployments: vec![web(&json!({ "matchLabels": { "app": "web" } }))],
        metrics: 200,
        lists: 200,
        more: false,
    }
}

impl Site {
    fn answer(&self, uri: &str) -> (u16, Value) {
        let list = |items: Value| json!({ "kind": "List", "metadata": {}, "items": items });
        if uri.starts_with("/apis/apps/v1/statefulsets") {
            return (200, list(json!([])));
        }
        if uri.starts_with("/apis/apps/v1/deployments") {
            assert!(uri.contains("labelSelector=nimbus.dev%2Fscale-to"), "{uri}");
            let mut found = list(json!(self.deployments));
            if self.more {
                found["metadata"]["continue"] = json!("p");
            }
            return (self.lists, found);
        }
        assert!(uri.contains("/namespaces/shop/pods?") && uri.contains("labelSelector=app%3Dweb"), "{uri}");
        if uri.starts_with("/api/v1/") {
            let spec = json!({ "containers": [{ "resources": { "requests": { "cpu": "1" } } }] });
            return (
                200,
                list(
                    json!([{ "metadata": { "name": "a" }, "spec": spec, "status": { "phase": "Running" } }]),
                ),
            );
        }
        let measured = json!({ "metadata": { "name": "a" }, "timestamp": now().to_string(),
                               "containers": [{ "usage": { "cpu": "900m" } }] });
        (self.metrics, list(json!([measured])))
    }
}

async fn serve(site: &Arc<Mutex<Site>>) -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let site = site.clone();
    let answer = move |uri: http::Uri| {
        let (code, mut body) = site.lock().unwrap().answer(&uri.to_string());
        if code >= 400 {
            body = json!({ "kind": "Status", "status": "Failure", "message": "no", "code": code });
        }
        async move { (http::StatusCode::from_u16(code).unwrap(), body.to_string()) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut config = ::kube::Config::new(url.parse().unwrap());
    // As the agent's own: a 503 is an answer.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

async fn seen(site: Site) -> (Option<v1::WorkloadLoad>, String) {
    let site = Arc::new(Mutex::new(site));
    let (seen, problem) = look(&serve(&site).await).await;
    (seen.and_then(|mut seen| seen.remove("d")), problem.unwrap_or_default())
}

#[tokio::test]
async fn what_asks_for_it_is_told_with_what_its_pods_use() {
    let (load, problem) = seen(site()).await;
    let load = load.unwrap();
    assert_eq!(
        (load.kind.as_str(), load.pods, load.measured, load.used_milli, load.asked_milli),
        ("Deployment", 1, 1, 900, 1_000)
    );
    assert_eq!((load.scale_to, problem.as_str()), (6, ""));
    let (load, problem) = seen(Site { deployments: Vec::new(), metrics: 404, ..site() }).await;
    assert_eq!((load, problem.as_str()), (None, ""), "where nothing asks for it nothing is missing");
}

/// Absent is unknown, and never zero.
#[tokio::test]
async fn what_cannot_be_read_is_a_problem_and_told_as_not_measured() {
    for (metrics, words) in [(404, "install metrics-server"), (503, "503"), (403, "403")] {
        let (load, problem) = seen(Site { metrics, ..site() }).await;
        let load = load.unwrap();
        assert_eq!((load.pods, load.measured), (1, 0), "{metrics}");
        assert!(
            problem.contains("Deployment shop/web asks to be scaled out") && problem.contains(words),
            "{problem}"
        );
    }
    let by_expressions = web(&json!({ "matchExpressions": [{ "key": "app", "operator": "Exists" }] }));
    let (load, problem) = seen(Site { deployments: vec![by_expressions], ..site() }).await;
    assert_eq!(load.unwrap().pods, 0);
    assert!(problem.contains("labels alone"), "{problem}");
    let (load, problem) = seen(Site { lists: 403, ..site() }).await;
    assert!(
        load.is_none() && problem.contains("the deployments with the label nimbus.dev/scale-to"),
        "{problem}"
    );
    let (_, problem) = seen(Site { more: true, ..site() }).await;
    assert!(problem.contains("at most 50 deployments"), "{problem}");
}

#[tokio::test]
async fn what_asks_for_it_no_more_is_told_once() {
    let site = Arc::new(Mutex::new(site()));
    let client = serve(&site).await;
    let (observations, mut items) = ObservationQueue::new();
    let (status, end) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let looks = Looks { client, cluster_uid: "c".to_owned(), observations, status, end: end.clone() };
    let running = tokio::spawn(run(looks));
    let first = tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time").unwrap();
    let Some(observation::Body::WorkloadLoad(load)) = first.observation.body else { panic!("a load") };
    assert_eq!(load.scale_to, 6);
    end.cancel();
    running.await.unwrap();
    let before = BTreeMap::from([("d".to_owned(), load)]);
    let ended = ended(&before, &BTreeMap::new());
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].scale_to, ended[0].measured), (0, 0));
    assert!(super::ended(&before, &before).is_empty());
}
