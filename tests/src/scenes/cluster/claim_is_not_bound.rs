//! `tests/scenes/claim_is_not_bound.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 2);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let second = with(
        web,
        "/spec/template/spec/volumes",
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-of-web"}}]),
    );
    apply(work, &second).await?;
    ground.recommends(&["data-of-web"]).await?;
    ground.at_most_open(1).await
}
