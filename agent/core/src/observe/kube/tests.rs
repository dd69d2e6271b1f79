//! Tests of the observations that are made from objects as an API server sends them.

use nimbus_protocol::kind::ANTI_AFFINITY;
use nimbus_protocol::v1::observation::Body;
use prost::Message as _;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "hunter2-never-leaves";

fn of<T: Slim>(object: &Value) -> Body {
    serde_json::from_value::<T>(object.clone()).unwrap().observe()
}

fn bytes(body: Body) -> Vec<u8> {
    v1::Observation { body: Some(body), ..Default::default() }.encode_to_vec()
}

fn template() -> Value {
    json!({
        "metadata": {"creationTimestamp": null, "labels": {"app": "cart"}, "annotations": {"note": SECRET}},
        "spec": {
            "initContainers": [{"name": "prepare", "image": "prepare:1"}],
            "containers": [{
                "name": "main", "image": "cart:2", "args": ["--password", SECRET],
                "env": [{"name": "TOKEN", "value": SECRET}],
            }],
        },
    })
}

fn pod() -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": "cart-1", "namespace": "shop", "uid": "u-1", "resourceVersion": "77",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {"app": "cart"}, "annotations": {"note": SECRET},
            "managedFields": [{"manager": SECRET, "fieldsV1": {"f:metadata": {}}}],
            "ownerReferences": [
                {"kind": "Thing", "name": "t", "uid": "x"},
                {
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-abc", "uid": "rs-1",
                    "controller": true,
                },
            ],
        },
        "spec": {
            "nodeName": "n1", "future": {"unknown": [1, 2]},
            "containers": [
                {"name": "main", "image": "cart:2", "args": [SECRET], "env": [{"name": "A", "value": SECRET}]},
                {"name": "side", "image": "side:1"},
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-02T03:04:06Z"},
                {"type": "PodScheduled", "status": "True"},
            ],
            "containerStatuses": [{
                "name": "main", "image": "cart:2", "ready": false, "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": SECRET}},
                "lastState": {"terminated": {
                    "reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-01-02T03:04:07Z", "message": SECRET,
                }},
            }],
            "initContainerStatuses": [
                {"name": "done", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}},
                {"name": "stuck", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
            ],
        },
    })
}

#[test]
fn a_crash_looping_pod_says_so_and_nothing_secret() {
    let body = of::<SlimPod>(&pod());
    let Body::Pod(seen) = &body else { panic!("{body:?}") };
    let meta = seen.meta.as_ref().unwrap();
    assert_eq!((meta.owner_kind.as_str(), meta.owner_uid.as_str()), ("ReplicaSet", "rs-1"));
    assert_eq!(meta.owner_api_version, "apps/v1");
    assert_eq!(meta.created_at_us, 1_767_323_045_000_000);
    assert_eq!((seen.node.as_str(), seen.ready, seen.unschedulable.as_str()), ("n1", false, ""));
    let names: Vec<_> = seen.containers.iter().map(|c| (c.name.as_str(), c.state.as_str())).collect();
    assert_eq!(names, [("stuck", "waiting"), ("main", "waiting"), ("side", "")]);
    let main = &seen.containers[1];
    assert_eq!((main.restart_count, main.last_exit_code), (4, 137));
    assert_eq!((main.reason.as_str(), main.last_reason.as_str()), ("CrashLoopBackOff", "OOMKilled"));
    assert!(!bytes(body).windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
}

#[test]
fn what_a_container_waits_for_is_named_and_nothing_else_that_is_said_of_it() {
    let mut object = pod();
    let waiting = "/status/containerStatuses/0/state/waiting";
    *object.pointer_mut(waiting).unwrap() =
        json!({"reason": "CreateContainerConfigError", "message": "secret \"web-key\" not found"});
    let Body::Pod(seen) = of::<SlimPod>(&object) else { panic!() };
    assert_eq!(seen.containers[1].message, "secret \"web-key\" not found");
    let Body::Pod(seen) = of::<SlimPod>(&pod()) else { panic!() };
    assert_eq!(seen.containers[1].message, "", "of a crash nothing is said");
}

#[test]
fn a_pod_that_nobody_has_spoken_of_is_not_ready() {
    let mut object = pod();
    object["status"] = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"},
    ]});
    object["metadata"]["deletionTimestamp"] = json!("not a time");
    let Body::Pod(seen) = of::<SlimPod>(&object) else { panic!() };
    assert!(!seen.ready);
    assert_eq!(seen.unschedulable, "Unschedulable: 0/3 nodes");
    assert_eq!(seen.ready_since_us, 0);
    assert_ne!(seen.meta.unwrap().deleting_since_us, 0, "a deletion is never overlooked");
    assert_eq!(seen.containers.iter().map(|c| c.state.as_str()).collect::<Vec<_>>(), ["", ""]);
}

