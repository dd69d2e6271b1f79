//! `tests/scenes/real_out_of_memory.md`

use serde_json::json;

use crate::scenes::containers::shell;
use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    // One buffer larger than the limit, which is then written to.
    let web = shell("web", 1, "exec dd if=/dev/zero of=/dev/null bs=200M count=1");
    let web = with(web, "/spec/template/spec/containers/0/resources", json!({"limits": {"memory": "24Mi"}}));
    apply(&ground.work, &web).await?;
    ground.recommends(&["memory"]).await?;
    ground.at_most_open(1).await
}
