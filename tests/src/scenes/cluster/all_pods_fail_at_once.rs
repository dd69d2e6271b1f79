//! `tests/scenes/all_pods_fail_at_once.md`

use std::time::Duration;

use serde_json::Value;

use crate::scenes::ground::{Ground, LIMIT, WATCH, told};
use crate::scenes::objects::{annotated, apply, deployment, spread};

/// A pod is ready for as long as each of its runs lasts: there is no readiness probe.
const READY: (&str, &str) = ("rig.nimbus.dev/no-probe", "true");
const RUN: (&str, &str) = ("rig.nimbus.dev/exit-after", "3s");
/// A new pod takes a moment, in which what is wrong with all of them reaches it as well.
const START: (&str, &str) = ("rig.nimbus.dev/start-delay", "1s");
/// Between the pods. Each of them has failed before the first one has failed so often that it is called a crash loop.
const BETWEEN: Duration = Duration::from_secs(2);

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = annotated(annotated(spread(deployment("web", 3)), READY), RUN);
    apply(work, &annotated(web, START)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.are_on_nodes("web", 3).await?;
    ground.soak().await;
    tokio::select! {
        judged = judged(ground) => judged,
        error = ground.breaks_all("web", BETWEEN) => Err(error),
    }
}

async fn judged(ground: &Ground) -> anyhow::Result<()> {
    let blames_neither =
        |i: &Value| i["state"] == "escalated" && told(i).contains("neither a node nor a pod is to blame");
    let said = ground.incident("an incident that blames neither a node nor a pod", blames_neither).await;
    tokio::time::sleep(WATCH).await;
    ground.closes_no_node().await?;
    ground.evicts_at_most(1).await?;
    said?;
    ground.at_most_open(1).await
}
