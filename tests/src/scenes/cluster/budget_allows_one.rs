//! `tests/scenes/budget_allows_one.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, budget, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 3)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    apply(&ground.work, &budget("web-guard", "web", json!({"maxUnavailable": 1}))).await?;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.ends_well().await.map(drop)
}
