//! How busy the workloads are that ask to be scaled out: while this replica leads, it asks for those with the label
//! `nimbus.dev/scale-to`, their pods, and what the cluster's metrics API measured of them.
//!
//! Where nothing asks for it, two small requests are all. What could not be read is a problem in the status, and is told as not measured: the
//! control plane concludes nothing from it. A cluster without a metrics API is no problem by itself; that a workload asks to be scaled
//! there is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::observe::kube::load::{LoadedPod, PodMetrics, SCALE_TO, SlimScaled};
use nimbus_platform::{jittered, now};
use nimbus_protocol::v1::{self, observation};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::pages::{all, label_selector};
use super::request::{self, RequestError};
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

/// Between two looks, with jitter up to half of it more: metrics-server reads each quarter of a minute.
const EVERY: Duration = Duration::from_secs(20);
/// Most workloads of each kind that are looked at; that there are more is a problem.
const MOST: usize = 50;
/// The problem that something of it could not be read.
pub(super) const PROBLEM: &str = "load";
/// Deployments, and StatefulSets.
const KINDS: [(&str, &str); 2] = [("Deployment", "deployments"), ("StatefulSet", "statefulsets")];

/// What the looks of one term need.
pub(super) struct Looks {
    pub(super) client: Client,
    pub(super) cluster_uid: String,
    pub(super) observations: ObservationQueue,
    pub(super) status: Arc<SharedStatus>,
    /// Ends them.
    pub(super) end: CancellationToken,
}

/// Looks until the term is over.
pub(super) async fn run(looks: Looks) {
    let Looks { client, cluster_uid, observations, status, end } = looks;
    // What was told of, to tell when it asks no more.
    let mut told: BTreeMap<String, v1::WorkloadLoad> = BTreeMap::new();
    loop {
        let look = async {
            let (seen, problem) = look(&client).await;
            status.problem(PROBLEM, problem);
            seen
        };
        let seen = tokio::select! {
            () = end.cancelled() => break,
            seen = look => seen,
        };
        // Where they could not be listed, nobody knows which of them are left.
        if let Some(seen) = seen {
            for load in ended(&told, &seen) {
                observations.observe(&cluster_uid, observation::Body::WorkloadLoad(load)).await;
            }
            for load in seen.values() {
                observations.observe(&cluster_uid, observation::Body::WorkloadLoad(load.clone())).await;
            }
            told = seen;
        }
        tokio::select! {
            () = end.cancelled() => break,
            () = tokio::time::sleep(jittered(EVERY)) => {}
        }
    }
    status.problem(PROBLEM, None);
}

/// Those of `before` that ask for nothing any more, as they are told then.
fn ended(
    before: &BTreeMap<String, v1::WorkloadLoad>,
    now: &BTreeMap<String, v1::WorkloadLoad>,
) -> Vec<v1::WorkloadLoad> {
    let gone = before.iter().filter(|(uid, _)| !now.contains_key(*uid));
    gone.map(|(_, last)| v1::WorkloadLoad { scale_to: 0, measured: 0, ..last.clone() }).collect()
}

/// One look: every workload that asks for it, by its UID; `None` where they could not be listed. And what stood in the way.
async fn look(client: &Client) -> (Option<BTreeMap<String, v1::WorkloadLoad>>, Option<String>) {
    let mut seen = BTreeMap::new();
    let mut problem = None;
    for (kind, resource) in KINDS {
        let path =
            format!("/apis/apps/v1/{resource}?labelSelector={}&limit={MOST}", request::escaped(SCALE_TO));
        let found: Value = match request::get(client, &path).await {
            Ok(found) => found,
            Err(error) => {
                let text = format!(
                    "expected the {resource} with the label {SCALE_TO}, found: {error}; whether they are busy is unknown until then"
                );
                return (None, Some(text));
            }
        };
        if found["metadata"]["continue"].as_str().is_some_and(|more| !more.is_empty()) {
            problem = Some(format!(
                "expected at most {MOST} {resource} with the label {SCALE_TO}, found more: whether the others are busy is unknown"
            ));
        }
        for object in found["items"].as_array().into_iter().flatten() {
            let Some(scaled) = SlimScaled::of(object) else { continue };
            let (load, trouble) = of(client, kind, &scaled).await;
            problem = problem.or(trouble);
            seen.insert(scaled.meta().uid.clone(), load);
        }
    }
    (Some(seen), problem)
}

/// What is told of one workload, and what stood in the way of more.
async fn of(client: &Client, kind: &str, scaled: &SlimScaled) -> (v1::WorkloadLoad, Option<String>) {
    let (namespace, name) = (&scaled.meta().namespace, &scaled.meta().name);
    let about = |what: &str| {
        format!("{kind} {namespace}/{name} asks to be scaled out, and how busy it is is unknown: {what}")
    };
    let Some(labels) = scaled.pod_labels() else {
        let problem = about("expected a selector of labels alone, found expressions, or none");
        return (scaled.load(kind, &[], &[], now()), Some(problem));
    };
    let selector = label_selector(labels);
    let pods = all::<LoadedPod>(client, "/api/v1", namespace, "pods", &selector).await;
    let pods = match pods {
        Ok(pods) => pods,
        Err(error) => {
            return (
                scaled.load(kind, &[], &[], now()),
                Some(about(&format!("expected its pods, found: {error}"))),
            );
        }
    };
    let measured =
        all::<PodMetrics>(client, "/apis/metrics.k8s.io/v1beta1", namespace, "pods", &selector).await;
    match measured {
        Ok(measured) => (scaled.load(kind, &pods, &measured, now()), None),
        Err(error) => {
            let what = match error {
                RequestError::Api { code: 404, .. } => {
                    "expected the cluster's metrics API (metrics.k8s.io), found none: install metrics-server"
                        .to_owned()
                }
                other => format!("expected what the metrics API measured of its pods, found: {other}"),
            };
            (scaled.load(kind, &pods, &[], now()), Some(about(&what)))
        }
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
