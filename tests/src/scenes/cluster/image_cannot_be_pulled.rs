//! `tests/scenes/image_cannot_be_pulled.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{annotated, apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let web = deployment("web", 2);
    apply(&ground.work, &web).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    apply(&ground.work, &annotated(web, ("rig.nimbus.dev/image-pull", "fail"))).await?;
    ground.says(&["registry.example/app:1"]).await?;
    ground.is_rolled_back("web", "1").await
}
