//! `tests/scenes/service_account_is_missing.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 2);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let second = with(web, "/spec/template/spec/serviceAccountName", json!("payments"));
    apply(work, &second).await?;
    ground.recommends(&["serviceaccount", "payments"]).await?;
    ground.at_most_open(1).await
}
