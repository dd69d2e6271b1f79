//! Tests of what is told of a kubelet's summary, with summaries in the shape that kubelets give them.

use jiff::Timestamp;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::measured::*;
use super::summary::{MAX_PODS, Summary};

const GIB: u64 = 1 << 30;

fn fs(available: u64, capacity: u64, inodes_free: u64, inodes: u64) -> Value {
    json!({
        "time": "2026-11-20T10:00:00Z",
        "availableBytes": available, "capacityBytes": capacity, "usedBytes": capacity.saturating_sub(available),
        "inodesFree": inodes_free, "inodes": inodes, "inodesUsed": inodes.saturating_sub(inodes_free),
    })
}

fn volume(claim: &str, mut figures: Value) -> Value {
    figures["name"] = json!("data");
    figures["pvcRef"] = json!({"name": claim, "namespace": "shop"});
    figures
}

fn pod(name: &str, volumes: &[Value], memory: &Value) -> Value {
    json!({
        "podRef": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")},
        "startTime": "2026-11-20T09:00:00Z",
        "containers": [{
            "name": "main", "startTime": "2026-11-20T09:00:00Z",
            "cpu": {"time": "2026-11-20T10:00:00Z", "usageNanoCores": 7},
            "memory": memory, "rootfs": fs(1, 2, 1, 2), "logs": fs(1, 2, 1, 2),
        }],
        "volume": volumes, "ephemeral-storage": fs(1, 2, 1, 2),
    })
}

/// A node with a file system for itself and another one for images.
fn node() -> Value {
    json!({
        "nodeName": "node-a",
        "systemContainers": [{"name": "kubelet", "memory": {"usageBytes": 1}}],
        "cpu": {"time": "2026-11-20T10:00:00Z", "usageNanoCores": 70},
        "memory": {"availableBytes": 6 * GIB, "usageBytes": 3 * GIB, "workingSetBytes": 2 * GIB, "rssBytes": GIB},
        "swap": {"time": "2026-11-20T10:00:00Z", "swapAvailableBytes": 3, "swapUsageBytes": 4},
        "fs": fs(40 * GIB, 100 * GIB, 900, 1_000),
        "runtime": {"imageFs": fs(5 * GIB, 50 * GIB, 90, 100), "containerFs": fs(5 * GIB, 50 * GIB, 90, 100)},
        "rlimit": {"time": "2026-11-20T10:00:00Z", "maxpid": 32_768, "curproc": 412},
    })
}

fn told_of(node: &Value, pods: &[Value]) -> v1::NodeMeasured {
    let summary: Summary = serde_json::from_value(json!({"node": node, "pods": pods})).unwrap();
    measured("node-a", Some(&summary), None).unwrap().unwrap()
}

