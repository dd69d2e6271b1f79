//! `tests/scenes/fits_one_node_by_selector.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = with(
        deployment("web", 2),
        "/spec/template/spec/nodeSelector",
        json!({"kubernetes.io/hostname": "node-1"}),
    );
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.closes_no_node().await?;
    let incident = ground.ends_well().await?;
    ground.promises_no_other_node(&incident)
}
