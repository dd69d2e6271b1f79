//! `tests/scenes/budget_that_never_allows.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, budget, deployment, merge};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 3)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let guard = budget(
        "web-guard",
        "web",
        json!({"minAvailable": 3, "unhealthyPodEvictionPolicy": "IfHealthyBudget"}),
    );
    apply(work, &guard).await?;
    let victim = ground.break_one("web").await?;
    ground.recommends(&["web-guard"]).await?;
    merge(work, &guard, json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}})).await?;
    ground.replaces("web", &victim).await?;
    ground.ends_well().await.map(drop)
}
