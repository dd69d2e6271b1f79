//! `tests/scenes/helm_release_is_stuck.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{NEVER_READY, annotated, apply_as, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let release = json!({
        "meta.helm.sh/release-name": "shop-release", "meta.helm.sh/release-namespace": ground.namespace(),
    });
    let web = with(deployment("web", 2), "/metadata/annotations", release);
    let web = with(web, "/metadata/labels", json!({"app.kubernetes.io/managed-by": "Helm"}));
    apply_as(work, "helm", &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    apply_as(work, "helm", &annotated(web, NEVER_READY)).await?;
    ground.recommends(&["helm", "shop-release"]).await.map(drop)
}
