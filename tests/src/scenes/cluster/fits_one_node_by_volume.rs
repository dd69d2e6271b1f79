//! `tests/scenes/fits_one_node_by_volume.md`

use serde_json::json;

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, apply_to_cluster, deployment, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let work = &ground.work;
    let name = format!("local-{}", ground.namespace());
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
            "persistentVolumeReclaimPolicy": "Delete",
            "local": {"path": "/srv/data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]},
            ]}]}},
        },
    });
    apply_to_cluster(work, &volume).await?;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "local", "volumeName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    apply(work, &claim).await?;
    let uses = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    apply(work, &with(deployment("web", 2), "/spec/template/spec/volumes", uses)).await?;
    work.wait_until_ready("web", LIMIT).await?;
    let victim = ground.break_one("web").await?;
    ground.replaces("web", &victim).await?;
    ground.closes_no_node().await?;
    let incident = ground.ends_well().await?;
    ground.promises_no_other_node(&incident)
}
