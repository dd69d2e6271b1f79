//! Workloads of real containers: a shell in a busybox image that does as it is told.

use serde_json::{Value, json};

use crate::rig::real_node::{NODE, images};
use crate::scenes::ground::Ground;
use crate::scenes::objects::{deployment, with};

/// A Deployment whose only container runs this shell command, on the real node.
pub fn shell(name: &str, replicas: u32, command: &str) -> Value {
    let container = json!([{"name": "app", "image": images::BUSYBOX, "command": ["sh", "-c", command]}]);
    let object = with(deployment(name, replicas), "/spec/template/spec/containers", container);
    with(object, "/spec/template/spec/nodeSelector", json!({"kubernetes.io/hostname": NODE}))
}

/// A shell command that ends with 1 as soon as, and whenever, `/state/broken` is there.
pub const UNLESS_BROKEN: &str = "while [ ! -e /state/broken ]; do sleep 0.2; done; exit 1";

/// The Deployment with a volume at `/state`, which lives as long as its pod.
pub fn with_state(object: Value, volume: &Value) -> Value {
    let object = with(object, "/spec/template/spec/volumes", json!([{"name": "state", "emptyDir": volume}]));
    let mount = json!([{"name": "state", "mountPath": "/state"}]);
    with(object, "/spec/template/spec/containers/0/volumeMounts", mount)
}

/// Runs a shell command in the container of a pod.
pub async fn exec(ground: &Ground, pod: &str, command: &str) -> anyhow::Result<()> {
    let words = ["-n", ground.namespace(), "exec", pod, "-c", "app", "--", "sh", "-c", command];
    ground.stage.cluster.kubectl(&words).await.map(drop)
}
