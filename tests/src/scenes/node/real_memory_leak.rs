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
    // A busy machine may see it run for long enough to count as well: then it looks like a leak, and the limit stays.
    let told = ground.says(&["find what holds the memory"]).await?;
    let undone = told["reason"].as_str().is_some_and(|reason| reason.contains("did not help"));
    ground.has_limit("web", if undone { "24Mi" } else { "40Mi" }).await?;
    ground.asks_no_more(1).await?;
    ground.evicts_nothing().await
}
