//! `tests/scenes/kured_marks_a_held_node.md`

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::rig::workloads::Fault;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment, with};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

const NODE: &str = "node-0";

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    let web = with(deployment("web", 3), "/spec/template/spec/topologySpreadConstraints", spread);
    // The new pod takes its time, so that the node is held for as long.
    let web = annotated(web, ("rig.nimbus.dev/stop-delay", "4s"));
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let pods = work.pods("web").await?;
    let there = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(NODE));
    let pod =
        pods.iter().find(there).and_then(|pod| pod.metadata.name.as_deref()).context("a pod on the node")?;
    work.break_pod(pod, &Fault::Crash).await?;
    let nodes = Api::<Node>::all(work.client());
    let ended = marked_while_held(&nodes).await;
    let open = json!({
        "metadata": {"annotations": {"weave.works/kured-reboot-in-progress": Value::Null}},
        "spec": {"unschedulable": false},
    });
    nodes.patch(NODE, &PatchParams::default(), &Patch::Merge(open)).await?;
    ended
}

async fn marked_while_held(nodes: &Api<Node>) -> anyhow::Result<()> {
    let held = wait_for("Nimbus to hold the node", LIMIT, || async {
        let node = serde_json::to_string(&nodes.get(NODE).await?)?;
        Ok(Seen::when(is_held(&node).then_some(()), "no mark"))
    });
    held.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
    let kured = json!({
        "metadata": {"annotations": {"weave.works/kured-reboot-in-progress": "now"}},
        "spec": {"unschedulable": true},
    });
    nodes.patch(NODE, &PatchParams::default(), &Patch::Merge(kured)).await?;
    let dropped = wait_for("Nimbus to drop its mark", LIMIT, || async {
        let node = serde_json::to_string(&nodes.get(NODE).await?)?;
        Ok(Seen::when((!is_held(&node)).then_some(()), node))
    });
    dropped.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let node = nodes.get(NODE).await?;
    match node.spec.and_then(|spec| spec.unschedulable) {
        Some(true) => Ok(()),
        _ => Err(Wrong::Action("the node that kured closed was opened".to_owned()).into()),
    }
}

/// A mark of Nimbus, whatever its form.
fn is_held(node: &str) -> bool {
    node.contains("nimbus.dev/cordoned-by") || node.contains("nimbus.dev/held")
}
