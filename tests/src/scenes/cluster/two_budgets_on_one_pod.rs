//! `tests/scenes/two_budgets_on_one_pod.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, budget, deployment};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    for name in ["web-first", "web-second"] {
        apply(work, &budget(name, "web", json!({"maxUnavailable": 1}))).await?;
    }
    ground.break_one("web").await?;
    let incident = ground.recommends(&["web-first", "web-second"]).await?;
    if incident["attempts"] != 0 {
        return Err(Wrong::Action(format!("attempts were counted: {}", incident["attempts"])).into());
    }
    ground.at_most_open(1).await
}
