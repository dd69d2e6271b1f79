//! `tests/scenes/kured_marks_a_held_node.md`

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::rig::workloads::{Fault, is_ready};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, spread, with};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

const NODE: &str = "node-0";

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    // A new pod is bound when the scene opens its gate: for so long the node is held.
    let gate = json!([{"name": "rig.nimbus.dev/gate"}]);
    let web = with(spread(deployment("web", 3)), "/spec/template/spec/schedulingGates", gate);
    apply(work, &web).await?;
    are_let_in(ground).await?;
    ground.soak().await;
    let pods = work.pods("web").await?;
    let there = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(NODE));
    let pod =
        pods.iter().find(there).and_then(|pod| pod.metadata.name.as_deref()).context("a pod on the node")?;
    work.break_pod(pod, &Fault::Crash).await?;
    let nodes = Api::<Node>::all(work.client());
    let ended = marked_while_held(ground, &nodes).await;
    let open = json!({
        "metadata": {"annotations": {"weave.works/kured-reboot-in-progress": Value::Null}},
        "spec": {"unschedulable": false},
    });
    nodes.patch(NODE, &PatchParams::default(), &Patch::Merge(open)).await?;
    ended
}

/// Opens the gate of every pod that waits at it, until all three are ready.
async fn are_let_in(ground: &Ground) -> anyhow::Result<()> {
    let (work, ungated) = (&ground.work, Patch::Merge(json!({"spec": {"schedulingGates": Value::Null}})));
    let pods = Api::<Pod>::namespaced(work.client(), ground.namespace());
    wait_for("three pods to be let in", LIMIT, || async {
        let all = work.pods("web").await?;
        for pod in &all {
            let waits = pod.spec.as_ref().is_some_and(|spec| spec.scheduling_gates.is_some());
            if let (true, Some(name)) = (waits, pod.metadata.name.as_deref()) {
                pods.patch(name, &PatchParams::default(), &ungated).await?;
            }
        }
        let ready = all.iter().filter(|pod| is_ready(pod)).count();
        Ok(Seen::when((ready == 3).then_some(()), format!("{ready} are ready")))
    })
    .await
}

async fn marked_while_held(ground: &Ground, nodes: &Api<Node>) -> anyhow::Result<()> {
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
    are_let_in(ground).await?;
    job_says_so(ground).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let node = nodes.get(NODE).await?;
    match node.spec.and_then(|spec| spec.unschedulable) {
        Some(true) => Ok(()),
        _ => Err(Wrong::Action("the node that kured closed was opened".to_owned()).into()),
    }
}

/// Waits until the job tells that somebody marked the node, who that was, and whose mark went.
async fn job_says_so(ground: &Ground) -> anyhow::Result<()> {
    let said = wait_for("the job to say whose mark went", LIMIT, || async {
        let mut jobs = ground.stage.plane.items("/jobs").await?;
        jobs.retain(|job| job["object"]["namespace"] == ground.namespace());
        let told = |job: &Value| format!("{} {}", job["reason"], job["evidence"]);
        let words = ["was marked while it was held", "kured", "our taint is gone, theirs stays"];
        let says = jobs.iter().map(told).any(|text| words.iter().all(|word| text.contains(*word)));
        Ok(Seen::when(says.then_some(()), format!("{jobs:#?}")))
    });
    said.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}

/// A mark of Nimbus, whatever its form.
fn is_held(node: &str) -> bool {
    node.contains("nimbus.dev/cordoned-by") || node.contains("nimbus.dev/held")
}
