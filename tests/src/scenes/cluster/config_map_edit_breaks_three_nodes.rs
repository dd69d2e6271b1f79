//! `tests/scenes/config_map_edit_breaks_three_nodes.md`

use std::time::Duration;

use serde_json::{Value, json};

use crate::scenes::ground::{Ground, LIMIT, WATCH, told};
use crate::scenes::objects::{annotated, apply, deployment, merge, named, spread, with};

/// A pod is ready for as long as each of its runs lasts: there is no readiness probe.
const READY: (&str, &str) = ("rig.nimbus.dev/no-probe", "true");
const RUN: (&str, &str) = ("rig.nimbus.dev/exit-after", "2s");
/// A new pod takes a moment, in which it reads what was edited.
const START: (&str, &str) = ("rig.nimbus.dev/start-delay", "1s");
/// Between the pods, as each reads the edited file in its own time. The first one is called a crash loop while the last
/// one is still well: only the edit tells that its node is not to blame.
const BETWEEN: Duration = Duration::from_secs(4);

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let mut settings = named("v1", "ConfigMap", "web-settings");
    settings["data"] = json!({"workers": "4"});
    apply(work, &settings).await?;
    let refers = json!([{"configMapRef": {"name": "web-settings"}}]);
    let web = with(spread(deployment("web", 3)), "/spec/template/spec/containers/0/envFrom", refers);
    apply(work, &annotated(annotated(annotated(web, READY), RUN), START)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.are_on_nodes("web", 3).await?;
    ground.soak().await;
    merge(work, &settings, json!({"data": {"workers": "four"}})).await?;
    tokio::select! {
        judged = judged(ground) => judged,
        error = ground.breaks_all("web", BETWEEN) => Err(error),
    }
}

async fn judged(ground: &Ground) -> anyhow::Result<()> {
    let names_the_edit = |i: &Value| {
        i["state"] == "escalated"
            && told(i).contains("ConfigMap web-settings, to which they refer, was written by")
    };
    let said = ground.incident("an incident for a person that names the edit", names_the_edit).await;
    tokio::time::sleep(WATCH).await;
    ground.closes_no_node().await?;
    ground.evicts_at_most(1).await?;
    said?;
    ground.at_most_open(1).await
}
