//! `tests/scenes/real_exit_zero.md`

use crate::scenes::containers::shell;
use crate::scenes::ground::Ground;
use crate::scenes::objects::apply;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &shell("web", 1, "sleep 1")).await?;
    ground.recommends(&["exit code 0", "finishes"]).await.map(drop)
}
