//! `tests/scenes/config_map_edit_breaks_three_nodes.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT, WATCH};
use crate::scenes::objects::{apply, deployment, merge, named, with};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let mut settings = named("v1", "ConfigMap", "web-settings");
    settings["data"] = json!({"workers": "4"});
    apply(work, &settings).await?;
    let refers = json!([{"configMapRef": {"name": "web-settings"}}]);
    let web = with(deployment("web", 3), "/spec/template/spec/containers/0/envFrom", refers);
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    apply(work, &with(web, "/spec/template/spec/topologySpreadConstraints", spread)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    merge(work, &settings, json!({"data": {"workers": "four"}})).await?;
    let pods = work.pod_names("web").await?;
    work.break_pods(&pods, &crate::rig::workloads::Fault::Crash).await?;
    let told = ground.says(&["web-settings"]).await;
    tokio::time::sleep(WATCH).await;
    ground.closes_no_node().await?;
    let evictions = ground.evictions().await?;
    if evictions > 1 {
        return Err(Wrong::Action(format!("{evictions} evictions")).into());
    }
    if let Some(asked) = ground.approvals().await?.first() {
        return Err(Wrong::Action(format!("approval asked: {}", asked["summary"])).into());
    }
    told.map(drop)
}
