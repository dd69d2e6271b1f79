//! `tests/scenes/never_ready_since_it_was_made.md`

use crate::scenes::ground::Ground;
use crate::scenes::objects::{CRASH, annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &annotated(deployment("web", 2), CRASH)).await?;
    ground.crash_loops("web", 2).await?;
    ground.recommends(&["no older revision"]).await?;
    ground.at_most_open(1).await
}
