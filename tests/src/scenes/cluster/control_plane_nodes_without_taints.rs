//! `tests/scenes/control_plane_nodes_without_taints.md`

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apart, apply, deployment};
use crate::scenes::verdict::Wrong;

const NODES: [&str; 3] = ["node-0", "node-1", "node-2"];

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let nodes = Api::<Node>::all(ground.work.client());
    let judged = async {
        have_the_role(&nodes, &json!("")).await?;
        is_replaced_and_no_node_is_held(ground).await
    }
    .await;
    have_the_role(&nodes, &Value::Null).await?;
    judged
}

/// Gives every node the label of the control plane, or takes it away (null).
async fn have_the_role(nodes: &Api<Node>, label: &Value) -> anyhow::Result<()> {
    let role = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": label}}});
    for node in NODES {
        nodes.patch(node, &PatchParams::default(), &Patch::Merge(&role)).await?;
    }
    Ok(())
}

async fn is_replaced_and_no_node_is_held(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    // On workers the node would be held: the same template is well elsewhere, and a third node is free.
    apply(work, &apart(deployment("web", 2))).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.are_on_nodes("web", 2).await?;
    ground.soak().await;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.closes_no_node().await?;
    ground.ends_well().await?;
    ground.closes_no_node().await?;
    match ground.evictions().await? {
        1 => Ok(()),
        many => Err(Wrong::Action(format!("{many} evictions")).into()),
    }
}
