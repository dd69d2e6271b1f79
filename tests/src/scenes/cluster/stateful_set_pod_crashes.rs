//! `tests/scenes/stateful_set_pod_crashes.md`

use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, stateful_set};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &stateful_set("db", 2)).await?;
    ground.are_ready("db", 2).await?;
    ground.break_pod("db-0").await?;
    ground.ends_after_act().await?;
    ground.are_ready("db", 2).await
}
