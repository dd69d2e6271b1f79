//! `tests/scenes/stateful_set_put_right.md`

use crate::scenes::ground::{Ground, says_nothing_of};
use crate::scenes::objects::{CRASH, annotated, apply, stateful_set};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &stateful_set("db", 3)).await?;
    ground.are_ready("db", 3).await?;
    apply(work, &annotated(stateful_set("db", 3), CRASH)).await?;
    ground.crash_loops("db", 1).await?;
    apply(work, &stateful_set("db", 3)).await?;
    let delete = format!("kubectl -n {} delete pod db-2", ground.namespace());
    let incident = ground.recommends(&[&delete, "put right"]).await?;
    says_nothing_of(&incident, &["rollout undo", "delete pod db-0", "delete pod db-1"])
}
