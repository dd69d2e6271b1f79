//! `tests/scenes/exit_137_is_not_memory.md`

use crate::scenes::ground::{Ground, LIMIT, says_nothing_of};
use crate::scenes::objects::{annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &annotated(deployment("web", 2), ("rig.nimbus.dev/exit-code", "137"))).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    let incident = ground.ends_well().await?;
    says_nothing_of(&incident, &["memory", "oom"])
}