fn deployment() -> Value {
    json!({
        "metadata": {
            "name": "cart", "namespace": "shop", "uid": "d-1", "generation": 5,
            "annotations": {"deployment.kubernetes.io/revision": "3", "note": SECRET},
        },
        "spec": {"replicas": 4, "template": template()},
        "status": {
            "observedGeneration": 5, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3,
            "conditions": [{
                "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late",
            }],
        },
    })
}

#[test]
fn a_stuck_rollout_says_so_and_nothing_secret() {
    let body = of::<SlimDeployment>(&deployment());
    let Body::Deployment(seen) = &body else { panic!("{body:?}") };
    assert_eq!((seen.generation, seen.observed_generation, seen.revision), (5, 5, 3));
    assert_eq!((seen.desired, seen.updated, seen.ready, seen.available), (4, 1, 3, 3));
    assert_eq!(seen.progressing_reason, "ProgressDeadlineExceeded");
    assert_eq!(seen.images, ["cart:2", "prepare:1"]);
    assert_eq!(seen.template_hash, template_hash(&template()));
    assert_eq!(seen.manager, "");
    assert!(!bytes(body).windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
}

#[test]
fn a_replica_set_has_the_digest_of_the_deployment_that_made_it() {
    let mut own = template();
    own["metadata"]["labels"]["pod-template-hash"] = json!("abc123");
    own["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    let object = json!({
        "metadata": {"uid": "rs-1", "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": 1, "template": own},
        "status": {"replicas": 1, "readyReplicas": 1},
    });
    let Body::ReplicaSet(seen) = of::<SlimReplicaSet>(&object) else { panic!() };
    assert_eq!(seen.template_hash, template_hash(&template()));
    assert_eq!((seen.revision, seen.replicas, seen.ready_replicas), (2, 1, 1));
}

#[test]
fn the_digest_sees_every_change_but_not_the_order_of_keys() {
    let one: Value = serde_json::from_str(r#"{"spec":{"a":1,"b":[1,2]},"metadata":{}}"#).unwrap();
    let same: Value = serde_json::from_str(r#"{"metadata":{ },"spec":{"b":[1,2],"a":1,"c":null}}"#).unwrap();
    assert_eq!(template_hash(&one), template_hash(&same));
    for other in [
        json!({"spec": {"a": 1, "b": [2, 1]}, "metadata": {}}),
        json!({"spec": {"a": "1", "b": [1, 2]}, "metadata": {}}),
        json!({"spec": {"a": 1, "b": [1, 2]}, "metadata": {"labels": {"x": "y"}}}),
        json!({"spec": {"a": 1, "b": [1, 2], "labels": {"pod-template-hash": "x"}}, "metadata": {}}),
    ] {
        assert_ne!(template_hash(&one), template_hash(&other), "{other}");
    }
    // The canonical form, written out.
    let expected = nimbus_protocol::sha256(br#"{"metadata":{},"spec":{"a":1,"b":[1,2]}}"#);
    assert_eq!(template_hash(&one), expected);
}

#[test]
fn whoever_manages_a_deployment_is_named_with_the_evidence() {
    let cases = [
        (json!({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}), "argocd", "tracking-id = x"),
        (json!({"labels": {"argocd.argoproj.io/instance": "x"}}), "argocd", "instance = x"),
        (json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}), "flux", "kustomize"),
        (json!({"labels": {"helm.toolkit.fluxcd.io/name": "x"}}), "flux", "helm.toolkit"),
        (
            json!({
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "x"},
            }),
            "helm",
            "release-name = x",
        ),
        (json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}), "", ""),
        (
            json!({"ownerReferences": [{"kind": "Shop", "name": "s", "uid": "u", "controller": true}]}),
            "operator",
            "Shop s",
        ),
        (json!({"ownerReferences": [{"kind": "Shop", "name": "s", "uid": "u"}]}), "operator", "Shop s"),
    ];
    for (metadata, manager, evidence) in cases {
        let Body::Deployment(seen) = of::<SlimDeployment>(&json!({"metadata": metadata})) else { panic!() };
        assert_eq!(seen.manager, manager, "{metadata}");
        assert!(seen.manager_evidence.contains(evidence), "{metadata}: {}", seen.manager_evidence);
    }
}

