//! `tests/scenes/admission_refuses_the_pods.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 2);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    ground.stage.cluster.kubectl(&["label", "namespace", ground.namespace(), label]).await?;
    let second = with(web, "/spec/template/metadata/annotations", json!({"revision": "2"}));
    apply(work, &second).await?;
    ground.recommends(&["violates PodSecurity"]).await?;
    ground.at_most_open(1).await
}
