//! What `nimbus enterprise deploy` writes is taken by those it is for: the values by the real charts and the real helm, the
//! Terraform by the real OpenTofu (`terraform.rs`).

#[path = "deploy/answers.rs"]
mod answers;
#[path = "deploy/terraform.rs"]
mod terraform;

use nimbus_deploy::draft::keys::ACTIONS;
use nimbus_deploy::plan::Plan;
use nimbus_tests::helm::{documents, helm, only};
use serde_json::Value;

use answers::{CLOUDS, NETWORK, OUTSIDE, SQLITE, ZONE, planned, text};

/// What a chart renders for a values file of the plan.
fn rendered(plan: &Plan, chart: &str, namespace: &str, more: &[&str]) -> anyhow::Result<Vec<Value>> {
    let dir = tempfile::tempdir()?;
    let (values, uid) = (dir.path().join("values.yaml"), dir.path().join("uid"));
    std::fs::write(&values, text(plan, &format!("values-{chart}.yaml"))?)?;
    std::fs::write(&uid, "0f0e0d0c-0b0a-4908-8706-050403020100")?;
    let (values, uid) = (values.display().to_string(), format!("acting.clusterUid={}", uid.display()));
    let (release, chart) = (format!("it-{chart}"), format!("charts/nimbus-{chart}"));
    let mut words = vec!["template", &release, &chart, "--namespace", namespace, "--values", &values];
    words.extend(more);
    if !more.is_empty() {
        words.push(&uid);
    }
    let output = helm(&words)?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout)?)
}

#[test]
fn the_values_of_every_kind_of_installation_are_taken_by_the_charts_and_name_what_they_make() {
    let secret = [("database.kind", "secret"), ("database.secret", "company-database"), ("replicas", "5")];
    let acting = [("acting.actions", ACTIONS.join(",")), ("acting.namespaces", "shop,web".to_owned())];
    let acting: Vec<(&str, &str)> = acting.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let certificate =
        [("tls.kind", "cert-manager"), ("tls.issuer", "company"), ("tls.issuer_kind", "ClusterIssuer")];
    let brought = [("tls.kind", "secret"), ("tls.secret", "company-tls")];
    let class = [("database.storage_class", "fast"), ("database.size", "50Gi"), ("tag", "0.1.0-rc.1")];
    let longest = [("name", "a-name-of-24-characters1"), ("agents.namespace", "nimbus")];
    let installations: [&[&[(&str, &str)]]; 7] = [
        &[&[SQLITE]],
        &[&[SQLITE], &class, &acting],
        &[&[SQLITE], &longest, &[("operators.service", "node-port"), ("agents.service", "node-port")]],
        &[&secret, &acting],
        &[&secret, &OUTSIDE, &certificate],
        &[&secret, &OUTSIDE, &brought, &[("acting.actions", "uncordon_node")]],
        &[&NETWORK, CLOUDS[0], &OUTSIDE, &[ZONE]],
    ];
    for installation in installations {
        let (answers, plan) = planned(installation).unwrap();
        let of = format!("{installation:?}");
        let control_plane = rendered(&plan, "control-plane", &answers.namespace, &[]).expect(&of);
        let set = only(&control_plane, "StatefulSet", "").unwrap();
        assert_eq!(set["metadata"]["name"], answers.control_plane(), "{of}");
        assert_eq!(set["spec"]["replicas"], answers.replicas, "{of}");
        let pod = set["spec"]["template"]["spec"].to_string();
        assert!(pod.contains(&answers.keys_secret()), "{of}");
        assert!(answers.database_secret().is_none_or(|name| pod.contains(&name)), "{of}");

        let uid: &[&str] = if answers.acting.actions.is_empty() { &[] } else { &["--set-file"] };
        let agents = rendered(&plan, "agent", &answers.agents_namespace, uid).expect(&of);
        let daemons = only(&agents, "DaemonSet", "").unwrap();
        assert_eq!(daemons["metadata"]["name"], answers.agent(), "{of}");
        let pod = daemons["spec"]["template"]["spec"].to_string();
        assert!(pod.contains(&answers.join_secret()), "{of}");
        let service = only(&control_plane, "Service", "-agents").unwrap();
        let port = &service["spec"]["ports"][0]["port"];
        let address =
            format!("{}.{}.svc:{port}", service["metadata"]["name"].as_str().unwrap(), answers.namespace);
        assert!(pod.contains(&address), "{of}: the agents dial {address}");
        let told = answers.agents.name.as_ref().map_or(address, |name| format!("{name}:7071"));
        assert!(
            set["spec"]["template"]["spec"].to_string().contains(&told),
            "{of}: agents elsewhere are told {told}"
        );
    }
}

#[test]
fn the_manifests_of_namespaces_are_what_kubernetes_reads() {
    let (_, plan) = planned(&[&[SQLITE]]).unwrap();
    let read = documents(text(&plan, "namespace-nimbus-system.yaml").unwrap()).unwrap();
    assert_eq!(read[0]["metadata"]["name"], "nimbus-system");
    assert_eq!(read[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
}
