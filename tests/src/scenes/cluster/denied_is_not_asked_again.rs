//! `tests/scenes/denied_is_not_asked_again.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT, WATCH};
use crate::scenes::objects::{NEVER_READY, apply, deployment};
use crate::scenes::verdict::Wrong;
use crate::site::approval_of;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    work.set_template_annotation("web", NEVER_READY.0, Some(NEVER_READY.1)).await?;
    let asked = ground.asks_about("web", "1").await?;
    let (id, _) = approval_of(&asked)?;
    let order = json!({"reason": "not tonight"});
    ground.stage.plane.post(&format!("/approvals/{id}/deny"), order).await?;
    tokio::time::sleep(WATCH).await;
    let approvals = ground.approvals().await?.len();
    let effects = ground.effects().await?;
    match (approvals, effects.first()) {
        (1, None) => Ok(()),
        (_, Some(effect)) => Err(Wrong::Action(effect.to_string()).into()),
        (many, None) => Err(Wrong::Action(format!("asked {many} times")).into()),
    }
}
