//! Certificates on a cluster with a real API server and the real controllers of cert-manager: one in a Secret that ends soon is told without
//! its key, and those of cert-manager are watched from when that is installed.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::Plane;
use nimbus_tests::rig::cert_manager::CertManager;
use nimbus_tests::rig::{Cluster, Options};
use nimbus_tests::site::cluster_uid;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::{Value, json};

/// Generous: the machine may be busy with something else.
const LIMIT: Duration = Duration::from_mins(2);
const DAY: Duration = Duration::from_hours(24);
const NAMESPACE: &str = "shop";

/// A certificate of ninety days that is valid for ten more, and its key.
fn ends_soon() -> anyhow::Result<(String, String)> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(vec!["web.example.com".to_owned()])?;
    let now = SystemTime::from(nimbus_platform::now());
    params.not_before = (now - 80 * DAY).into();
    params.not_after = (now + 10 * DAY).into();
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

async fn apply(cluster: &Cluster, objects: &[Value]) -> anyhow::Result<()> {
    let file = cluster.dir().join("objects.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())?;
    cluster.kubectl(&["apply", "--filename", &file.display().to_string()]).await.map(drop)
}

async fn incident(plane: &Plane, kind: &str, state: &str) -> anyhow::Result<Value> {
    wait_for(&format!("an incident {kind} that is {state}"), LIMIT, || async {
        let all = plane.items("/incidents").await?;
        let found = all.iter().find(|it| it["kind"] == kind && it["state"] == state).cloned();
        Ok(Seen::when(found, format!("{all:#?}")))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_told_of_secrets_and_of_cert_manager_from_when_it_is_there() -> anyhow::Result<()> {
    let cluster = Cluster::start(Options { nodes: 0, ..Options::default() }).await?;
    cluster.namespace(NAMESPACE, &json!({})).await?;
    let plane = Plane::start(None, "[settings]\ncertificates.overdue_s = 1\n").await?;
    let options = AgentOptions {
        name: "one".to_owned(),
        kubeconfig: Some(cluster.kubeconfig_for("agent", &["system:masters"])?),
        cluster: Some(cluster_uid(&cluster).await?),
        env: vec![("NIMBUS_TLS_SECRETS".to_owned(), "true".to_owned())],
        ..AgentOptions::default()
    };
    let agent = AgentProcess::join(&plane, options).await?;

    let (certificate, key) = ends_soon()?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "web-tls", "namespace": NAMESPACE},
        "stringData": {"tls.crt": certificate, "tls.key": key},
    });
    apply(&cluster, &[secret]).await?;
    let found = incident(&plane, "tls_secret_expiring", "escalated").await?;
    let id = found["id"].as_str().context("an id")?;
    let whole = plane.get(&format!("/incidents/{id}")).await?.to_string();
    assert!(whole.contains("for web.example.com in shop/secret/web-tls is valid until"), "{whole}");
    let inner: String = key.lines().nth(1).context("a key")?.chars().take(20).collect();
    assert!(!whole.contains(&inner) && !agent.output().contains(&inner), "the key stays where it is");
    let me = agent.seen_by(&plane).await?;
    assert_eq!(me["problems"], json!([]), "that cert-manager is not installed is no problem: {me}");

    // cert-manager comes, and has that Secret from now on.
    let manager = CertManager::start(&cluster).await?;
    let object = |kind: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec})
    };
    let spec = json!({
        "secretName": "web-tls", "dnsNames": ["web.example.com"], "duration": "1h", "renewBefore": "59m45s",
        "issuerRef": {"name": "own"}, "privateKey": {"algorithm": "ECDSA", "size": 256},
    });
    let own = object("Issuer", "own", json!({"selfSigned": {}}));
    apply(&cluster, &[own, object("Certificate", "web", spec)]).await?;
    manager.wait_until_issued(&cluster, (NAMESPACE, "web"), 1, LIMIT).await?;
    let failed = json!({"status": {
        "lastFailureTime": format!("{:.0}", nimbus_platform::now()), "failedIssuanceAttempts": 5,
    }});
    let which = ["patch", "certificate", "web", "--namespace", NAMESPACE, "--subresource=status"];
    let what = ["--type=merge", "--patch", &failed.to_string()];
    cluster.kubectl(&[&which[..], &what].concat()).await?;
    incident(&plane, "tls_secret_expiring", "resolved").await?;
    let found = incident(&plane, "certificate_expiring", "open").await?;
    assert!(found["reason"].as_str().is_some_and(|why| why.contains("is asked for anew from")), "{found}");
    let me = agent.seen_by(&plane).await?;
    assert_eq!(me["problems"], json!([]), "{me}");
    Ok(())
}
