//! `tests/scenes/autoscaler_without_metrics.md`

use anyhow::Context as _;
use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, get};
use crate::wait::{Seen, wait_for};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 3)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "queue_length"}, "target": {"type": "AverageValue", "averageValue": "10"}}}],
        },
    });
    apply(&ground.work, &autoscaler).await?;
    wait_for("its controller to say that it does not scale", LIMIT, || async {
        let now = get(&ground.work, &autoscaler).await?.context("the autoscaler")?;
        let said = now["status"]["conditions"].to_string();
        let conditions = now["status"]["conditions"].as_array();
        let inactive = conditions.into_iter().flatten().any(|it| it["type"] == "ScalingActive" && it["status"] == "False");
        Ok(Seen::when(inactive.then_some(()), said))
    })
    .await?;
    ground.refrains().await?;
    anyhow::ensure!(ground.incidents().await?.is_empty(), "expected no incident: {:?}", ground.incidents().await?);
    Ok(())
}
