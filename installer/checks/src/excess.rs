//! What a pod asks for that Pod Security's level `restricted` refuses (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>),
//! as Kubernetes 1.25 to 1.37 judge it. Both charts ask for nothing of it by themselves; values may.
//!
//! Rules that releases loosened (sysctls, types of SELinux) are told with the release that did: an older cluster refuses what they let
//! through by now, and so does a newer one in a namespace whose `enforce-version` is an older one.

use serde_json::Value;

use crate::words::list;

/// One thing that `restricted` refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// In words, as `the host path /etc/kubernetes`.
    pub what: String,
    /// Does the level `baseline` take it?
    pub is_baseline: bool,
    /// From which minor release of Kubernetes 1 on no level refuses it any more; `None`: each does that `is_baseline` says.
    pub taken_since: Option<u32>,
}

impl Excess {
    /// Does a namespace refuse it that enforces `baseline`, or otherwise `restricted`, by the rules of this minor release?
    pub fn is_refused(&self, by_baseline: bool, minor: u32) -> bool {
        !(by_baseline && self.is_baseline) && self.taken_since.is_none_or(|since| minor < since)
    }
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
const VOLUMES: [&str; 11] = [
    "name",
    "hostPath",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Settings of the kernel that are a pod's own, and the minor release since which each may be set; 0: before 1.25.
const SYSCTLS: [(&str, u32); 14] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_notsent_lowat", 37),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_slow_start_after_idle", 37),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.tcp_wmem", 32),
];

/// SELinux types of containers, in the same way.
const SELINUX_TYPES: [(&str, u32); 4] =
    [("container_t", 0), ("container_init_t", 0), ("container_kvm_t", 0), ("container_engine_t", 31)];

/// Since which minor release one of these is taken; `None`: by none.
fn since(all: &[(&str, u32)], name: &str) -> Option<u32> {
    all.iter().find(|(one, _)| *one == name).map(|(_, since)| *since)
}

/// How an annotation names a container's AppArmor profile.
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Of a pod's template: `metadata` and `spec`.
pub fn excess(template: &Value) -> Vec<Excess> {
    let spec = &template["spec"];
    let mut found = Found::default();
    let paths: Vec<&str> =
        each(&spec["volumes"]).filter_map(|one| one["hostPath"]["path"].as_str()).collect();
    if !paths.is_empty() {
        let many = if paths.len() == 1 { "" } else { "s" };
        found.add(true, &format!("the host path{many} {}", list(&paths)), false);
    }
    // A field that is null is none.
    let fields = each(&spec["volumes"]).filter_map(Value::as_object).flatten();
    for (kind, _) in fields.filter(|(kind, value)| !value.is_null() && !VOLUMES.contains(&kind.as_str())) {
        found.add(true, &format!("a volume of the kind {kind}"), true);
    }
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        found.add(spec[name] == true, name, false);
    }
    let pod = &spec["securityContext"];
    let sysctls = each(&pod["sysctls"]).filter_map(|one| one["name"].as_str());
    for name in sysctls {
        found.add_until(since(&SYSCTLS, name), &format!("the sysctl {name}"));
    }
    let annotations = template["metadata"]["annotations"].as_object();
    let profiles = annotations.into_iter().flatten().filter(|(name, _)| name.starts_with(APPARMOR));
    for (_, profile) in profiles {
        let profile = profile.as_str().unwrap_or_default();
        let is_confined =
            profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
        found.add(!is_confined, &format!("the AppArmor profile {profile}"), false);
    }
    found.of_context(pod);
    for container in each(&spec["initContainers"]).chain(each(&spec["containers"])) {
        found.of_container(pod, container);
    }
    found.0
}

/// What was found, each once.
#[derive(Default)]
struct Found(Vec<Excess>);

