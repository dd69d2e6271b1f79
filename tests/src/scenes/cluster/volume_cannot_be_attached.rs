//! `tests/scenes/volume_cannot_be_attached.md`

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::{Value, json};

use crate::rig::workloads::waiting_reason;
use crate::scenes::ground::{Ground, LIMIT, told};
use crate::scenes::objects::{annotated, apply, apply_to_cluster, deployment, with};
use crate::wait::{Seen, wait_for};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    second_revision_waits_for_its_volume(ground, json!([]), "ContainerCreating").await
}

/// Revision 2 mounts a volume that is not attached; its pods have these init containers and wait for this reason.
pub(super) async fn second_revision_waits_for_its_volume(
    ground: &Ground,
    init_containers: Value,
    reason: &str,
) -> anyhow::Result<()> {
    let work = &ground.work;
    let web = deployment("web", 2);
    apply(work, &web).await?;
    work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    volume(ground).await?;
    let uses = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let second = with(web, "/spec/template/spec/volumes", uses);
    let second = with(second, "/spec/template/spec/initContainers", init_containers);
    // The simulated kubelet attaches nothing: it is as late as one that waits for a volume.
    let second = annotated(second, ("rig.nimbus.dev/volumes", "wait"));
    apply(work, &annotated(second, ("rig.nimbus.dev/start-delay", "10m"))).await?;
    tells_why(ground, &waiting(ground, reason).await?).await?;
    ground.recommends(&["no container of it was begun", "a volume cannot be attached"]).await?;
    let to_a_person =
        |i: &Value| i["state"] == "escalated" && told(i).contains("no container of it was begun");
    ground.incident("an incident for a person", to_a_person).await?;
    ground.at_most_open(1).await?;
    // It was about a pod that waited all the time, and the older revision still serves.
    waiting(ground, reason).await?;
    ground.are_ready("web", 2).await
}

/// A volume and the claim that is bound to it: nothing is left for the scheduler to wait for.
async fn volume(ground: &Ground) -> anyhow::Result<()> {
    let name = format!("single-{}", ground.namespace());
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "single",
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/srv/data"},
        },
    });
    apply_to_cluster(&ground.work, &volume).await?;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "single", "volumeName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    apply(&ground.work, &claim).await.map(drop)
}

/// Waits for a pod that is on a node and of which no container was begun there, for this reason.
async fn waiting(ground: &Ground, reason: &str) -> anyhow::Result<Pod> {
    let waits = |pod: &Pod| {
        let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let creating =
            |one: &ContainerStatus| one.restart_count == 0 && waiting_reason(one) == Some(reason);
        bound && statuses.is_some_and(|all| !all.is_empty() && all.iter().all(creating))
    };
    wait_for("a pod whose containers are not begun", LIMIT, || async {
        let found = ground.work.pods("web").await?.into_iter().find(waits);
        Ok(Seen::when(found, "none"))
    })
    .await
}

/// Says of the pod what the controller that attaches volumes says of one that another node still has.
async fn tells_why(ground: &Ground, pod: &Pod) -> anyhow::Result<()> {
    let name = pod.metadata.name.as_deref().context("a name")?;
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{name}.attach")},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "namespace": ground.namespace(), "name": name,
            "uid": pod.metadata.uid,
        },
        "type": "Warning", "reason": "FailedAttachVolume",
        "message": "Multi-Attach error for volume \"data\" Volume is already exclusively attached to one node",
        "source": {"component": "attachdetach-controller"},
    });
    apply(&ground.work, &event).await.map(drop)
}
