//! `tests/scenes/real_crash_loop_with_probe.md`

use serde_json::json;

use crate::scenes::containers::{UNLESS_BROKEN, exec, shell, with_state};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let web = with_state(shell("web", 2, UNLESS_BROKEN), &json!({"medium": "Memory"}));
    let probe = json!({"exec": {"command": ["test", "!", "-e", "/state/broken"]}, "periodSeconds": 1});
    let web = with(web, "/spec/template/spec/containers/0/readinessProbe", probe);
    apply(&ground.work, &web).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let victim = ground.pod_of("web").await?;
    exec(ground, &victim, "touch /state/broken").await?;
    ground.replaces("web", &victim).await?;
    ground.closes_no_node().await?;
    let incident = ground.ends_well().await?;
    ground.promises_no_other_node(&incident)
}
