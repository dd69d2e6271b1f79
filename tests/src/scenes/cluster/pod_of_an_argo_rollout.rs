//! `tests/scenes/pod_of_an_argo_rollout.md`

use serde_json::json;

use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, deployment};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    // Without its owner the garbage collector would take the ReplicaSet away.
    let uid = ground.rollout("shop").await?;
    let mut set = deployment("web", 2);
    set["kind"] = json!("ReplicaSet");
    set["spec"].as_object_mut().map(|spec| spec.remove("progressDeadlineSeconds"));
    set["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop", "controller": true,
        "uid": uid,
    }]);
    apply(work, &set).await?;
    ground.are_ready("web", 2).await?;
    ground.break_one("web").await?;
    ground.recommends(&["Rollout"]).await.map(drop)
}
