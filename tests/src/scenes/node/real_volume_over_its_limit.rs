//! `tests/scenes/real_volume_over_its_limit.md`

use anyhow::Context as _;
use serde_json::json;

use crate::scenes::containers::{exec, shell, with_state};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::apply;
use crate::wait::{Seen, wait_for};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &with_state(shell("web", 2, "sleep 100000"), &json!({"sizeLimit": "2Mi"}))).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let pod = ground.pod_of("web").await?;
    exec(ground, &pod, "dd if=/dev/zero of=/state/full bs=1M count=16").await?;
    wait_for("the kubelet to evict the pod", LIMIT, || async {
        let pods = work.pods("web").await?;
        let found =
            pods.iter().find(|found| found.metadata.name.as_deref() == Some(&pod)).context("it is gone")?;
        let status = found.status.clone().unwrap_or_default();
        Ok(Seen::when(
            (status.reason.as_deref() == Some("Evicted")).then_some(()),
            format!("{:?}", status.phase),
        ))
    })
    .await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.refrains().await?;
    ground.at_most_open(0).await
}
