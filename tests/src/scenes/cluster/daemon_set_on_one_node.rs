//! `tests/scenes/daemon_set_on_one_node.md`

use crate::scenes::ground::Ground;
use crate::scenes::objects::{annotated, apply, daemon_set};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &annotated(daemon_set("log"), ("rig.nimbus.dev/crash-on-node", "node-0"))).await?;
    ground.crash_loops("log", 1).await?;
    ground.are_ready("log", 2).await?;
    ground.recommends(&["2 of 3"]).await?;
    ground.at_most_open(1).await
}
