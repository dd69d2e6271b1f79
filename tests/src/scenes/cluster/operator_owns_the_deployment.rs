//! `tests/scenes/operator_owns_the_deployment.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{NEVER_READY, annotated, apply, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let uid = ground.rollout("billing").await?;
    let owner =
        json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "billing", "uid": uid}]);
    let web = with(deployment("web", 2), "/metadata/ownerReferences", owner);
    apply(&ground.work, &web).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    apply(&ground.work, &annotated(web, NEVER_READY)).await?;
    ground.recommends(&["billing"]).await.map(drop)
}