#[test]
fn the_figures_of_a_whole_summary_are_taken_over() {
    let pods = [pod("db-0", &[volume("data", fs(GIB, 10 * GIB, 5, 10))], &json!({"workingSetBytes": 1}))];
    let summary: Summary = serde_json::from_value(json!({"node": node(), "pods": pods})).unwrap();
    let object = json!({"metadata": {"name": "node-a"}, "status": {"conditions": [
        {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure", "message": "m"},
    ]}});
    let object: NodeObject = serde_json::from_value(object).unwrap();
    let told = measured("node-a", Some(&summary), Some(&object)).unwrap().unwrap();
    let memory = told.memory.unwrap();
    assert_eq!((memory.available_bytes, memory.working_set_bytes), (Some(6 * GIB), Some(2 * GIB)));
    assert_eq!((memory.swap_available_bytes, memory.swap_used_bytes), (Some(3), Some(4)));
    assert_eq!((told.processes, told.most_processes), (Some(412), Some(32_768)));
    assert_eq!(told.node_filesystem.unwrap().available_bytes, Some(40 * GIB));
    assert_eq!(told.image_filesystem.unwrap().capacity_bytes, Some(50 * GIB));
    assert_eq!(
        (told.conditions[0].r#type.as_str(), told.conditions[0].status.as_str()),
        ("DiskPressure", "True")
    );
    let volume = &told.volumes[0];
    assert_eq!(
        (volume.namespace.as_str(), volume.claim.as_str(), volume.pod.as_str()),
        ("shop", "data", "db-0")
    );
    assert_eq!(volume.filesystem.as_ref().unwrap().inodes_free, Some(5));
    assert!(
        !volume.on_node_filesystem && told.containers.is_empty(),
        "a container without a limit is near none"
    );
}

#[test]
fn what_was_not_measured_is_absent_and_not_zero() {
    let told = told_of(&json!({"nodeName": "node-a", "runtime": {}, "rlimit": {"maxpid": -1}}), &[]);
    let nothing = v1::NodeMeasured { node: "node-a".into(), ..Default::default() };
    assert_eq!(told, nothing);
    let bare = json!({"podRef": {"name": "p", "namespace": "shop"}, "volume": [
        {"name": "data", "pvcRef": {"name": "c", "namespace": "shop"}},
        {"name": "kube-api-access-x", "availableBytes": 1, "capacityBytes": 2},
    ]});
    let told = told_of(&json!({"nodeName": "node-a", "fs": {}}), &[bare]);
    assert_eq!(told.volumes.len(), 1, "a volume without a claim is nobody's");
    let expected = v1::MeasuredFilesystem::default();
    assert_eq!((told.volumes[0].filesystem, told.volumes[0].on_node_filesystem), (Some(expected), false));
}

#[test]
fn conditions_are_told_although_the_kubelet_says_nothing() {
    assert_eq!(measured("node-a", None, None), Ok(None));
    let object = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let object: NodeObject = serde_json::from_value(object).unwrap();
    let told = measured("node-a", None, Some(&object)).unwrap().unwrap();
    assert_eq!((told.conditions.len(), told.node_filesystem, told.pods), (1, None, 0));
}

#[test]
fn nothing_of_another_node_is_told() {
    for name in ["node-b", ""] {
        let pods = [pod("db-0", &[volume("data", fs(0, 10, 0, 10))], &json!({}))];
        let summary: Summary =
            serde_json::from_value(json!({"node": {"nodeName": name, "fs": fs(0, 10, 0, 10)}, "pods": pods}))
                .unwrap();
        let error = measured("node-a", Some(&summary), None).unwrap_err().to_string();
        assert!(error.contains("node-a") && error.contains(&format!("{name:?}")), "{error}");
        assert!(error.contains("NIMBUS_NODE_IP"), "{error}");
    }
}

#[test]
fn a_volume_on_the_nodes_own_disk_is_known_by_all_of_its_figures() {
    let own = |figures: Value| {
        let told = told_of(&node(), &[pod("p", &[volume("c", figures)], &json!({}))]);
        told.volumes[0].on_node_filesystem
    };
    assert!(own(fs(40 * GIB - 4_096, 100 * GIB, 899, 1_000)), "read a moment later");
    assert!(!own(fs(40 * GIB, 100 * GIB, 900, 2_000)), "another number of inodes");
    assert!(!own(fs(40 * GIB, 101 * GIB, 900, 1_000)), "another size");
    assert!(!own(fs(5 * GIB, 100 * GIB, 900, 1_000)), "another disk of the same size");
    assert!(!own(json!({"capacityBytes": 100 * GIB})));
}

#[test]
fn the_fullest_volumes_come_first_and_a_claim_comes_once() {
    let mut volumes = vec![volume("unknown", json!({})), volume("no-size", fs(0, 0, 0, 0))];
    volumes.extend((0..MAX_VOLUMES as u64).map(|n| volume(&format!("c{n:03}"), fs(1_000 - n, 1_000, 9, 10))));
    volumes.push(volume("inodes", fs(1_000, 1_000, 0, 10)));
    // Of one pod not all would be read.
    let mut pods: Vec<Value> =
        volumes.chunks(100).enumerate().map(|(n, some)| pod(&format!("a{n}"), some, &json!({}))).collect();
    pods.push(pod("b", &volumes[..10], &json!({})));
    let told = told_of(&node(), &pods);
    assert_eq!((told.volumes.len(), told.volumes_left_out), (MAX_VOLUMES, 3));
    assert_eq!((told.volumes[0].claim.as_str(), told.volumes[0].pod.as_str()), ("inodes", "a2"));
    assert!(told.volumes.iter().all(|volume| volume.claim != "unknown"));
}

#[test]
fn containers_near_their_limit_are_told_and_no_others() {
    let table = [
        ("far", json!({"workingSetBytes": 799, "availableBytes": 201}), None),
        ("near", json!({"workingSetBytes": 800, "availableBytes": 200}), Some(1_000)),
        ("at-it", json!({"workingSetBytes": 1_000, "availableBytes": 0}), Some(1_000)),
        ("without", json!({"workingSetBytes": 1_000}), None),
        ("nothing", json!({"workingSetBytes": 0, "availableBytes": 0}), None),
        ("nonsense", json!({"workingSetBytes": u64::MAX, "availableBytes": 1}), None),
    ];
    for (name, memory, limit) in &table {
        let told = told_of(&node(), &[pod(name, &[], memory)]);
        assert_eq!(told.containers.first().map(|one| one.limit_bytes), *limit, "{name}");
    }
    let pods: Vec<Value> = table.iter().map(|(name, memory, _)| pod(name, &[], memory)).collect();
    assert_eq!(told_of(&node(), &pods).containers[0].pod, "at-it");
}

/// An unverified peer may write what it was sent, the agent's token, in the place of any name.
#[test]
fn what_is_no_name_is_not_told() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    let full = json!({"workingSetBytes": 99, "availableBytes": 1});
    let mut odd = vec![pod(token, &[volume("data", fs(1, 2, 1, 2))], &full)];
    odd.push(pod("a", &[volume(token, fs(1, 2, 1, 2))], &full));
    odd[1]["containers"][0]["name"] = json!(token);
    let told = told_of(&node(), &odd);
    assert_eq!((told.volumes.len(), told.containers.len(), told.pods), (0, 0, 2), "{told:?}");
    let summary: Summary = serde_json::from_value(json!({"node": {"nodeName": token}})).unwrap();
    let error = is_ours("node-a", &summary).unwrap_err().to_string();
    assert!(error.contains("something that is no name") && !error.contains("eyJ"), "{error}");
    let summary: Summary = serde_json::from_value(json!({"node": {"nodeName": "node-b"}})).unwrap();
    assert!(is_ours("node-a", &summary).unwrap_err().to_string().contains("node-b"));
}

#[test]
fn a_pod_whose_sandbox_alone_runs_has_no_containers() {
    let mut one = pod("a", &[], &Value::Null);
    (one["containers"], one["volume"]) = (Value::Null, Value::Null);
    assert_eq!(told_of(&node(), &[one]).pods, 1);
}

#[test]
fn pods_beyond_the_bound_are_counted_and_not_looked_at() {
    let pods: Vec<Value> = (0..MAX_PODS + 2)
        .map(|n| pod(&format!("p{n}"), &[], &json!({"workingSetBytes": 99, "availableBytes": 1})))
        .collect();
    let told = told_of(&node(), &pods);
    assert_eq!((told.pods, told.pods_left_out, told.containers.len()), (500, 2, MAX_CONTAINERS));
}

#[test]
fn it_is_sent_when_something_moves_and_every_five_minutes() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let with =
        |used: u64| told_of(&node(), &[pod("p", &[volume("c", fs(1_000 - used, 1_000, 9, 10))], &json!({}))]);
    let mut sender = MeasuredSender::default();
    assert!(sender.offer(with(899), at(0)).is_some());
    assert_eq!(sender.offer(with(899), at(60)), None);
    assert!(
        sender.offer(with(900), at(120)).is_some(),
        "the bound of the control plane is a step's beginning"
    );
    assert_eq!(sender.offer(with(900), at(419)), None);
    assert!(sender.offer(with(900), at(420)).is_some());
    let pressed = v1::NodeMeasured {
        conditions: vec![v1::NodeCondition {
            r#type: "PIDPressure".into(),
            status: "True".into(),
            ..Default::default()
        }],
        ..with(900)
    };
    assert!(sender.offer(pressed.clone(), at(421)).is_some());
    assert!(sender.offer(pressed.clone(), at(400)).is_some(), "the clock was set back");
    sender.reset();
    assert!(sender.offer(pressed, at(401)).is_some());
}
