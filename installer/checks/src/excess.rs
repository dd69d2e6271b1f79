//! What a pod asks for that Pod Security's level `restricted` refuses (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).
//! Both charts ask for nothing of it by themselves; values may.

use serde_json::Value;

use crate::words::list;

/// One thing that `restricted` refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// In words, as `the host path /etc/kubernetes`.
    pub what: String,
    /// Does the level `baseline` take it?
    pub is_baseline: bool,
}

/// Capabilities that a container may be given at the level `baseline`; at `restricted` only the last one.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "NET_BIND_SERVICE",
];

/// What may stand in a volume at the level `restricted`; paths of the nodes are told by themselves.
const VOLUMES: [&str; 10] = [
    "name",
    "hostPath",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Of a pod's `spec`.
pub fn excess(spec: &Value) -> Vec<Excess> {
    let mut found = Vec::new();
    let paths: Vec<&str> =
        each(&spec["volumes"]).filter_map(|one| one["hostPath"]["path"].as_str()).collect();
    if !paths.is_empty() {
        let many = if paths.len() == 1 { "" } else { "s" };
        found.push(Excess { what: format!("the host path{many} {}", list(&paths)), is_baseline: false });
    }
    let kinds = each(&spec["volumes"]).filter_map(Value::as_object).flat_map(serde_json::Map::keys);
    for kind in kinds.filter(|kind| !VOLUMES.contains(&kind.as_str())) {
        found.push(Excess { what: format!("a volume of the kind {kind}"), is_baseline: true });
    }
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec[name] == true {
            found.push(Excess { what: name.to_owned(), is_baseline: false });
        }
    }
    for container in each(&spec["initContainers"]).chain(each(&spec["containers"])) {
        for one in of_container(&spec["securityContext"], container) {
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// Of a container; what it says itself stands before what its pod says.
fn of_container(pod: &Value, container: &Value) -> Vec<Excess> {
    let own = &container["securityContext"];
    let said = |name: &str| if own[name].is_null() { &pod[name] } else { &own[name] };
    let added = || each(&own["capabilities"]["add"]).filter_map(Value::as_str);
    let is_dropped = each(&own["capabilities"]["drop"]).any(|one| one == "ALL");
    let profile = &said("seccompProfile")["type"];
    let is_confined = profile == "RuntimeDefault" || profile == "Localhost";
    let beyond_baseline = [
        (own["privileged"] == true, "privileged"),
        (
            each(&container["ports"]).any(|port| port["hostPort"].as_u64().is_some_and(|port| port > 0)),
            "hostPort",
        ),
        (added().any(|one| !BASELINE_CAPABILITIES.contains(&one)), "capabilities.add"),
        (profile == "Unconfined", "seccompProfile Unconfined"),
    ];
    let beyond_restricted = [
        (own["allowPrivilegeEscalation"] != false, "allowPrivilegeEscalation other than false"),
        (!is_dropped, "capabilities.drop without ALL"),
        (added().any(|one| one != "NET_BIND_SERVICE"), "capabilities.add"),
        (*said("runAsNonRoot") != true, "runAsNonRoot other than true"),
        (*said("runAsUser") == 0, "runAsUser 0"),
        (!is_confined, "no seccompProfile"),
    ];
    let mut found = Vec::new();
    let mut add = |is_there: bool, what: &str, is_baseline: bool| {
        // What baseline refuses already is told once.
        if is_there && found.iter().all(|one: &Excess| one.what != what) {
            found.push(Excess { what: what.to_owned(), is_baseline });
        }
    };
    for (is_there, what) in beyond_baseline {
        add(is_there, what, false);
    }
    for (is_there, what) in beyond_restricted {
        add(is_there, what, true);
    }
    found
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pod as both charts make them, with one thing changed.
    fn pod(change: impl FnOnce(&mut Value)) -> Vec<(String, bool)> {
        let mut spec = json!({
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"ports": [{"containerPort": 7072}], "securityContext":
                {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
            "volumes": [{"name": "state", "emptyDir": {}}],
        });
        change(&mut spec);
        excess(&spec).into_iter().map(|one| (one.what, one.is_baseline)).collect()
    }

    #[test]
    fn the_pods_of_both_charts_ask_for_nothing_that_restricted_refuses_and_values_may() {
        assert!(pod(|_| {}).is_empty());
        assert!(pod(|spec| spec["securityContext"]["runAsUser"] = Value::Null).is_empty());
        let paths =
            pod(|spec| spec["volumes"] = json!([{"hostPath": {"path": "/a"}}, {"hostPath": {"path": "/b"}}]));
        assert_eq!(paths, [("the host paths /a, /b".to_owned(), false)]);
        let own =
            |name: &str, value: Value| pod(|spec| spec["containers"][0]["securityContext"][name] = value);
        for (found, what, is_baseline) in [
            (pod(|spec| spec["hostNetwork"] = json!(true)), "hostNetwork", false),
            (
                pod(|spec| spec["volumes"] = json!([{"name": "a", "nfs": {}}])),
                "a volume of the kind nfs",
                true,
            ),
            (pod(|spec| spec["containers"][0]["ports"][0]["hostPort"] = json!(1)), "hostPort", false),
            (own("privileged", json!(true)), "privileged", false),
            (own("capabilities", json!({"drop": ["ALL"], "add": ["SYS_ADMIN"]})), "capabilities.add", false),
            (own("capabilities", json!({"drop": ["ALL"], "add": ["CHOWN"]})), "capabilities.add", true),
            (own("capabilities", json!({})), "capabilities.drop without ALL", true),
            (own("runAsNonRoot", json!(false)), "runAsNonRoot other than true", true),
            (own("runAsUser", json!(0)), "runAsUser 0", true),
            (own("allowPrivilegeEscalation", Value::Null), "allowPrivilegeEscalation other than false", true),
            (pod(|spec| spec["securityContext"]["seccompProfile"] = Value::Null), "no seccompProfile", true),
        ] {
            assert_eq!(found, [(what.to_owned(), is_baseline)]);
        }
        assert!(own("capabilities", json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})).is_empty());
    }
}