#[test]
fn a_node_is_as_ready_as_the_api_server_says_and_unknown_without_a_word() {
    let object = json!({
        "metadata": {
            "name": "n1", "uid": "n-1", "labels": {"node-role.kubernetes.io/control-plane": ""},
            "annotations": {"nimbus.dev/cordoned-by": "job_1"},
        },
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]},
    });
    let Body::Node(seen) = of::<SlimNode>(&object) else { panic!() };
    assert_eq!((seen.ready.as_str(), seen.ready_reason.as_str()), ("Unknown", "NodeStatusUnknown"));
    assert!(seen.unschedulable && seen.control_plane);
    assert_eq!(seen.cordoned_by, "job_1");
    let Body::Node(silent) = of::<SlimNode>(&json!({"metadata": {"name": "n2"}})) else { panic!() };
    assert_eq!(silent.ready, "Unknown");
}

#[test]
fn lists_are_read_page_by_page_and_may_be_null() {
    let page: SlimList<SlimPod> = serde_json::from_value(json!({
        "kind": "PodList", "metadata": {"resourceVersion": "9", "continue": "next"}, "items": [pod()],
    }))
    .unwrap();
    assert_eq!((page.items.len(), page.metadata.continue_token.as_str()), (1, "next"));
    assert_eq!(page.items[0].gone().uid, "u-1");
    let empty: SlimList<SlimPod> = serde_json::from_value(json!({"metadata": {}, "items": null})).unwrap();
    assert!(empty.items.is_empty());
}

#[test]
fn long_messages_are_cut_at_a_character() {
    let mut object = deployment();
    object["status"]["conditions"][0]["message"] = json!("ä".repeat(5_000));
    let Body::Deployment(seen) = of::<SlimDeployment>(&object) else { panic!() };
    assert!(seen.progressing_message.len() < 1_100, "{}", seen.progressing_message.len());
    assert!(seen.progressing_message.ends_with("ä…"));
}

