//! `tests/scenes/busy_workload_is_set_back.md`

use serde_json::json;

use super::busy_workload_is_scaled_out_and_in::{busy, has};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, get, merge, remove};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &busy("6")).await?;
    work.wait_until_ready("web", LIMIT).await?;
    has(ground, 3).await?;
    merge(work, &busy("6"), json!({"spec": {"replicas": 2}})).await?;
    let before = ground.effects().await?.len();
    ground.says(&["gave it 3 replicas before", "somebody set 2 since"]).await?;
    ground.at_most_open(1).await?;
    let replicas = get(work, &busy("6")).await?.unwrap_or_default()["spec"]["replicas"].clone();
    if replicas != 2 || ground.effects().await?.len() != before {
        return Err(Wrong::Action(format!("it was written to again: {replicas}")).into());
    }
    remove(work, &busy("6")).await
}
