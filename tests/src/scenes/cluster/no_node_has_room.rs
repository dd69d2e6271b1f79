//! `tests/scenes/no_node_has_room.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 2);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let second = with(web, "/spec/template/spec/containers/0/resources", json!({"requests": {"cpu": "500"}}));
    apply(work, &second).await?;
    ground.recommends(&["Insufficient cpu"]).await?;
    ground.at_most_open(1).await
}
