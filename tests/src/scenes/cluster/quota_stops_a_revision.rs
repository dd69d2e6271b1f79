//! `tests/scenes/quota_stops_a_revision.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, merge, named, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = with(
        deployment("web", 3),
        "/spec/strategy",
        json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
    );
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let mut quota = named("v1", "ResourceQuota", "small");
    quota["spec"] = json!({"hard": {"pods": "3"}});
    apply(work, &quota).await?;
    ground.quota_counts("small").await?;
    work.set_template_annotation("web", "revision", Some("2")).await?;
    let incident = ground.recommends(&["exceeded quota"]).await?;
    ground.at_most_open(1).await?;
    merge(work, &quota, json!({"spec": {"hard": {"pods": "10"}}})).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.resolves(&incident).await?;
    ground.is_untouched().await
}
