//! `tests/scenes/template_changes_while_approval_is_read.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{NEVER_READY, apply, deployment};
use crate::scenes::verdict::Wrong;
use crate::site::approval_of;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    work.set_template_annotation("web", NEVER_READY.0, Some(NEVER_READY.1)).await?;
    let old = ground.asks_about("web", "1").await?;
    work.set_template_annotation("web", "team", Some("blue")).await?;
    let anew =
        |i: &serde_json::Value| i["state"] == "waiting_approval" && i["approval_id"] != old["approval_id"];
    let new = ground.incident("a plan that is made anew", anew).await?;
    let (id, digest) = approval_of(&old)?;
    let body = json!({"plan_digest": digest, "reason": "late"});
    let path = format!("/approvals/{id}/approve");
    let (status, answer) = ground.stage.plane.request(reqwest::Method::POST, &path, Some(body)).await?;
    if (200..300).contains(&status) {
        return Err(Wrong::Action(format!("the old approval was taken: {answer}")).into());
    }
    ground.approve(&new).await?;
    ground.resolves(&new).await?;
    work.wait_until_ready("web", LIMIT).await.map(drop)
}
