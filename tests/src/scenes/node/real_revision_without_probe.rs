//! `tests/scenes/real_revision_without_probe.md`

use crate::scenes::containers::shell;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::apply;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &shell("web", 2, "sleep 100000")).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    apply(&ground.work, &shell("web", 2, "sleep 2; exit 1")).await?;
    ground.is_rolled_back("web", "1").await
}
