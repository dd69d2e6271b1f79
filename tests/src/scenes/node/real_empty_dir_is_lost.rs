//! `tests/scenes/real_empty_dir_is_lost.md`

use serde_json::json;

use crate::scenes::containers::{UNLESS_BROKEN, exec, shell, with_state};
use crate::scenes::ground::{Ground, LIMIT, told};
use crate::scenes::objects::apply;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &with_state(shell("web", 2, UNLESS_BROKEN), &json!({}))).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    // One that fails at once was never well, which is another case.
    ground.soak().await;
    let victim = ground.pod_of("web").await?;
    exec(ground, &victim, "touch /state/broken").await?;
    ground.replaces("web", &victim).await?;
    let incident = ground.ends_well().await?;
    let text = told(&incident);
    if text.contains("emptyDir") && text.contains("state") {
        return Ok(());
    }
    Err(Wrong::Restraint(format!("nothing says that the emptyDir is lost: {text}")).into())
}
