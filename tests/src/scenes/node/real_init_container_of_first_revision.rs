//! `tests/scenes/real_init_container_of_first_revision.md`

use serde_json::json;

use crate::rig::real_node::images;
use crate::scenes::containers::shell;
use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let init = json!([{"name": "migrate", "image": images::BUSYBOX, "command": ["sh", "-c", "exit 1"]}]);
    apply(&ground.work, &with(shell("web", 1, "sleep 100000"), "/spec/template/spec/initContainers", init))
        .await?;
    ground.recommends(&["init container", "migrate"]).await?;
    ground.at_most_open(1).await
}
