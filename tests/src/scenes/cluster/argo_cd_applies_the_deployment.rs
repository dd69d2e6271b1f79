//! `tests/scenes/argo_cd_applies_the_deployment.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{NEVER_READY, annotated, apply_as, deployment, with};
use serde_json::json;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = with(deployment("web", 2), "/metadata/labels", json!({"app.kubernetes.io/instance": "shop"}));
    apply_as(work, "argocd-controller", &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    apply_as(work, "argocd-controller", &annotated(web, NEVER_READY)).await?;
    ground.recommends(&["Argo CD"]).await.map(drop)
}
