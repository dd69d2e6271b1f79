//! `tests/scenes/paused_cluster_begins_nothing.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 2)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let order = json!({"cluster": ground.stage.watched().await?, "reason": "disks are moved"});
    ground.stage.plane.post("/autonomous/pause", order.clone()).await?;
    let held = held(ground).await;
    // The next scene is played on the same cluster.
    ground.stage.plane.post("/autonomous/resume", order).await?;
    let victim = held?;
    ground.replaces("web", &victim).await?;
    ground.ends_well().await?;
    Ok(())
}

/// While the pause holds.
async fn held(ground: &Ground) -> anyhow::Result<String> {
    let victim = ground.break_one("web").await?;
    ground.recommends(&["paused cluster", "disks are moved", "nimbus autonomous resume"]).await?;
    Ok(victim)
}
