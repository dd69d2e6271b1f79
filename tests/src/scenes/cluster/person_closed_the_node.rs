//! `tests/scenes/person_closed_the_node.md`

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 3)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let pods = work.pods("web").await?;
    let first = pods.first().context("a pod")?;
    let node = first.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("a node")?;
    let nodes = Api::<Node>::all(work.client());
    let closed = |value: bool| Patch::Merge(json!({"spec": {"unschedulable": value}}));
    nodes.patch(&node, &PatchParams::default(), &closed(true)).await?;
    let ended =
        evicted_and_left(ground, first.metadata.name.as_deref().context("a name")?, &nodes, &node).await;
    nodes.patch(&node, &PatchParams::default(), &closed(false)).await?;
    ended
}

async fn evicted_and_left(
    ground: &Ground,
    victim: &str,
    nodes: &Api<Node>,
    node: &str,
) -> anyhow::Result<()> {
    ground.break_pod(victim).await?;
    ground.replaces("web", victim).await?;
    ground.ends_well().await?;
    ground.closes_no_node().await?;
    let now = nodes.get(node).await?;
    if now.spec.and_then(|spec| spec.unschedulable) == Some(true) {
        return Ok(());
    }
    Err(Wrong::Action("the person's cordon is gone".to_owned()).into())
}
