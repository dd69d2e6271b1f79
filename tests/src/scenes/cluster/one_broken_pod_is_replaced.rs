//! `tests/scenes/one_broken_pod_is_replaced.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 2)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.ends_well().await?;
    match ground.evictions().await? {
        1 => Ok(()),
        many => Err(Wrong::Action(format!("{many} evictions")).into()),
    }
}