#[test]
fn what_an_eviction_would_touch_is_said_of_a_pod() {
    let mut object = pod();
    object["metadata"]["annotations"] = json!({
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
        "karpenter.sh/do-not-evict": "false",
        "note": SECRET,
    });
    object["status"]["startTime"] = json!("2026-01-02T03:04:05Z");
    object["status"]["ephemeralContainerStatuses"] =
        json!([{"name": "debug", "state": {"running": {}}}, {"name": "old", "state": {"terminated": {}}}]);
    object["spec"]["volumes"] = json!([
        {"name": "cache", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
        {"name": "scratch", "ephemeral": {}},
        {"name": "logs", "hostPath": {"path": SECRET}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}},
        {"name": "token", "projected": {}},
    ]);
    let body = of::<SlimPod>(&object);
    let Body::Pod(v1::Pod { facts: Some(facts), .. }) = &body else { panic!("{body:?}") };
    assert_eq!(facts.started_at_us, 1_767_323_045_000_000);
    assert_eq!(
        facts.do_not_disturb,
        [
            "annotation cluster-autoscaler.kubernetes.io/safe-to-evict: false",
            "annotation karpenter.sh/do-not-disrupt: true",
            "the ephemeral container debug runs in it",
        ]
    );
    assert_eq!(
        facts.lost_volumes,
        ["emptyDir cache", "ephemeral volume scratch", "hostPath logs (it stays on its node)"]
    );
    let placement = facts.placement.as_ref().unwrap();
    assert_eq!(placement.other_conditions, ["ephemeral volume scratch", "volume data of claim data-0"]);
    assert!(!bytes(body).windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
}

#[test]
fn the_config_maps_and_secrets_that_a_pod_refers_to_are_named_once_each() {
    let mut object = pod();
    let spec = object["spec"].as_object_mut().unwrap();
    spec.insert(
        "initContainers".into(),
        json!([{"name": "wait", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "a"}}}]}]),
    );
    spec["containers"][0]["env"] = json!([
        {"name": "PASSWORD", "value": SECRET},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}},
    ]);
    spec["containers"][0]["envFrom"] =
        json!([{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]);
    spec.insert(
        "volumes".into(),
        json!([
            {"name": "a", "configMap": {"name": "settings"}},
            {"name": "b", "secret": {"secretName": "tls"}},
            {"name": "c", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt"}},
                {"configMap": {"name": "more"}}, {"secret": {"name": "other"}},
            ]}},
        ]),
    );
    let body = of::<SlimPod>(&object);
    let Body::Pod(v1::Pod { facts: Some(facts), .. }) = &body else { panic!("{body:?}") };
    assert_eq!(facts.config_maps, ["flags", "more", "settings"]);
    assert_eq!(facts.secrets, ["keys", "other", "tls", "token"]);
    assert!(facts.references_complete);
    assert!(!bytes(body).windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
    // Where there are too many it is said that these are not all.
    let many = (0..40).map(|n| json!({"name": format!("v{n}"), "configMap": {"name": format!("map-{n}")}}));
    object["spec"]["volumes"] = many.collect();
    let body = of::<SlimPod>(&object);
    let Body::Pod(v1::Pod { facts: Some(facts), .. }) = &body else { panic!("{body:?}") };
    assert!(facts.config_maps.len() == 32 && !facts.references_complete);
    // So it is where there are more init containers than are told.
    object["spec"]["volumes"] = json!([]);
    object["spec"]["initContainers"] = (0..40).map(|n| json!({"name": format!("i{n}")})).collect();
    let body = of::<SlimPod>(&object);
    let Body::Pod(v1::Pod { facts: Some(facts), .. }) = &body else { panic!("{body:?}") };
    assert!(facts.init_images.len() == 32 && !facts.references_complete);
}

/// Some of many terms would read as all of them.
#[test]
fn of_too_many_terms_of_anti_affinity_none_is_told_and_that_is_said_first() {
    let told = |terms: usize, spreads: usize| {
        let mut object = pod();
        let term = |n| json!({"topologyKey": format!("key-{n}"), "labelSelector": {}});
        let terms: Vec<_> = (0..terms).map(term).collect();
        object["spec"]["affinity"] =
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}});
        object["spec"]["topologySpreadConstraints"] = (0..spreads)
            .map(|n| json!({"topologyKey": format!("rack-{n}"), "whenUnsatisfiable": "DoNotSchedule"}))
            .collect();
        let Body::Pod(seen) = of::<SlimPod>(&object) else { panic!() };
        seen.facts.unwrap().placement.unwrap()
    };
    assert_eq!(told(64, 0).keeps_away.len(), 64);
    for placement in [told(65, 0), told(65, 100)] {
        assert!(placement.keeps_away.is_empty());
        assert_eq!(placement.other_conditions[0], ANTI_AFFINITY);
    }
}

