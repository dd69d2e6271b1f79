//! Tests of StatefulSets on a real cluster: a crash-looping pod is replaced, and the recommended steps for an update
//! that waits for a broken pod really help.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use nimbus_tests::plane::QUICK;
use nimbus_tests::rig::workloads::{Fault, Workloads, is_ready};
use nimbus_tests::site::{PATIENCE, Site};
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::{Value, json};

/// Applies a StatefulSet `db` of two pods whose template carries these annotations.
async fn apply(workloads: &Workloads, annotations: Value) -> anyhow::Result<()> {
    let sets = Api::<StatefulSet>::namespaced(workloads.client(), workloads.namespace());
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {
            "replicas": 2,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}, "annotations": annotations},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "app", "image": "registry.example/db:1"}],
                },
            },
        },
    });
    sets.patch("db", &PatchParams::apply("rig").force(), &Patch::Apply(set)).await?;
    Ok(())
}

async fn pod(workloads: &Workloads, name: &str) -> anyhow::Result<Option<Pod>> {
    Ok(Api::<Pod>::namespaced(workloads.client(), workloads.namespace()).get_opt(name).await?)
}

async fn wait_until_ready(workloads: &Workloads) -> anyhow::Result<()> {
    wait_for("both pods of db to be ready", PATIENCE, || async {
        let mut ready = 0;
        for name in ["db-0", "db-1"] {
            ready += usize::from(pod(workloads, name).await?.is_some_and(|pod| is_ready(&pod)));
        }
        Ok(Seen::when((ready == 2).then_some(()), format!("{ready} ready")))
    })
    .await
}

async fn a_crash_looping_pod_is_made_again(site: &Site) -> anyhow::Result<()> {
    let workloads = site.cluster.workloads("stateful").await?;
    apply(&workloads, json!({})).await?;
    wait_until_ready(&workloads).await?;
    let before = pod(&workloads, "db-0").await?.unwrap().metadata.uid;
    workloads.break_pod("db-0", &Fault::Crash).await?;
    let incident = site.incident_in("pod_crash_loop", workloads.namespace(), "resolved").await?;
    let after = pod(&workloads, "db-0").await?.unwrap();
    assert!(is_ready(&after) && after.metadata.uid != before, "made again under the same name");
    assert_eq!(incident["owner"]["kind"], "StatefulSet", "{incident}");
    let jobs = site.jobs_of(&incident).await?;
    assert_eq!((jobs.len(), &jobs[0]["state"]), (1, &Value::from("succeeded")), "{jobs:?}");
    Ok(())
}

async fn the_steps_for_a_stuck_update_help(site: &Site) -> anyhow::Result<()> {
    let workloads = site.cluster.workloads("stuck-update").await?;
    apply(&workloads, json!({})).await?;
    wait_until_ready(&workloads).await?;
    let (key, value) = Fault::Crash.annotation();
    apply(&workloads, json!({ key: value })).await?;
    let incident = site.incident_in("stateful_set_stuck", workloads.namespace(), "escalated").await?;
    let reason = incident["reason"].as_str().unwrap_or_default();
    let namespace = workloads.namespace();
    let undo = format!("kubectl -n {namespace} rollout undo statefulset/db");
    let delete = format!("kubectl -n {namespace} delete pod db-1");
    assert!(reason.contains(&undo) && reason.contains(&delete), "{reason}");
    assert_eq!(site.jobs_of(&incident).await?, Vec::<Value>::new(), "nothing is done by itself");

    // The first step alone does not help, as the reason says; then only the second one is left.
    apply(&workloads, json!({})).await?;
    let says =
        |i: &Value| i["reason"].as_str().is_some_and(|r| r.contains("was put right") && !r.contains("undo"));
    site.incident_where("stateful_set_stuck", namespace, "put right", says).await?;
    let pods = Api::<Pod>::namespaced(workloads.client(), namespace);
    pods.delete("db-1", &DeleteParams::default()).await?;
    site.incident_in("stateful_set_stuck", namespace, "resolved").await?;
    wait_until_ready(&workloads).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stateful_sets_are_healed_where_a_new_pod_helps_and_explained_where_it_does_not() {
    let site = Site::start(None, QUICK).await.unwrap();
    site.enable().await.unwrap();
    a_crash_looping_pod_is_made_again(&site).await.unwrap();
    the_steps_for_a_stuck_update_help(&site).await.unwrap();
}
