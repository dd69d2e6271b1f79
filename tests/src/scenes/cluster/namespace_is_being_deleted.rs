//! `tests/scenes/namespace_is_being_deleted.md`

use std::time::Duration;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = annotated(deployment("web", 2), ("rig.nimbus.dev/stop-delay", "25s"));
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let pod = ground.pod_of("web").await?;
    ground.delete_namespace().await?;
    // A pod that is asked to end does not restart any more: it is broken at the moment of the deletion.
    let _ = work.break_pod(&pod, &crate::rig::workloads::Fault::Crash).await;
    ground.refrains_for(Duration::from_secs(20)).await?;
    ground.ends_all().await
}
