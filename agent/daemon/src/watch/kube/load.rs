//! How busy the workloads are that ask to be scaled out: while this replica leads, it asks for those with the label
//! `nimbus.dev/scale-to`, and those that Nimbus scaled out, their pods, and what the cluster's metrics API measured of them.
//!
//! Where nothing asks for it, four small requests are all. What could not be read is a problem in the status, and is told as not measured: the
//! control plane concludes nothing from it. A cluster without a metrics API is no problem by itself; that a workload asks to be scaled
//! there is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::observe::kube::load::{LoadedPod, MOST, PodMetrics, SCALE_TO, SCALED_OUT, SlimScaled};
use nimbus_platform::{jittered, now};
use nimbus_protocol::v1::{self, observation};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::pages::{all, label_selector};
use super::request::{self, RequestError};
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

/// Between two looks, with jitter up to half of it more: metrics-server reads each quarter of a minute.
pub(super) const EVERY: Duration = Duration::from_secs(20);
/// Most workloads of each kind and label that are looked at; that there are more is a problem.
const MOST_WORKLOADS: usize = 50;
/// The problem that something of it could not be read.
const PROBLEM: &str = "load";
/// Deployments, and StatefulSets.
const KINDS: [(&str, &str); 2] = [("Deployment", "deployments"), ("StatefulSet", "statefulsets")];
/// What asks for it, and what Nimbus gives back once it is calm.
const LABELS: [&str; 2] = [SCALE_TO, SCALED_OUT];

/// What the looks of one term need.
pub(super) struct Looks {
    pub(super) client: Client,
    pub(super) cluster_uid: String,
    pub(super) observations: ObservationQueue,
    pub(super) status: Arc<SharedStatus>,
    /// Between two of them; [`EVERY`].
    pub(super) every: Duration,
    /// Ends them.
    pub(super) end: CancellationToken,
}

/// Looks until the term is over.
pub(super) async fn run(looks: Looks) {
    // What was told of, to tell when it asks no more.
    let mut told: BTreeMap<String, v1::WorkloadLoad> = BTreeMap::new();
    loop {
        tokio::select! {
            () = looks.end.cancelled() => break,
            () = looks.look(&mut told) => {}
        }
        tokio::select! {
            () = looks.end.cancelled() => break,
            () = tokio::time::sleep(jittered(looks.every)) => {}
        }
    }
    looks.status.problem(PROBLEM, None);
}

/// What one look found to ask for it.
#[derive(Default)]
struct Asking {
    /// By their UIDs: of which kind, and as the API server has them.
    all: BTreeMap<String, (&'static str, Value)>,
    /// Is that every one of them?
    is_whole: bool,
    problem: Option<String>,
}

impl Looks {
    /// One look: each workload is told as soon as it was read, so that what is told is of then.
    async fn look(&self, told: &mut BTreeMap<String, v1::WorkloadLoad>) {
        let mut asking = asking(&self.client).await;
        for (uid, (kind, object)) in &asking.all {
            let Some(scaled) = SlimScaled::of(object) else {
                // It is there: it is not told to ask for nothing any more.
                asking.is_whole = false;
                asking.problem.get_or_insert_with(|| {
                    format!("expected a {kind}, found one that cannot be read: {uid}")
                });
                continue;
            };
            let (load, problem) = of(&self.client, kind, &scaled, object).await;
            asking.problem = asking.problem.take().or(problem);
            self.tell(load.clone()).await;
            told.insert(uid.clone(), load);
        }
        if asking.is_whole {
            for load in ended(told, &asking.all) {
                self.tell(load).await;
            }
            told.retain(|uid, _| asking.all.contains_key(uid));
        }
        self.status.problem(PROBLEM, asking.problem);
    }

