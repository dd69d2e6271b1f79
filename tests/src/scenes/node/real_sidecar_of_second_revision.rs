//! `tests/scenes/real_sidecar_of_second_revision.md`

use serde_json::json;

use crate::rig::real_node::images;
use crate::scenes::containers::shell;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let web = shell("web", 1, "sleep 100000");
    apply(&ground.work, &web).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let sidecar = json!([{
        "name": "proxy", "image": images::BUSYBOX, "command": ["sh", "-c", "exit 1"], "restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1},
    }]);
    apply(&ground.work, &with(web, "/spec/template/spec/initContainers", sidecar)).await?;
    ground.says(&["proxy"]).await?;
    ground.is_rolled_back("web", "1").await
}
