//! `tests/scenes/third_revision_after_a_bad_second.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{CRASH, NEVER_READY, annotated, apply, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let good = with(deployment("web", 2), "/spec/strategy", json!({"type": "Recreate"}));
    let good = annotated(good, ("rig.nimbus.dev/no-probe", "true"));
    apply(work, &good).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let second = annotated(annotated(good.clone(), CRASH), ("rig.nimbus.dev/exit-after", "1s"));
    apply(work, &second).await?;
    ground.crash_loops("web", 2).await?;
    apply(work, &annotated(good, NEVER_READY)).await?;
    // A plan about revision 2 may have been made meanwhile; it is void with revision 3.
    let about_third = |i: &serde_json::Value| {
        let summary = i["plan"]["summary"].as_str().unwrap_or_default();
        i["state"] == "waiting_approval" && summary.contains("from revision 3")
    };
    ground.incident("a plan about revision 3", about_third).await?;
    let incident = ground.asks_about("web", "1").await?;
    ground.plan_says(&incident, &["revision 2"])?;
    ground.approve(&incident).await?;
    ground.resolves(&incident).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.evicts_nothing().await
}
