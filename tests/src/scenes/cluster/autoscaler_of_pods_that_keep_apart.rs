//! `tests/scenes/autoscaler_of_pods_that_keep_apart.md`

use super::autoscaler_wants_more::{autoscaler, busy, held_back};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apart, apply, remove};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &apart(busy())).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    apply(&ground.work, &autoscaler()).await?;
    held_back(&ground.work).await?;
    ground.recommends(&["no node has room for one more", "add nodes"]).await?;
    ground.at_most_open(1).await?;
    remove(&ground.work, &autoscaler()).await
}
