//! `tests/scenes/evicted_pods_are_left_behind.md`

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let pods = Api::<Pod>::namespaced(work.client(), ground.namespace());
    for _ in 0..3 {
        let pod = ground.one_of_running("web", 2).await?;
        let status = json!({"status": {
            "phase": "Failed", "reason": "Evicted",
            "message": "The node was low on resource: ephemeral-storage.",
        }});
        pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(status)).await?;
    }
    ground.one_of_running("web", 2).await?;
    // Between the two a pod was missing, as it has to be: what is judged is the state that stays.
    ground.refrains().await?;
    ground.at_most_open(0).await
}
