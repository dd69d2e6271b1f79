//! `tests/scenes/argo_cd_has_the_memory_limit.md`

use serde_json::json;

use crate::rig::workloads::Fault;
use crate::scenes::ground::Ground;
use crate::scenes::objects::{annotated, apply_as, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let web = with(deployment("web", 2), "/metadata/labels", json!({"app.kubernetes.io/instance": "shop"}));
    let web = with(web, "/spec/template/spec/containers/0/resources", json!({"limits": {"memory": "64Mi"}}));
    apply_as(&ground.work, "argocd-controller", &annotated(web, Fault::OutOfMemory.annotation())).await?;
    ground.recommends(&["Argo CD", "raise the limit there"]).await?;
    ground.at_most_open(1).await
}
