//! `tests/scenes/stuck_rollout_is_rolled_back.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{NEVER_READY, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 3)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    ground.work.set_template_annotation("web", NEVER_READY.0, Some(NEVER_READY.1)).await?;
    ground.is_rolled_back("web", "1").await
}
