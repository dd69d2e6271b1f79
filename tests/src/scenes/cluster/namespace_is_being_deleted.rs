//! `tests/scenes/namespace_is_being_deleted.md`

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use crate::rig::Component;
use crate::scenes::ground::{Ground, LIMIT, told};
use crate::scenes::objects::{apply, budget, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    // Until the namespace goes, this budget keeps the pod where it is.
    apply(work, &budget("web-guard", "web", json!({"maxUnavailable": 0}))).await?;
    ground.break_one("web").await?;
    ground.says(&["web-guard"]).await?;
    let cluster = &ground.stage.cluster;
    // The controllers would ask the pods to end at once; a namespace with much in it waits for them for a while.
    cluster.stop_component(Component::ControllerManager)?;
    let judged = leaves_it(ground).await;
    cluster.start_component(Component::ControllerManager)?;
    judged?;
    ground.ends_all().await?;
    ground.is_untouched().await
}

/// The namespace is being deleted, its pod still crash-loops, and no budget is in the way any more.
async fn leaves_it(ground: &Ground) -> anyhow::Result<()> {
    ground.delete_namespace().await?;
    let budgets = Api::<PodDisruptionBudget>::namespaced(ground.work.client(), ground.namespace());
    budgets.delete("web-guard", &DeleteParams::default()).await?;
    let names_the_deletion = |i: &Value| {
        let text = told(i);
        let said = ["is being deleted", "because it is being terminated"];
        i["state"] != "resolved" && said.iter().any(|words| text.contains(*words))
    };
    let said = ground.incident("an incident whose reason is the deletion", names_the_deletion).await;
    // What was done counts for more than what was not said.
    ground.refrains().await?;
    // The situation stood for all that time.
    ground.crash_loops("web", 1).await?;
    said.map(drop)
}
