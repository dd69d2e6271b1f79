//! `tests/scenes/autoscaler_kept_by_argo_cd.md`

use super::autoscaler_wants_more::{autoscaler, busy, held_back};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, apply_as, remove};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &busy()).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    apply_as(&ground.work, "argocd-controller", &autoscaler()).await?;
    held_back(&ground.work).await?;
    ground.recommends(&["Argo CD", "raise its maximum (3)"]).await?;
    ground.at_most_open(1).await?;
    remove(&ground.work, &autoscaler()).await
}
