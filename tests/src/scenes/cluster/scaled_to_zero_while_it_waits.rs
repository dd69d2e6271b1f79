//! `tests/scenes/scaled_to_zero_while_it_waits.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT, says_nothing_of};
use crate::scenes::objects::{NEVER_READY, apply, deployment, merge};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 2);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    work.set_template_annotation("web", NEVER_READY.0, Some(NEVER_READY.1)).await?;
    let asked = ground.asks_about("web", "1").await?;
    merge(work, &web, json!({"spec": {"replicas": 0}})).await?;
    let ended = ground.resolves(&asked).await?;
    says_nothing_of(&ended, &["is healthy", "all pods are ready", "succeeded"])?;
    match ground.effects().await?.first() {
        None => Ok(()),
        Some(effect) => Err(Wrong::Action(effect.to_string()).into()),
    }
}
