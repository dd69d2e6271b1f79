//! `tests/scenes/real_image_is_missing.md`

use serde_json::json;

use crate::scenes::containers::shell;
use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let image = "registry.invalid/shop/web:17";
    let web = with(shell("web", 2, "sleep 100000"), "/spec/template/spec/containers/0/image", json!(image));
    apply(&ground.work, &web).await?;
    ground.recommends(&[image]).await?;
    ground.at_most_open(1).await
}
