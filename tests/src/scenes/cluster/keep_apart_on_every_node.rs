//! `tests/scenes/keep_apart_on_every_node.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apart, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &apart(deployment("web", 3))).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.closes_no_node().await?;
    let incident = ground.ends_well().await?;
    ground.promises_no_other_node(&incident)
}
