//! `tests/scenes/quota_counts_replica_sets.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, named};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let mut quota = named("v1", "ResourceQuota", "small");
    quota["spec"] = json!({"hard": {"count/replicasets.apps": "1"}});
    apply(work, &quota).await?;
    ground.quota_counts("small").await?;
    work.set_template_annotation("web", "revision", Some("2")).await?;
    ground.recommends(&["exceeded quota"]).await?;
    ground.at_most_open(1).await
}
