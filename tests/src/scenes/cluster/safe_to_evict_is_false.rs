//! `tests/scenes/safe_to_evict_is_false.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let mark = ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false");
    apply(&ground.work, &annotated(deployment("web", 2), mark)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.break_one("web").await?;
    ground.recommends(&["safe-to-evict"]).await.map(drop)
}
