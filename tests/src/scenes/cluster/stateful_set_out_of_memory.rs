//! `tests/scenes/stateful_set_out_of_memory.md`

use serde_json::json;

use crate::rig::workloads::Fault;
use crate::scenes::ground::Ground;
use crate::scenes::objects::{annotated, apply, stateful_set, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let web = stateful_set("web", 2);
    let web = with(web, "/spec/template/spec/containers/0/resources", json!({"limits": {"memory": "64Mi"}}));
    apply(&ground.work, &annotated(web, Fault::OutOfMemory.annotation())).await?;
    ground.recommends(&["killed for its memory limit"]).await.map(drop)
}
