//! `tests/scenes/autoscaler_beyond_the_quota.md`

use serde_json::json;

use super::autoscaler_wants_more::{autoscaler, busy, held_back};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, named, remove};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &busy()).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let mut quota = named("v1", "ResourceQuota", "small");
    quota["spec"] = json!({"hard": {"requests.cpu": "350m"}});
    apply(work, &quota).await?;
    ground.quota_counts("small").await?;
    apply(work, &autoscaler()).await?;
    held_back(work).await?;
    let asked = ground.asks().await?;
    ground.approve(&asked).await?;
    ground.says(&["ResourceQuota small", "requests.cpu", "make room there"]).await?;
    match ground.effects().await?.first() {
        Some(effect) => Err(Wrong::Action(format!("{effect}: {}", effect.body)).into()),
        None => remove(work, &autoscaler()).await,
    }
}
