//! Tests of both charts with the Helm of other versions; the tests beside this one are with the Helm 4 of the rig.
//! Too long for CI.

use nimbus_tests::helm::{AGENT, CONTROL_PLANE, Chart, documents, files, helm, helm_of};
use nimbus_tests::rig::build::OTHER_HELMS;
use serde_json::Value;

fn words<'a>(chart: Chart, more: &[&'a str]) -> Vec<&'a str> {
    // A build of one's own takes itself for that of another release of Kubernetes.
    let start = ["template", "nimbus", chart.folder, "--namespace", "ops", "--kube-version", "1.37.0"];
    [&start[..], &chart.due, more].concat()
}

fn objects(chart: Chart, version: Option<&str>, more: &[&str]) -> anyhow::Result<Vec<Value>> {
    let words = words(chart, more);
    let output = version.map_or_else(|| helm(&words), |version| helm_of(version, &words))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{version:?}: {words:?}: {said}");
    documents(&String::from_utf8(output.stdout)?)
}

#[test]
fn every_helm_renders_the_same_objects_and_refuses_the_same_values() {
    for chart in [CONTROL_PLANE, AGENT] {
        let variants = files(chart.variants).unwrap();
        assert!(variants.len() > 5, "{variants:?}");
        for variant in &variants {
            let values = ["--values", variant.to_str().unwrap()];
            let expected = objects(chart, None, &values).unwrap();
            for version in OTHER_HELMS {
                let theirs = objects(chart, Some(version), &values).unwrap();
                assert!(theirs == expected, "{version}: {}", variant.display());
            }
        }
    }
    // One by the schema, whose validator is another one in Helm 4, and the others by the templates.
    for (chart, values, told) in [
        (CONTROL_PLANE, "replicas=6", "replicas"),
        (CONTROL_PLANE, "replicas=2", "two cannot share SQLite"),
        (CONTROL_PLANE, "no.such.value=1", "dditional"),
        (AGENT, "acting.actions={restart_pods}", "acting"),
        (AGENT, "hostAccess.files[0].path=/usr/bin", "hostAccess.files"),
        (
            AGENT,
            "extraEnv[0].name=A,extraEnv[0].value=x,extraEnv[0].valueFrom.secretKeyRef.name=s",
            "extraEnv: expected",
        ),
    ] {
        for version in OTHER_HELMS {
            let output = helm_of(version, &words(chart, &["--set", values])).unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(told), "{version}: {values}: {said}");
        }
    }
}
