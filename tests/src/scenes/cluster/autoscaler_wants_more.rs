//! `tests/scenes/autoscaler_wants_more.md`

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::rig::metrics::CPU;
use crate::rig::workloads::Workloads;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment, get, remove, with};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

/// The Deployment `web` of three pods that use nine tenths of the CPU that they ask for.
pub(super) fn busy() -> Value {
    let asks = json!({"requests": {"cpu": "100m"}});
    let web = with(deployment("web", 3), "/spec/template/spec/containers/0/resources", asks);
    annotated(web, (CPU, "90m"))
}

/// The autoscaler of `web`, which aims at half of what its pods ask for, and may make three.
pub(super) fn autoscaler() -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    })
}

/// Waits until its own controller says that it would make more than it may.
pub(super) async fn held_back(work: &Workloads) -> anyhow::Result<()> {
    let autoscaler = autoscaler();
    // metrics-server reads twice, ten seconds apart, before it says anything of a pod.
    wait_for("the autoscaler to be held at its maximum", 2 * LIMIT, || async {
        let now = get(work, &autoscaler).await?.context("the autoscaler")?;
        let said = now["status"].to_string();
        Ok(Seen::when(said.contains("TooManyReplicas").then_some(()), said))
    })
    .await
}

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &busy()).await?;
    work.wait_until_ready("web", LIMIT).await?;
    apply(work, &autoscaler()).await?;
    held_back(work).await?;
    let asked = ground.asks().await?;
    ground.approve(&asked).await?;
    ground.job_ends(&asked, "succeeded").await?;
    let now = get(work, &autoscaler()).await?.context("the autoscaler")?;
    if now["spec"]["maxReplicas"] != 6 {
        return Err(Wrong::Action(format!("expected 6 replicas at most, twice as many: {}", now["spec"])).into());
    }
    let web = get(work, &busy()).await?.context("the Deployment")?;
    if web["status"]["readyReplicas"] != 6 {
        return Err(Wrong::Restraint(format!("expected 6 pods that are ready: {}", web["status"])).into());
    }
    ground.evicts_nothing().await?;
    remove(work, &autoscaler()).await
}
