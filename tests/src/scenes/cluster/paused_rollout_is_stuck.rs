//! `tests/scenes/paused_rollout_is_stuck.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT, told};
use crate::scenes::objects::{NEVER_READY, annotated, apply, deployment, merge};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 2);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    apply(work, &annotated(web.clone(), NEVER_READY)).await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    merge(work, &web, json!({"spec": {"paused": true}})).await?;
    ground.refrains_for(std::time::Duration::from_secs(20)).await?;
    match ground.incidents().await?.iter().find(|i| !told(i).contains("paused")) {
        None => Ok(()),
        Some(other) => Err(Wrong::Restraint(format!("it does not say why: {}", told(other))).into()),
    }
}
