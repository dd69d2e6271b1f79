//! `tests/scenes/busy_workload_is_scaled_out_and_in.md`

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::rig::metrics::CPU;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment, get, remove, with};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

/// The agent looks every half of a minute, metrics-server every sixth of one, and between two steps is a minute.
const SLOW: Duration = Duration::from_mins(4);

/// The Deployment `web` of two pods that use nine tenths of the CPU that they ask for, and that may be scaled out to so many.
pub(super) fn busy(scale_to: &str) -> Value {
    let asks = json!({"requests": {"cpu": "100m"}});
    let web = with(deployment("web", 2), "/spec/template/spec/containers/0/resources", asks);
    let web = with(web, "/metadata/labels", json!({"nimbus.dev/scale-to": scale_to}));
    annotated(web, (CPU, "90m"))
}

/// Waits until `web` has so many pods, all of them ready.
pub(super) async fn has(ground: &Ground, replicas: u64) -> anyhow::Result<()> {
    let what = format!("web to have {replicas} pods that are ready");
    let found = wait_for(&what, SLOW, || async {
        let web = get(&ground.work, &busy("6")).await?.context("web")?;
        let is = web["spec"]["replicas"] == replicas && web["status"]["readyReplicas"] == replicas;
        let open: Vec<String> = ground.incidents().await?.iter().map(|it| it["reason"].to_string()).collect();
        Ok(Seen::when(is.then_some(()), format!("{} {} {open:?}", web["spec"]["replicas"], web["status"])))
    });
    found.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}

/// Waits until an incident says that it is busy.
pub(super) async fn is_busy(ground: &Ground) -> anyhow::Result<()> {
    let found = wait_for("an incident that says that web is busy", SLOW, || async {
        let all = ground.incidents().await?;
        let found = all.iter().any(|it| it["kind"] == "load_high");
        Ok(Seen::when(found.then_some(()), format!("{} incidents", all.len())))
    });
    found.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &busy("6")).await?;
    work.wait_until_ready("web", LIMIT).await?;
    // Two at 90 % are three at 60 %.
    has(ground, 3).await?;
    let web = get(work, &busy("6")).await?.context("web")?;
    let scaled = web["metadata"]["annotations"]["nimbus.dev/scaled"].as_str().unwrap_or_default().to_owned();
    if !scaled.starts_with("2 3 ") {
        return Err(Wrong::Action(format!("it does not say what it had: {scaled:?}")).into());
    }
    if let Some(asked) = ground.approvals().await?.first() {
        return Err(Wrong::Action(format!("approval asked: {}", asked["summary"])).into());
    }
    let pods: Api<Pod> = Api::namespaced(work.client(), work.namespace());
    for pod in pods.list(&ListParams::default()).await? {
        let calm = Patch::Merge(json!({"metadata": {"annotations": {CPU: "10m"}}}));
        pods.patch(&pod.metadata.name.context("a name")?, &PatchParams::default(), &calm).await?;
    }
    has(ground, 2).await?;
    let web = get(work, &busy("6")).await?.context("web")?;
    let marks = [&web["metadata"]["annotations"]["nimbus.dev/scaled"], &web["metadata"]["labels"]["nimbus.dev/scaled-out"]];
    if marks.into_iter().any(|mark| !mark.is_null()) {
        return Err(Wrong::Action("it has what it had, and still says that it was scaled out".to_owned()).into());
    }
    ground.evicts_nothing().await?;
    remove(work, &busy("6")).await
}
