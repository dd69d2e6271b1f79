//! `tests/scenes/deleted_while_it_waits.md`

use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT, told};
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
    let all = Api::<k8s_openapi::api::apps::v1::Deployment>::namespaced(work.client(), ground.namespace());
    all.delete("web", &DeleteParams::default()).await?;
    let ended = ground.resolves(&asked).await?;
    let text = told(&ended).to_lowercase();
    if !["gone", "deleted", "no longer"].iter().any(|word| text.contains(word)) {
        return Err(Wrong::Restraint(format!("it does not say why it ended: {text}")).into());
    }
    let (id, digest) = approval_of(&asked)?;
    let body = json!({"plan_digest": digest, "reason": "late"});
    let path = format!("/approvals/{id}/approve");
    let (status, answer) = ground.stage.plane.request(reqwest::Method::POST, &path, Some(body)).await?;
    if (200..300).contains(&status) {
        return Err(Wrong::Action(format!("the approval was taken: {answer}")).into());
    }
    Ok(())
}
