//! `tests/scenes/debugger_in_the_pod.md`

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let victim = ground.pod_of("web").await?;
    debugger(ground, &victim, json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})).await?;
    ground.break_pod(&victim).await?;
    ground.recommends(&["ephemeral"]).await?;
    let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    debugger(ground, &victim, ended).await?;
    ground.replaces("web", &victim).await
}

/// Attaches an ephemeral container as `kubectl debug` does, and says how it is: the simulated kubelet knows none.
async fn debugger(ground: &Ground, pod: &str, state: Value) -> anyhow::Result<()> {
    let pods = Api::<Pod>::namespaced(ground.work.client(), ground.namespace());
    let container = json!({"spec": {"ephemeralContainers": [
        {"name": "debugger", "image": "registry.example/busybox:1", "targetContainerName": "app"},
    ]}});
    pods.patch_subresource("ephemeralcontainers", pod, &PatchParams::default(), &Patch::Strategic(container))
        .await?;
    let status = json!({"status": {"ephemeralContainerStatuses": [{
        "name": "debugger", "image": "registry.example/busybox:1", "imageID": "", "ready": false,
        "restartCount": 0, "state": state,
    }]}});
    pods.patch_status(pod, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}
