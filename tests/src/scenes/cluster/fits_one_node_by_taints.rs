//! `tests/scenes/fits_one_node_by_taints.md`

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let nodes = Api::<Node>::all(ground.work.client());
    let taint = json!([{"key": "pool", "value": "graphics", "effect": "NoSchedule"}]);
    for node in ["node-0", "node-2"] {
        let patch = Patch::Merge(json!({"spec": {"taints": taint}}));
        nodes.patch(node, &PatchParams::default(), &patch).await?;
    }
    let judged = replaced_in_place(ground).await;
    for node in ["node-0", "node-2"] {
        let patch = Patch::Merge(json!({"spec": {"taints": Value::Null}}));
        nodes.patch(node, &PatchParams::default(), &patch).await?;
    }
    judged
}

async fn replaced_in_place(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 2)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.closes_no_node().await?;
    let incident = ground.ends_well().await?;
    ground.promises_no_other_node(&incident)
}
