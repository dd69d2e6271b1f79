//! Tests of what the charts and `nimbus preflight` say of Pod Security against a real API server: for each value, what each of them
//! says is what the server does with the pod.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use nimbus_checks::excess::excess;
use nimbus_tests::helm::{
    AGENT, CONTROL_PLANE, Chart, REFUSED_BY_POD_SECURITY, TAKEN_BY_POD_SECURITY, asked,
    in_namespace_on_kubernetes, in_namespace_that_enforces, in_namespace_that_enforces_of,
};
use nimbus_tests::rig::Cluster;
use nimbus_tests::rig::workloads::Workloads;
use serde_json::{Value, json};

/// The minor release of the API server of the tests.
const NEWEST: u32 = 37;

/// The template of the pods that a chart makes with these values.
fn template(chart: Chart, values: &str) -> Value {
    let objects = chart.objects(&["--set", values]).unwrap();
    let set = objects.iter().find(|it| it["kind"] == "StatefulSet" || it["kind"] == "DaemonSet").unwrap();
    let mut template = set["spec"]["template"].clone();
    // Helm takes 60 for a number, and Kubernetes wants text.
    let sysctls = template.pointer_mut("/spec/securityContext/sysctls").and_then(Value::as_array_mut);
    for sysctl in sysctls.into_iter().flatten() {
        sysctl["value"] = json!(sysctl["value"].to_string());
    }
    template
}

/// Values that `baseline` takes since some release.
fn taken_since() -> [String; 5] {
    let sysctl = |name: &str| format!("sysctls[0].name={name},podSecurityContext.sysctls[0].value=1");
    [
        sysctl("net.ipv4.ip_local_reserved_ports"),
        sysctl("net.ipv4.tcp_fin_timeout"),
        sysctl("net.ipv4.tcp_wmem"),
        sysctl("net.ipv4.tcp_notsent_lowat"),
        "seLinuxOptions.type=container_engine_t".to_owned(),
    ]
    .map(|values| format!("podSecurityContext.{values}"))
}

/// Does the namespace take such a pod? What else the API server says of it is an error of the test.
async fn takes(cluster: &Cluster, namespace: &str, template: &Value) -> bool {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = json!("tried");
    // It is not there: nothing is installed.
    pod["spec"].as_object_mut().unwrap().remove("serviceAccountName");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pod.to_string()).unwrap();
    let path = file.path().display().to_string();
    match cluster.kubectl(&["-n", namespace, "create", "--dry-run=server", "-f", &path]).await {
        Ok(_) => true,
        Err(error) => {
            let said = format!("{error:#}");
            assert!(said.contains("violates PodSecurity"), "{pod}: {said}");
            false
        }
    }
}

