//! The looks against a stub API server with one Deployment that asks to be scaled out, its pods and what was measured of them.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;

/// What the stub answers.
#[derive(Clone)]
struct Site {
    deployments: Vec<Value>,
    /// Those with the label that Nimbus puts on.
    scaled_out: Vec<Value>,
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
        scaled_out: Vec::new(),
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
            let scaled_out = uri.contains("labelSelector=nimbus.dev%2Fscaled-out&");
            assert!(scaled_out || uri.contains("labelSelector=nimbus.dev%2Fscale-to&"), "{uri}");
            let mut found = list(json!(if scaled_out { &self.scaled_out } else { &self.deployments }));
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

/// What looks at this site need, and where what they tell goes.
async fn looks(
    site: &Arc<Mutex<Site>>,
) -> (Looks, tokio::sync::mpsc::Receiver<crate::observation_queue::QueuedObservation>) {
    let (observations, items) = ObservationQueue::new();
    let looks = Looks {
        client: serve(site).await,
        cluster_uid: "c".to_owned(),
        observations,
        status: Arc::new(SharedStatus::new()),
        every: Duration::from_millis(10),
        end: CancellationToken::new(),
    };
    (looks, items)
}

/// What one look tells of `web`, and what stood in its way.
async fn seen(site: Site) -> (Option<v1::WorkloadLoad>, String) {
    let (looks, _items) = looks(&Arc::new(Mutex::new(site))).await;
    let mut told = BTreeMap::new();
    looks.look(&mut told).await;
    (told.remove("d"), looks.status.status().problems.join("; "))
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
    // From its memory the API server gives all of them.
    let many = (0..60).map(|n| {
        let mut one = web(&json!({ "matchLabels": { "app": "web" } }));
        one["metadata"]["uid"] = json!(format!("d{n}"));
        one
    });
    let (looks, _items) = looks(&Arc::new(Mutex::new(Site { deployments: many.collect(), ..site() }))).await;
    let mut told = BTreeMap::new();
    looks.look(&mut told).await;
    assert_eq!(told.len(), 50);
    assert!(looks.status.status().problems[0].contains("at most 50 deployments"));
}

/// What was given to it goes back later also where it asks for nothing any more.
#[tokio::test]
async fn what_was_scaled_out_is_looked_at_without_its_label() {
    let mut out = web(&json!({ "matchLabels": { "app": "web" } }));
    out["metadata"]["labels"] = json!({ SCALED_OUT: "true" });
    out["metadata"]["annotations"] = json!({ "nimbus.dev/scaled": "1 2 2026-12-01T11:00:00Z d" });
    let (load, problem) = seen(Site { deployments: Vec::new(), scaled_out: vec![out], ..site() }).await;
    let load = load.unwrap();
    assert_eq!((load.scale_to, load.scaled_from, load.scaled_to, load.measured), (0, 1, 2, 1));
    assert_eq!(problem, "");
}

#[tokio::test]
async fn a_label_that_is_no_number_is_a_problem() {
    let mut odd = web(&json!({ "matchLabels": { "app": "web" } }));
    odd["metadata"]["labels"][SCALE_TO] = json!("2000");
    let (load, problem) = seen(Site { deployments: vec![odd], ..site() }).await;
    assert_eq!(load.unwrap().scale_to, 0);
    assert!(problem.contains("a number from 1 to 1000") && problem.contains("2000"), "{problem}");
}

#[tokio::test]
async fn what_asks_for_it_no_more_is_told_and_what_only_cannot_be_listed_is_not() {
    let site = Arc::new(Mutex::new(site()));
    let (looks, mut items) = looks(&site).await;
    let (end, status) = (looks.end.clone(), looks.status.clone());
    let running = tokio::spawn(run(looks));
    let mut next = async || {
        let item =
            tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time").unwrap();
        match item.observation.body {
            Some(observation::Body::WorkloadLoad(load)) => load.scale_to,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(next().await, 6);
    // The list is cut, or refused: nobody knows whether it is left.
    for (more, lists) in [(true, 200), (false, 503)] {
        {
            let mut site = site.lock().unwrap();
            (site.more, site.lists) = (more, lists);
            site.deployments.clear();
        }
        let mut problems = status.subscribe();
        let said = problems.wait_for(|status| !status.problems.is_empty());
        drop(tokio::time::timeout(Duration::from_secs(20), said).await.expect("in time").unwrap());
        {
            let mut site = site.lock().unwrap();
            (site.more, site.lists) = (false, 200);
            site.deployments = vec![web(&json!({ "matchLabels": { "app": "web" } }))];
        }
        let mut problems = status.subscribe();
        let said = problems.wait_for(|status| status.problems.is_empty());
        drop(tokio::time::timeout(Duration::from_secs(20), said).await.expect("in time").unwrap());
        assert_eq!(next().await, 6);
    }
    site.lock().unwrap().deployments.clear();
    while next().await != 0 {}
    end.cancel();
    running.await.unwrap();
}
