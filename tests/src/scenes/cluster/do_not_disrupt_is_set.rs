//! `tests/scenes/do_not_disrupt_is_set.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &annotated(deployment("web", 2), ("karpenter.sh/do-not-disrupt", "true"))).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.break_one("web").await?;
    ground.recommends(&["do-not-disrupt"]).await.map(drop)
}
