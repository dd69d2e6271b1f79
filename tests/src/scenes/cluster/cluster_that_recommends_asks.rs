//! `tests/scenes/cluster_that_recommends_asks.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT, WATCH};
use crate::scenes::objects::{apply, deployment};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 2)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let enable = format!("/autonomous/{}/enable", ground.stage.watched().await?);
    ground.stage.plane.post(&enable, json!({"mode": "recommend"})).await?;
    let asked = asked(ground).await;
    // The next scene is played on the same cluster.
    ground.stage.plane.post(&enable, json!({"mode": "act"})).await?;
    asked
}

async fn asked(ground: &Ground) -> anyhow::Result<()> {
    let victim = ground.break_one("web").await?;
    let asked = ground.asks().await?;
    tokio::time::sleep(WATCH).await;
    if let Some(effect) = ground.effects().await?.first() {
        return Err(Wrong::Action(format!("{effect} before the approval")).into());
    }
    ground.approve(&asked).await?;
    ground.replaces("web", &victim).await?;
    ground.ends_well().await?;
    match ground.evictions().await? {
        1 => Ok(()),
        many => Err(Wrong::Action(format!("{many} evictions")).into()),
    }
}
