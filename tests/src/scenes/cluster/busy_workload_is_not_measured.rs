//! `tests/scenes/busy_workload_is_not_measured.md`

use std::time::Duration;

use serde_json::Value;

use super::busy_workload_is_scaled_out_and_in::busy;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, remove, with};

/// The agent looks twice meanwhile.
const LOOKS: Duration = Duration::from_mins(1);

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let without = with(busy("6"), "/spec/template/spec/containers/0/resources", Value::Null);
    apply(&ground.work, &without).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.refrains_for(LOOKS).await?;
    anyhow::ensure!(ground.incidents().await?.is_empty(), "expected no incident: {:?}", ground.incidents().await?);
    remove(&ground.work, &without).await
}
