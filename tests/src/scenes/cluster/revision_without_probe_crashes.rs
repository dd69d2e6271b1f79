//! `tests/scenes/revision_without_probe_crashes.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let good = annotated(deployment("web", 2), ("rig.nimbus.dev/no-probe", "true"));
    apply(work, &good).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let bad =
        annotated(annotated(good, ("rig.nimbus.dev/crash", "always")), ("rig.nimbus.dev/exit-after", "1s"));
    apply(work, &bad).await?;
    ground.is_rolled_back("web", "1").await
}
