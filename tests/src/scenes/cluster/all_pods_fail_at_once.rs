//! `tests/scenes/all_pods_fail_at_once.md`

use serde_json::json;

use crate::rig::workloads::Fault;
use crate::scenes::ground::{Ground, LIMIT, WATCH};
use crate::scenes::objects::{apply, deployment, with};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    apply(work, &with(deployment("web", 3), "/spec/template/spec/topologySpreadConstraints", spread)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    work.break_pods(&work.pod_names("web").await?, &Fault::Crash).await?;
    let told = ground.incident("an incident for a person", |i| i["state"] == "escalated").await;
    tokio::time::sleep(WATCH).await;
    ground.closes_no_node().await?;
    let evictions = ground.evictions().await?;
    if evictions > 1 {
        return Err(Wrong::Action(format!("{evictions} evictions")).into());
    }
    told?;
    ground.at_most_open(1).await
}
