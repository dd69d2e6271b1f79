//! `tests/scenes/busy_workload_has_an_autoscaler.md`

use serde_json::json;

use super::busy_workload_is_scaled_out_and_in::{busy, is_busy};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, remove};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &busy("6")).await?;
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2, "maxReplicas": 4,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "queue_length"}, "target": {"type": "AverageValue", "averageValue": "10"}}}],
        },
    });
    apply(&ground.work, &autoscaler).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    is_busy(ground).await?;
    ground.recommends(&["HorizontalPodAutoscaler web decides how many pods it has"]).await?;
    ground.at_most_open(1).await?;
    remove(&ground.work, &autoscaler).await?;
    remove(&ground.work, &busy("6")).await
}