#[tokio::test]
async fn what_the_charts_and_preflight_say_of_pod_security_is_what_the_server_does() {
    let cluster = Cluster::shared().await.unwrap();
    let mut namespaces: Vec<(&str, Workloads)> = Vec::new();
    for level in ["restricted", "baseline"] {
        let labels = json!({"pod-security.kubernetes.io/enforce": level});
        namespaces.push((level, cluster.namespace(&format!("takes-{level}"), &labels).await.unwrap()));
    }
    let refused = REFUSED_BY_POD_SECURITY.iter().map(|(values, ..)| *values);
    let mut tried = 0;
    for values in refused.chain(TAKEN_BY_POD_SECURITY.iter().copied()) {
        for chart in [CONTROL_PLANE, AGENT] {
            let template = template(chart, values);
            for (level, _) in &namespaces {
                let by_server = takes(cluster, &format!("takes-{level}"), &template).await;
                let said = in_namespace_that_enforces(chart, level, values).unwrap();
                let by_preflight =
                    !excess(&template).iter().any(|one| one.is_refused(*level == "baseline", NEWEST));
                assert_eq!(
                    (!said.contains("expected"), by_preflight),
                    (by_server, by_server),
                    "{chart}, {values}, {level}: {said}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 80, "{tried}");
}

/// What releases let through by and by: the API server judges by the rules of the release that a namespace names.
#[tokio::test]
async fn by_the_rules_of_an_older_release_more_is_refused_and_each_of_them_says_so() {
    let cluster = Cluster::shared().await.unwrap();
    let tried = taken_since();
    let mut taken = 0;
    for minor in [25, 28, 30, 31, 36, NEWEST] {
        let (version, name) = (format!("v1.{minor}"), format!("rules-of-{minor}"));
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": version,
        });
        let _namespace = cluster.namespace(&name, &labels).await.unwrap();
        for values in &tried {
            let template = template(AGENT, values);
            let by_server = takes(cluster, &name, &template).await;
            let by_preflight = !excess(&template).iter().any(|one| one.is_refused(true, minor));
            for chart in [CONTROL_PLANE, AGENT] {
                let said = in_namespace_that_enforces_of(chart, ("baseline", &version), values).unwrap();
                let found = (!said.contains("expected"), by_preflight);
                assert_eq!(found, (by_server, by_server), "{chart}, {values}, {version}: {said}");
            }
            taken += u32::from(by_server);
        }
    }
    assert_eq!(taken, 1 + 2 + 3 + 4 + 5, "each release lets one more through than the one before it");
}

/// By those of the cluster itself, where the namespace names no older one: what the API server cannot read names none.
#[test]
fn the_charts_go_by_the_rules_of_the_release_that_the_cluster_is() {
    let tried = taken_since().map(|values| (excess(&template(AGENT, &values)), values));
    for (kubernetes, version, minor) in [
        ("1.31.0", "latest", 31),
        ("v1.30.4-eks-036c24b", "latest", 30),
        ("1.31.0", "v1.36", 31),
        ("1.31.0", "v1.28", 28),
        ("1.31.0", "newest", 31),
        ("1.37.0", "newest", NEWEST),
        ("1.37.0", "v1.031", NEWEST),
    ] {
        for (asks, values) in &tried {
            let by_preflight = !asks.iter().any(|one| one.is_refused(true, minor));
            for chart in [CONTROL_PLANE, AGENT] {
                let labels = ("baseline", version);
                let said = in_namespace_on_kubernetes(kubernetes, chart, labels, values).unwrap();
                assert_eq!(
                    !said.contains("expected"),
                    by_preflight,
                    "{chart}, {values}, {kubernetes}: {said}"
                );
            }
        }
    }
}

/// API servers of some vendors say `28+`. Helm hands that on, and no flag of it says the same.
#[test]
fn a_minor_release_with_something_behind_it_is_read() {
    let root = r#"(dict "Values" .Values "Release" .Release "Capabilities" (dict "KubeVersion" (dict "Minor" "28+")))"#;
    let found =
        json!({"metadata": {"name": "ops", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    let found = format!("found={found}");
    for values in taken_since() {
        let by_preflight = !excess(&template(AGENT, &values)).iter().any(|one| one.is_refused(true, 28));
        for chart in [CONTROL_PLANE, AGENT] {
            let judge =
                format!(r#"include "{chart}.check.enforced" (dict "root" {root} "namespace" .Values.found)"#);
            let said = asked(chart, &judge, &["--set-json", &found, "--set", &values]).unwrap();
            assert_eq!(!said.contains("expected"), by_preflight, "{chart}, {values}: {said}");
        }
    }
}

/// The API server makes no namespace with such a label, and goes by one that was there before it looked at labels.
#[test]
fn a_level_that_nobody_knows_is_the_strictest_one() {
    for chart in [CONTROL_PLANE, AGENT] {
        for level in ["strict", ""] {
            let said = in_namespace_that_enforces(chart, level, "podSecurityContext.runAsUser=0").unwrap();
            assert!(said.contains("as restricted of latest"), "{chart}, {level:?}: {said}");
            let said = in_namespace_that_enforces(chart, level, "log.filter=info").unwrap();
            assert!(!said.contains("expected"), "{chart}, {level:?}: {said}");
        }
    }
}
