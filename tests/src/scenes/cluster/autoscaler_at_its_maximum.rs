//! `tests/scenes/autoscaler_at_its_maximum.md`

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, apply_status, deployment};

/// What its controller would say where metrics are served. Of a target whose API version it does not know it says that, and leaves the
/// conditions of its metrics as they are.
fn said(since: Timestamp) -> Value {
    let condition = |of: &str, reason: &str| {
        json!({"type": of, "status": "True", "reason": reason, "message": "", "lastTransitionTime": since.to_string()})
    };
    let measured = json!({"type": "Resource", "resource": {
        "name": "cpu", "current": {"averageUtilization": 160, "averageValue": "800m"}}});
    json!({
        "currentReplicas": 3, "desiredReplicas": 3, "currentMetrics": [measured],
        "conditions": [condition("ScalingActive", "ValidMetricFound"), condition("ScalingLimited", "TooManyReplicas")],
    })
}

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 3)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let aim = json!({"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1beta1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 3, "metrics": [aim],
        },
    });
    apply(&ground.work, &autoscaler).await?;
    // In whole seconds, as Kubernetes writes it.
    let since = Timestamp::from_second(nimbus_platform::now().as_second())? - SignedDuration::from_mins(6);
    apply_status(&ground.work, &autoscaler, said(since)).await?;
    ground
        .recommends(&["autoscaler", "cpu at 200 % of its aim", "about 6 replicas of Deployment web", "spec.maxReplicas (3)"])
        .await
        .map(drop)
}
