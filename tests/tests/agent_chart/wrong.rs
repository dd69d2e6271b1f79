//! Values that contradict each other, a Kubernetes that is too old: with which words they are refused.

use crate::{CHART, policy};

/// Values, and what has to be said of them.
const CONTRADICTIONS: &[(&str, &[&str])] = &[
    ("server=", &["server: expected", "HOST:PORT", "found none"]),
    ("server=https://nimbus.example.com:7071", &["server", "leave out the scheme"]),
    ("server=nimbus.example.com", &["server", "HOST:PORT"]),
    ("server=nimbus.example.com:70000", &["server", "1 to 65535", "UDP, else TCP"]),
    ("join.existingSecret=", &["join.existingSecret", "found neither", "agents token create"]),
    ("image.registry=", &["image.registry", "pullPolicy"]),
    ("image.repository=a/b:1", &["image.repository", "image.tag"]),
    ("image.digest=0123", &["image.digest", "sha256:", "(4 characters)"]),
    ("image.tag=sha256:00", &["image.tag", "image.digest"]),
    ("image.tag=-x", &["image.tag: expected a tag", "(2 characters)"]),
    ("image.tag=a b", &["image.tag: expected a tag", "(3 characters)"]),
    (
        "image.registry=https://r.example.com",
        &["image.registry", "without a scheme", "\"https://r.example.com\""],
    ),
    (
        "image.registry=r.example.com/",
        &["image.registry", "without a slash at the end", "\"r.example.com/\""],
    ),
    ("image.repository=/nimbus-agent", &["image.repository", "\"/nimbus-agent\""]),
    ("image.repository=Nimbus", &["image.repository", "small letters", "\"Nimbus\""]),
    ("image.repository=a+b", &["image.repository", "\"a+b\""]),
    ("image.registry=,image.repository=https://r.example.com/a", &["image.repository", "no scheme"]),
    ("image.pullSecrets={Login_1}", &["image.pullSecrets", "names of Secrets"]),
    (
        "acting.actions={restart_pod}",
        &["acting.namespaces", "acting.clusterUid", "kubectl get namespace kube-system"],
    ),
    ("acting.actions={restart_pods}", &["/acting/actions/0", "restart_pod"]),
    ("acting.namespaces={shop}", &["acting.namespaces", "\"shop\"", "acting.actions"]),
    ("acting.actions={uncordon_node},acting.clusterUid=u,acting.namespaces={shop}", &["acting.namespaces"]),
    ("acting.clusterUid=u", &["acting.clusterUid: expected none", "(1 characters)"]),
    (
        "acting.clusterUid=1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        &["acting.clusterUid: expected none", "\"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed\""],
    ),
    (
        "acting.actions={rollback_deployment},acting.clusterUid=u,acting.namespaces={kube-system}",
        &["acting.namespaces", "policy.denyNamespaces", "kube-system"],
    ),
    (
        "acting.actions={rollback_deployment},acting.clusterUid=u,acting.namespaces={*}",
        &["/acting/namespaces/0"],
    ),
    ("acting.actions={restore_file}", &["restore_file", "read-only"]),
    ("policy.auto={expand_volume}", &["policy.auto", "expand_volume", "acting.actions"]),
    ("policy.auto={*}", &["/policy/auto/0"]),
    ("policy.existingConfigMap=x,policy.auto={expand_volume}", &["policy.auto", "ConfigMap"]),
    ("acting.actions={restart_unit}", &["restart_unit", "install the agent on the host"]),
    ("hostAccess.units=yes", &["/hostAccess/units"]),
    (
        "hostAccess.units=true,securityContext.runAsUser=0,podSecurityContext.runAsNonRoot=false",
        &["securityContext.runAsUser", "root", "65534"],
    ),
    (
        "hostAccess.units=true,podSecurityContext.runAsUser=0,podSecurityContext.runAsNonRoot=false",
        &["podSecurityContext.runAsUser", "root", "65534"],
    ),
    (
        "extraEnv[0].name=NIMBUS_SYSTEM_BUS,extraEnv[0].value=/x",
        &["extraEnv", "use the value hostAccess.units"],
    ),
    ("hostAccess.files[0].path=/host", &["hostAccess.files", "/host/run/dbus of the pod"]),
    ("acting.actions={accept_baseline}", &["accept_baseline", "hostAccess.files"]),
    (
        "acting.actions={accept_baseline},hostAccess.files[0].path=/etc/ssh",
        &["policy.paths", "accept_baseline"],
    ),
    ("policy.existingConfigMap=x,policy.jobsPerHour=9", &["policy.jobsPerHour", "\"x\""]),
    ("policy.existingConfigMap=x,policy.denyNamespaces={a}", &["policy.denyNamespaces", "\"x\""]),
    ("extraEnv[0].name=NIMBUS_STOP_DIR,extraEnv[0].value=/x", &["extraEnv", "\"NIMBUS_STOP_DIR\""]),
    ("extraEnv[0].name=NIMBUS_FINISH_JOBS", &["extraEnv", "use the value terminationGracePeriodSeconds"]),
    ("hostAccess.files[0].path=/etc/nimbus-stop/x", &["hostAccess.files", "/etc/nimbus-stop of the pod"]),
    (
        "policy.existingConfigMap=nimbus-agent-stop",
        &["policy.existingConfigMap: expected another ConfigMap", "\"nimbus-agent-stop\""],
    ),
    ("policy.paths={etc/nginx/}", &["policy.paths", "\"etc/nginx/\""]),
    (
        "policy.paths={/etc/ssh}",
        &["policy.paths: expected none, as hostAccess.files names no file", "/etc/ssh"],
    ),
    ("policy.diffPaths={/etc/ssh}", &["policy.diffPaths: expected none, as hostAccess.files names no file"]),
    ("hostAccess.files[0].path=/etc", &["hostAccess.files", "/etc/nimbus", "\"/etc\""]),
    ("hostAccess.files[0].path=/proc/1", &["hostAccess.files", "\"/proc/1\""]),
    ("hostAccess.files[0].path=/a/../b", &["hostAccess.files", "\"/a/../b\""]),
    ("hostAccess.files[0].path=/a,hostAccess.files[1].path=/a", &["hostAccess.files", "each path once"]),
    ("extraEnv[0].name=NIMBUS_SERVER", &["extraEnv", "use the value server"]),
    ("extraEnv[0].name=NIMBUS_NODE", &["extraEnv", "the chart knows it"]),
    ("extraEnv[0].name=NIMBUS_KUBELET_CA", &["extraEnv", "use the value kubelet.certificateAuthority"]),
    (
        "kubelet.insecureSkipVerify=true,kubelet.certificateAuthority=-----BEGIN CERTIFICATE-----",
        &["kubelet.insecureSkipVerify", "leave one of the two out"],
    ),
    ("kubelet.certificateAuthority=/etc/ca.pem", &["kubelet.certificateAuthority", "--set-file"]),
    ("extraVolumes[0].name=state", &["extraVolumes", "\"state\""]),
    ("serviceAccount.create=false", &["serviceAccount.name", "default", "found none"]),
    ("serviceAccount.name=default", &["serviceAccount.name", "the agents' rights", "found default"]),
    (
        "serviceAccount.create=false,serviceAccount.name=default",
        &["serviceAccount.name", "the agents' rights", "found default"],
    ),
    (
        "serviceAccount.create=false,serviceAccount.name=a,serviceAccount.annotations.a=b",
        &["serviceAccount.annotations"],
    ),
    ("fullnameOverride=1st", &["fullnameOverride", "beginning with a letter"]),
    ("imagePullSecrets=x", &["imagePullSecrets", "not allowed"]),
];