impl Found {
    fn add(&mut self, is_there: bool, what: &str, is_baseline: bool) {
        // What baseline refuses already is told once.
        let is_told =
            |one: &Excess| one.what == what && one.taken_since.is_none() && (is_baseline || !one.is_baseline);
        if is_there && !self.0.iter().any(is_told) {
            self.0.push(Excess { what: what.to_owned(), is_baseline, taken_since: None });
        }
    }

    /// Adds what each level refuses, or did before this release.
    fn add_until(&mut self, taken_since: Option<u32>, what: &str) {
        let is_told = |one: &Excess| one.what == what && one.taken_since == taken_since;
        if taken_since != Some(0) && !self.0.iter().any(is_told) {
            self.0.push(Excess { what: what.to_owned(), is_baseline: false, taken_since });
        }
    }

    /// What a security context says, a pod's or a container's, whatever the other one says.
    fn of_context(&mut self, context: &Value) {
        let confined = |field: &str| {
            matches!(context[field]["type"].as_str(), None | Some("RuntimeDefault" | "Localhost"))
        };
        for field in ["seccompProfile", "appArmorProfile"] {
            let profile = context[field]["type"].as_str().unwrap_or_default();
            self.add(!confined(field), &format!("{field} {profile}"), false);
        }
        let selinux = &context["seLinuxOptions"];
        let text = |field: &str| selinux[field].as_str().filter(|text| !text.is_empty());
        self.add(text("user").is_some() || text("role").is_some(), "seLinuxOptions", false);
        if let Some(kind) = text("type") {
            self.add_until(since(&SELINUX_TYPES, kind), &format!("the SELinux type {kind}"));
        }
        self.add(context["windowsOptions"]["hostProcess"] == true, "windowsOptions.hostProcess", false);
        self.add(context["runAsNonRoot"] == false, NOT_NON_ROOT, true);
        self.add(context["runAsUser"] == 0, "runAsUser 0", true);
    }

    /// What a container asks for; what it says itself stands before what its pod says.
    fn of_container(&mut self, pod: &Value, container: &Value) {
        let own = &container["securityContext"];
        let said = |name: &str| if own[name].is_null() { &pod[name] } else { &own[name] };
        let added = || each(&own["capabilities"]["add"]).filter_map(Value::as_str);
        let ports = || each(&container["ports"]).filter_map(|port| port["hostPort"].as_u64());
        let proc = own["procMount"].as_str().is_some_and(|mount| mount != "Default");
        self.add(own["privileged"] == true, "privileged", false);
        self.add(ports().any(|port| port > 0), "hostPort", false);
        self.add(added().any(|one| !BASELINE_CAPABILITIES.contains(&one)), "capabilities.add", false);
        self.add(proc, "procMount other than Default", false);
        self.of_context(own);
        let is_dropped = each(&own["capabilities"]["drop"]).any(|one| one == "ALL");
        let no_escalation = own["allowPrivilegeEscalation"] == false;
        self.add(!no_escalation, "allowPrivilegeEscalation other than false", true);
        self.add(!is_dropped, "capabilities.drop without ALL", true);
        self.add(added().any(|one| one != "NET_BIND_SERVICE"), "capabilities.add", true);
        self.add(*said("runAsNonRoot") != true, NOT_NON_ROOT, true);
        self.add(said("seccompProfile")["type"].is_null(), "no seccompProfile", true);
    }
}

