//! `tests/scenes/real_memory_leak.md`

use serde_json::json;

use crate::scenes::containers::shell;
use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    // More than any step gives it.
    let web = shell("web", 1, "exec dd if=/dev/zero of=/dev/null bs=200M count=1");
    let web = with(web, "/spec/template/spec/containers/0/resources", json!({"limits": {"memory": "24Mi"}}));
    apply(&ground.work, &web).await?;
    let asked = ground.asks_for_memory("24Mi", "40Mi").await?;
    ground.approve(&asked).await?;
    ground.says(&["did not help", "find what holds the memory"]).await?;
    ground.has_limit("web", "24Mi").await?;
    ground.asks_no_more(1).await?;
    ground.evicts_nothing().await
}
