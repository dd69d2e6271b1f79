//! `tests/scenes/all_nodes_go_away_at_once.md`

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, deployment};
use crate::scenes::verdict::Wrong;

const NODES: [&str; 3] = ["node-0", "node-1", "node-2"];

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &deployment("web", 3)).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    let cluster = &ground.stage.cluster;
    for node in NODES {
        cluster.stop_heartbeats(node).await?;
    }
    let ended = judged(ground).await;
    for node in NODES {
        cluster.resume_heartbeats(node).await?;
    }
    for node in NODES {
        cluster.wait_for_node(node, "True", LIMIT).await?;
    }
    ended
}

async fn judged(ground: &Ground) -> anyhow::Result<()> {
    for node in NODES {
        ground.stage.cluster.wait_for_node(node, "Unknown", LIMIT).await?;
    }
    ground.refrains().await?;
    let open = ground.open_incidents_on_nodes().await?;
    match open.as_slice() {
        [one]
            if ["network", "API server"]
                .iter()
                .any(|word| one.to_lowercase().contains(&word.to_lowercase())) =>
        {
            Ok(())
        }
        other => Err(Wrong::Restraint(format!("open incidents about nodes: {other:#?}")).into()),
    }
}
