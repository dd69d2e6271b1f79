//! Tests of what the charts and `nimbus preflight` say of Pod Security against a real API server: for each value, what each of them
//! says is what the server does with the pod.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use nimbus_checks::excess::excess;
use nimbus_tests::helm::{
    AGENT, CONTROL_PLANE, Chart, REFUSED_BY_POD_SECURITY, TAKEN_BY_POD_SECURITY, in_namespace_that_enforces,
};
use nimbus_tests::rig::Cluster;
use nimbus_tests::rig::workloads::Workloads;
use serde_json::{Value, json};

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
                let counts = |one: &nimbus_checks::excess::Excess| !(*level == "baseline" && one.is_baseline);
                let by_preflight = !excess(&template).iter().any(counts);
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
