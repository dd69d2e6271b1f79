//! The Secrets that values name, in a real cluster.

use nimbus_tests::rig::{Cluster, repository};
use serde_json::json;

use super::{AGENTS, CONTROL_PLANE, Operator, Report, path};

/// Missing, without a key, with what is no certificate, and as they have to be.
pub(super) async fn looked_at(
    cluster: &Cluster,
    operator: &Operator,
    with: &impl Fn(&str, &str, &[&str]) -> (Report, i32),
) {
    cluster.namespace("kept", &json!({})).await.unwrap();
    let make = |kind: &'static [&'static str]| async move {
        let words = [&["--namespace", "kept", "create", "secret"][..], kind].concat();
        cluster.kubectl(&words).await.unwrap();
    };
    let values = format!("{CONTROL_PLANE}tls:\n  existingSecret: web\n");
    let named = operator.file("named.yaml", &values).unwrap();
    let agents = operator.file("agents.yaml", AGENTS).unwrap();
    let look = || with(&named, &agents, &["--namespace", "kept"]);
    make(&["generic", "join", "--from-literal=token=s3cret"]).await;
    let (report, code) = look();
    report.is("secrets", "failure", "no Secret web in kept, which tls.existingSecret names");
    assert_eq!(code, 1);
    make(&["generic", "web", "--from-literal=tls.crt=s3cret", "--from-literal=other=s3cret"]).await;
    look().0.is("secrets", "failure", "has nothing under tls.key; found other, tls.crt");
    cluster.kubectl(&["--namespace", "kept", "delete", "secret", "web"]).await.unwrap();
    make(&["generic", "web", "--from-literal=tls.crt=s3cret", "--from-literal=tls.key=s3cret"]).await;
    let (report, _) = look();
    report.is("secrets", "failure", "the certificate in the Secret web in kept is none");
    assert!(!report.0.to_string().contains("s3cret"), "{}", report.0);
    cluster.kubectl(&["--namespace", "kept", "delete", "secret", "web"]).await.unwrap();

    let keys = path(&operator.home.path().join("keys"));
    let created = operator.run(&["keys", "create", &keys], &[]).unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let certificate = format!("--from-file=tls.crt={keys}/ca.pem");
    let words = [
        "--namespace",
        "kept",
        "create",
        "secret",
        "generic",
        "web",
        &certificate,
        "--from-literal=tls.key=x",
    ];
    cluster.kubectl(&words).await.unwrap();
    let (report, code) = look();
    report.is("secrets", "pass", "the certificate in the Secret web in kept is valid until");
    assert_eq!(code, 0, "{}", report.0);

    let nobody = path(&cluster.kubeconfig_for("nobody", &[]).unwrap());
    let charts = path(&repository().unwrap().join("charts"));
    let words = ["preflight", "--kubeconfig", &nobody, "--namespace", "kept", "--charts", &charts];
    let files = ["--control-plane-values", &named, "--agent-values", &agents];
    let (report, _) = operator.report(&[&words[..], &files].concat(), &[]).unwrap();
    report.is("secrets", "unknown", "orbidden");
    // What is no namespace's name is bad input, and no namespace that is not there yet.
    let output = operator.run(&["preflight", "--namespace", "a b"], &[]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("expected the name of a namespace"), "{said}");
}
