//! `tests/scenes/real_out_of_memory.md`

use serde_json::json;

use crate::scenes::containers::shell;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    // One buffer, larger than the limit, which is then written to.
    let web = shell("web", 1, "dd if=/dev/zero of=/dev/null bs=30M count=1 && touch /tmp/ready && exec sleep 100000");
    let web = with(web, "/spec/template/spec/containers/0/resources", json!({"limits": {"memory": "24Mi"}}));
    // Ready only once it has its memory: without a probe it would be ready between two kills.
    let ready = json!({"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1});
    apply(&ground.work, &with(web, "/spec/template/spec/containers/0/readinessProbe", ready)).await?;
    let asked = ground.asks_for_memory("24Mi", "40Mi").await?;
    ground.evicts_nothing().await?;
    ground.at_most_open(1).await?;
    ground.approve(&asked).await?;
    ground.resolves(&asked).await?;
    ground.has_limit("web", "40Mi").await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.evicts_nothing().await
}
