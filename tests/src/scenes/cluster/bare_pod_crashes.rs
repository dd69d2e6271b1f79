//! `tests/scenes/bare_pod_crashes.md`

use serde_json::json;

use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, named, pod_spec};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let mut pod = named("v1", "Pod", "lonely");
    pod["metadata"]["labels"] = json!({"app": "lonely"});
    pod["spec"] = pod_spec();
    apply(&ground.work, &pod).await?;
    ground.are_ready("lonely", 1).await?;
    ground.break_pod("lonely").await?;
    ground.recommends(&["lonely"]).await.map(drop)
}
