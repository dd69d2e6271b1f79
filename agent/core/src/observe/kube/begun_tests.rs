//! Tests of how far the kubelet got with a pod.

use nimbus_protocol::v1;
use nimbus_protocol::v1::observation::Body;
use serde_json::{Value, json};

use super::Slim as _;
use super::SlimPod;

/// PodInitializing stands for a volume that is not there yet and for an init container that runs: what each says tells.
#[test]
fn whether_a_container_of_a_pod_was_begun_is_said() {
    let initializing = json!({"waiting": {"reason": "PodInitializing"}});
    let main = |state: &Value| json!([{"name": "main", "restartCount": 0, "state": state}]);
    for (what, init, state, begun) in [
        ("nothing is told yet", json!(null), &json!({}), "no"),
        ("its volume is attached", json!([{"name": "i", "state": initializing}]), &initializing, "no"),
        ("its init container runs", json!([{"name": "i", "state": {"running": {}}}]), &initializing, "yes"),
        ("it ended", json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}}]), &initializing, "init"),
        ("it failed", json!([{"name": "i", "state": {"terminated": {"exitCode": 1}}}]), &initializing, "yes"),
        (
            "it ended, and the other runs",
            json!([{"name": "i", "state": {"terminated": {"exitCode": 0}}}]),
            &json!({"running": {}}),
            "yes",
        ),
        (
            "its image cannot be had",
            json!([{"name": "i", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]),
            &initializing,
            "yes",
        ),
        ("without one, created", json!(null), &json!({"waiting": {"reason": "ContainerCreating"}}), "no"),
        ("without one, running", json!(null), &json!({"running": {}}), "yes"),
    ] {
        let mut object =
            json!({"metadata": {"name": "cart-1", "uid": "u-1"}, "spec": {"containers": [{"name": "main"}]}});
        object["status"] = json!({});
        if init.is_array() {
            object["spec"]["initContainers"] = json!([{"name": "i"}]);
        }
        object["status"]["initContainerStatuses"] = init;
        object["status"]["containerStatuses"] = main(state);
        let Body::Pod(v1::Pod { facts: Some(facts), .. }) =
            serde_json::from_value::<SlimPod>(object).unwrap().observe()
        else {
            panic!()
        };
        assert_eq!(facts.begun, begun, "{what}");
    }
}