#[test]
fn what_the_scheduler_asks_of_a_node_for_a_pod_is_said_and_the_rest_is_named() {
    let mut object = pod();
    object["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    object["spec"]["tolerations"] = json!([
        {"key": "gpu", "operator": "Exists"},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
    ]);
    object["spec"]["affinity"] = json!({
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
        ]}},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "host", "labelSelector": {}}, {"topologyKey": "zone", "namespaceSelector": {}},
        ]},
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]},
    });
    object["spec"]["topologySpreadConstraints"] = json!([
        {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"},
        {"topologyKey": "host", "whenUnsatisfiable": "ScheduleAnyway"},
    ]);
    object["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "250m", "memory": "64Mi"}});
    object["spec"]["containers"][1]["resources"] = json!({"requests": {"cpu": 1, "example.com/gpu": "1"}});
    object["spec"]["containers"][1]["ports"] = json!([{"containerPort": 80}, {"hostPort": 9100}]);
    object["spec"]["initContainers"] = json!([
        {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
        {"name": "prepare", "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}},
    ]);
    let Body::Pod(seen) = of::<SlimPod>(&object) else { panic!() };
    let placement = seen.facts.unwrap().placement.unwrap();
    assert_eq!(placement.node_selector, [v1::Label { key: "disk".into(), value: "ssd".into() }]);
    assert_eq!(placement.node_terms[0].requirements[0].key, "zone");
    assert_eq!(placement.tolerations.len(), 1, "those that every pod gets say nothing of where it may go");
    assert_eq!((placement.cpu_milli, placement.memory_bytes), (1_350, 1 << 30));
    assert_eq!(
        placement.other_conditions,
        [
            "required pod anti-affinity",
            "topology spread over zone",
            "a port of the node",
            "the resource example.com/gpu"
        ]
    );
    let terms: Vec<_> =
        placement.keeps_away.iter().map(|term| (term.topology_key.as_str(), term.other_namespaces)).collect();
    assert_eq!(terms, [("host", false), ("zone", true)]);
}

#[test]
fn an_init_container_and_a_sidecar_are_said_to_be_one() {
    let mut object = pod();
    object["spec"]["initContainers"] =
        json!([{"name": "stuck"}, {"name": "proxy", "restartPolicy": "Always"}]);
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    object["status"]["initContainerStatuses"] = json!([
        {"name": "stuck", "restartCount": 2, "state": waiting},
        {"name": "proxy", "restartCount": 2, "state": waiting},
    ]);
    let Body::Pod(seen) = of::<SlimPod>(&object) else { panic!() };
    let roles: Vec<_> = seen.containers.iter().map(|c| (c.name.as_str(), c.role.as_str())).collect();
    assert_eq!(roles, [("stuck", "init"), ("proxy", "sidecar"), ("main", ""), ("side", "")]);
}

#[test]
fn a_node_says_who_holds_it_who_is_at_work_on_it_and_what_it_offers() {
    let object = json!({
        "metadata": {
            "name": "n1", "uid": "n-1", "labels": {"disk": "ssd"},
            "annotations": {"weave.works/kured-reboot-in-progress": "2026-01-02T03:04:05Z"},
        },
        "spec": {"taints": [
            {"key": "nimbus.dev/held", "value": "job_1.1800000000", "effect": "NoSchedule"},
            {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"},
        ]},
        "status": {"allocatable": {"cpu": "3920m", "memory": "16Gi", "pods": "110"}},
    });
    let Body::Node(v1::Node { facts: Some(facts), .. }) = of::<SlimNode>(&object) else { panic!() };
    assert_eq!((facts.held_by.as_str(), facts.held_until_us), ("job_1", 1_800_000_000_000_000));
    assert_eq!(facts.taints.len(), 2);
    assert_eq!(facts.marks.len(), 2, "ours is no mark of others: {:?}", facts.marks);
    assert!(facts.marks[0].starts_with("kured") && facts.marks[1].starts_with("cluster autoscaler"));
    assert_eq!(facts.labels, [v1::Label { key: "disk".into(), value: "ssd".into() }]);
    assert_eq!((facts.cpu_milli, facts.memory_bytes, facts.pods), (3_920, 16 << 30, 110));
}

#[test]
fn how_a_stateful_set_is_updated_is_said() {
    let set = |spec: Value| {
        let object = json!({
            "metadata": {"name": "db", "namespace": "shop", "uid": "s-1", "generation": 2},
            "spec": spec,
            "status": {"observedGeneration": 2, "currentRevision": "db-1", "updateRevision": "db-2"},
        });
        let Body::StatefulSet(seen) = of::<SlimStatefulSet>(&object) else { panic!() };
        seen
    };
    let seen = set(json!({
        "podManagementPolicy": "Parallel", "ordinals": {"start": 1}, "template": template(),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
    }));
    assert_eq!((seen.pod_management_policy.as_str(), seen.first_ordinal), ("Parallel", 1));
    assert_eq!((seen.update_strategy.as_str(), seen.partition), ("RollingUpdate", Some(2)));
    assert_eq!((seen.current_revision.as_str(), seen.update_revision.as_str()), ("db-1", "db-2"));
    let seen = set(json!({"podManagementPolicy": "OrderedReady", "template": template()}));
    assert_eq!((seen.pod_management_policy.as_str(), seen.partition), ("OrderedReady", Some(0)));
}