#[test]
fn values_that_contradict_each_other_are_refused_by_their_names() {
    for &(values, expected) in CONTRADICTIONS {
        let said = CHART.refusal(&["--set", values]).unwrap();
        for &words in expected {
            assert!(said.contains(words), "{values}: expected {words:?} in {said}");
        }
    }
    let several = CHART.refusal(&["--set", "image.digest=0123,server="]).unwrap();
    assert!(several.contains("image.digest") && several.contains("server: expected"), "{several}");
    let elsewhere = ["--namespace", "nimbus-system", "--set", "lease.namespace=kube-system"];
    assert!(CHART.refusal(&elsewhere).unwrap().contains("lease.namespace"));
    // The switch that stops every agent at once contradicts nothing.
    let stop = ["--values", "tests/charts/nimbus-agent/acting.yaml", "--set", "policy.deny={*}"];
    assert!(policy(&CHART.objects(&stop).unwrap()).unwrap().1.allowed_actions().is_empty());
}

#[test]
fn it_is_for_kubernetes_from_1_25_on() {
    let old = CHART.refusal(&["--kube-version", "1.24.17"]).unwrap();
    assert!(old.contains("1.25"), "{old}");
    for version in ["1.25.0", "1.31.2", "1.37.1-eks-0123abc"] {
        assert_eq!(
            CHART.template(&["--kube-version", version]).unwrap(),
            CHART.template(&[]).unwrap(),
            "{version}"
        );
    }
}
