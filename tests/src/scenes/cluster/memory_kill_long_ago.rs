//! `tests/scenes/memory_kill_long_ago.md`

use crate::rig::workloads::Fault;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &deployment("web", 2)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let pod = ground.pod_of("web").await?;
    // One kill only: it is mended as soon as it has died, and starts once more.
    work.break_pod(&pod, &Fault::OutOfMemory).await?;
    let died = |status: &k8s_openapi::api::core::v1::ContainerStatus| {
        let ended = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
            state.as_ref().is_some_and(|state| state.terminated.is_some())
        };
        ended(&status.state) || ended(&status.last_state)
    };
    work.wait_for_container(&pod, "killed", LIMIT, died).await?;
    work.mend_pod(&pod, &Fault::OutOfMemory).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.sees_nothing().await
}
