//! `tests/scenes/keep_apart_and_a_node_is_free.md`

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::Api;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apart, apply, deployment};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    apply(work, &apart(deployment("web", 2))).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let before = places(&work.pods("web").await?);
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.ends_well().await?;
    let Some(free) = ["node-0", "node-1", "node-2"].into_iter().find(|name| !before.contains(*name)) else {
        anyhow::bail!("expected two pods on two nodes, found them on {before:?}");
    };
    let effects = ground.effects().await?;
    if !effects.iter().any(|change| change.resource.starts_with("nodes") && change.body.contains("nimbus.dev/held")) {
        return Err(Wrong::Restraint("the suspect node was not held".to_owned()).into());
    }
    let after = places(&work.pods("web").await?);
    if !after.contains(free) {
        return Err(Wrong::Action(format!("the new pod is not on {free}: {after:?}")).into());
    }
    let nodes = Api::<Node>::all(work.client());
    let freed = wait_for("the taint to go", LIMIT, || async {
        let all = serde_json::to_string(&nodes.list(&kube::api::ListParams::default()).await?)?;
        Ok(Seen::when((!all.contains("nimbus.dev/held")).then_some(()), "a node is held"))
    });
    freed.await.map_err(|error| Wrong::Action(format!("{error:#}")).into())
}

fn places(pods: &[Pod]) -> BTreeSet<String> {
    pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect()
}