const NOT_NON_ROOT: &str = "runAsNonRoot other than true";

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pod as both charts make them, with one thing changed.
    fn pod(change: impl FnOnce(&mut Value)) -> Vec<(String, bool)> {
        let mut template = json!({"metadata": {"annotations": {}}, "spec": {
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"ports": [{"containerPort": 7072}], "securityContext":
                {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
            "volumes": [{"name": "state", "emptyDir": {}}],
        }});
        change(&mut template["spec"]);
        let found = excess(&template).into_iter().filter(|one| one.is_refused(false, 37));
        found.map(|one| (one.what, one.is_baseline)).collect()
    }

    #[test]
    fn what_a_release_let_through_is_refused_before_it() {
        for (context, since) in [
            (json!({"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports", "value": "1"}]}), 27),
            (json!({"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}), 32),
            (json!({"sysctls": [{"name": "net.ipv4.tcp_notsent_lowat", "value": "1"}]}), 37),
            (json!({"seLinuxOptions": {"type": "container_engine_t"}}), 31),
        ] {
            let found = excess(&json!({"spec": {"securityContext": context}}));
            assert_eq!(found.len(), 1, "{found:?}");
            for minor in [25, since - 1] {
                assert!(found[0].is_refused(true, minor) && found[0].is_refused(false, minor), "{found:?}");
            }
            assert!(!found[0].is_refused(false, since), "{found:?}");
        }
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
        let pods = |name: &str, value: Value| pod(|spec| spec["securityContext"][name] = value);
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
            (own("runAsNonRoot", json!(false)), NOT_NON_ROOT, true),
            (own("runAsUser", json!(0)), "runAsUser 0", true),
            (own("allowPrivilegeEscalation", Value::Null), "allowPrivilegeEscalation other than false", true),
            (own("procMount", json!("Unmasked")), "procMount other than Default", false),
            (own("appArmorProfile", json!({"type": "Unconfined"})), "appArmorProfile Unconfined", false),
            (pods("seccompProfile", Value::Null), "no seccompProfile", true),
            (pods("seLinuxOptions", json!({"type": "spc_t"})), "the SELinux type spc_t", false),
            (pods("seLinuxOptions", json!({"user": "system_u"})), "seLinuxOptions", false),
            (pods("windowsOptions", json!({"hostProcess": true})), "windowsOptions.hostProcess", false),
            (
                pods("sysctls", json!([{"name": "kernel.msgmax", "value": "1"}])),
                "the sysctl kernel.msgmax",
                false,
            ),
        ] {
            assert_eq!(found, [(what.to_owned(), is_baseline)]);
        }
        for taken in [
            own("capabilities", json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
            pods("seLinuxOptions", json!({"type": "container_t", "level": "s0:c1,c2"})),
            pods("sysctls", json!([{"name": "net.ipv4.tcp_syncookies", "value": "1"}])),
            pod(|spec| {
                spec["volumes"] = json!([{"name": "a", "image": {"reference": "a/b"}, "hostPath": null}]);
            }),
        ] {
            assert!(taken.is_empty(), "{taken:?}");
        }
    }

    /// A type that some releases take hides none that no release takes.
    #[test]
    fn what_is_refused_always_is_told_beside_what_was_refused_once() {
        let found = pod(|spec| {
            spec["securityContext"]["seLinuxOptions"] = json!({"type": "container_engine_t"});
            spec["containers"][0]["securityContext"]["seLinuxOptions"] =
                json!({"type": "spc_t", "user": "u"});
        });
        let words = ["seLinuxOptions", "the SELinux type spc_t"].map(|what| (what.to_owned(), false));
        assert_eq!(found, words);
    }

    /// Whatever the container says itself.
    #[test]
    fn what_the_pod_says_is_refused_though_its_container_says_better() {
        let found = pod(|spec| {
            spec["securityContext"]["runAsNonRoot"] = json!(false);
            spec["containers"][0]["securityContext"]["runAsNonRoot"] = json!(true);
        });
        assert_eq!(found, [(NOT_NON_ROOT.to_owned(), true)]);
    }

    #[test]
    fn an_apparmor_annotation_counts() {
        let with = |profile: &str| {
            excess(&json!({"metadata": {"annotations": {format!("{APPARMOR}agent"): profile}}, "spec": {}}))
        };
        assert_eq!(with("unconfined")[0].what, "the AppArmor profile unconfined");
        assert!(with("runtime/default").is_empty() && with("localhost/mine").is_empty());
    }
}