    async fn tell(&self, load: v1::WorkloadLoad) {
        self.observations.observe(&self.cluster_uid, observation::Body::WorkloadLoad(load)).await;
    }
}

/// Those of `before` that ask for nothing any more, as they are told then.
fn ended(
    before: &BTreeMap<String, v1::WorkloadLoad>,
    now: &BTreeMap<String, (&'static str, Value)>,
) -> Vec<v1::WorkloadLoad> {
    let gone = before.iter().filter(|(uid, _)| !now.contains_key(*uid));
    gone.map(|(_, last)| {
        let (scale_to, measured) = (0, 0);
        v1::WorkloadLoad { scale_to, measured, scaled_from: 0, scaled_to: 0, ..last.clone() }
    })
    .collect()
}

/// Every workload that asks for it, or that Nimbus scaled out, from the API server's memory and not from its database, which would read all
/// workloads of the cluster for it. From there a limit is not heeded.
async fn asking(client: &Client) -> Asking {
    let mut found = Asking { is_whole: true, ..Asking::default() };
    for (kind, resource) in KINDS {
        for label in LABELS {
            let path = format!(
                "/apis/apps/v1/{resource}?labelSelector={}&limit={MOST_WORKLOADS}&resourceVersion=0",
                request::escaped(label)
            );
            let list: Value = match request::get(client, &path).await {
                Ok(list) => list,
                Err(error) => {
                    found.is_whole = false;
                    found.problem.get_or_insert(format!(
                        "expected the {resource} with the label {label}, found: {error}; whether they are busy is unknown until then"
                    ));
                    continue;
                }
            };
            let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_cut = list["metadata"]["continue"].as_str().is_some_and(|more| !more.is_empty());
            if is_cut || items.len() > MOST_WORKLOADS {
                found.is_whole = false;
                found.problem.get_or_insert(format!(
                    "expected at most {MOST_WORKLOADS} {resource} with the label {label}, found more: whether the others are busy is unknown"
                ));
            }
            for object in items.iter().take(MOST_WORKLOADS) {
                if let Some(uid) = object["metadata"]["uid"].as_str() {
                    found.all.insert(uid.to_owned(), (kind, object.clone()));
                }
            }
        }
    }
    found
}

/// What is told of one workload, and what stood in the way of more.
async fn of(
    client: &Client,
    kind: &str,
    scaled: &SlimScaled,
    object: &Value,
) -> (v1::WorkloadLoad, Option<String>) {
    let (namespace, name) = (&scaled.meta().namespace, &scaled.meta().name);
    let about = |what: &str| {
        Some(format!(
            "{kind} {namespace}/{name} asks to be scaled out, and how busy it is is unknown: {what}"
        ))
    };
    let unread = |problem: Option<String>| (scaled.load(kind, &[], &[], now()), problem);
    // What it was given before it gets back all the same, for which it has to be known how busy it is.
    let misread = SlimScaled::misread(object).map(|text| {
        format!("expected a number from 1 to {MOST} in the label {SCALE_TO} of {kind} {namespace}/{name}, found {text:?}: it is not scaled out")
    });
    let Some(labels) = scaled.pod_labels() else {
        return unread(about("expected a selector of labels alone, found expressions, or none"));
    };
    let selector = label_selector(labels);
    let pods = match all::<LoadedPod>(client, "/api/v1", namespace, "pods", &selector).await {
        Ok(pods) => pods,
        Err(error) => return unread(about(&format!("expected its pods, found: {error}"))),
    };
    match all::<PodMetrics>(client, "/apis/metrics.k8s.io/v1beta1", namespace, "pods", &selector).await {
        Ok(measured) => (scaled.load(kind, &pods, &measured, now()), misread),
        Err(error) => {
            let what = match error {
                RequestError::Api { code: 404, .. } => {
                    "expected the cluster's metrics API (metrics.k8s.io), found none: install metrics-server"
                        .to_owned()
                }
                other => format!("expected what the metrics API measured of its pods, found: {other}"),
            };
            (scaled.load(kind, &pods, &[], now()), about(&what))
        }
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
