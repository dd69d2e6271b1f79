//! `tests/scenes/third_revision_after_a_bad_second.md`

use serde_json::{Value, json};

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{CRASH, NEVER_READY, annotated, apply, deployment, with};
use crate::scenes::verdict::Wrong;

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
    let about_third = |i: &Value| {
        let summary = i["plan"]["summary"].as_str().unwrap_or_default();
        i["state"] == "waiting_approval" && summary.contains("from revision 3")
    };
    ground.incident("a plan about revision 3", about_third).await?;
    let incident = ground.asks_about("web", "1").await?;
    says_why_not_the_second(&incident["plan"])?;
    ground.approve(&incident).await?;
    ground.resolves(&incident).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.evicts_nothing().await
}

/// The way that was not taken, with its reason: that revision crash-looped while it was current.
fn says_why_not_the_second(plan: &Value) -> anyhow::Result<()> {
    let why_not = |way: &Value| {
        let why = way["why"].as_str().unwrap_or_default();
        way["what"] == "roll back to revision 2"
            && way["chosen"] == false
            && why.starts_with("known to be bad: ")
            && why.contains("crash-looped")
    };
    if plan["considered"].as_array().is_some_and(|ways| ways.iter().any(why_not)) {
        return Ok(());
    }
    let found = format!("the plan does not say why not revision 2: {:#}", plan["considered"]);
    Err(Wrong::Restraint(found).into())
}
