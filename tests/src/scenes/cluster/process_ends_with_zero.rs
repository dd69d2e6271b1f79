//! `tests/scenes/process_ends_with_zero.md`

use crate::scenes::ground::Ground;
use crate::scenes::objects::{CRASH, annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = annotated(annotated(deployment("web", 2), CRASH), ("rig.nimbus.dev/exit-code", "0"));
    apply(work, &annotated(web, ("rig.nimbus.dev/no-probe", "true"))).await?;
    ground.crash_loops("web", 2).await?;
    ground.recommends(&["exit code 0", "finishes"]).await.map(drop)
}
