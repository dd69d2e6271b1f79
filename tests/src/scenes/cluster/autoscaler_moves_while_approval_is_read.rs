//! `tests/scenes/autoscaler_moves_while_approval_is_read.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{NEVER_READY, apply, deployment, get, merge};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 3);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    work.set_template_annotation("web", NEVER_READY.0, Some(NEVER_READY.1)).await?;
    let read = ground.asks_about("web", "1").await?;
    for replicas in [4, 3, 4] {
        merge(work, &web, json!({"spec": {"replicas": replicas}})).await?;
        // As long as an autoscaler's own pause, shortened: the control plane sees each of them.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    ground.approve(&read).await?;
    ground.resolves(&read).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let replicas = get(work, &web).await?.unwrap_or_default()["spec"]["replicas"].clone();
    if replicas != 4 {
        return Err(Wrong::Action(format!("replicas were set from 4 to {replicas}")).into());
    }
    ground.evicts_nothing().await
}
