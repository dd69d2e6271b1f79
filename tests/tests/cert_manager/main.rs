//! The control plane's chart with a real cert-manager: what it renders is applied to a cluster, its Certificate is issued, and
//! the program serves operators with the files of the Secret, started with the arguments that the chart has for it.
//!
//! There is no node: the program runs beside the cluster, and `plane` does what a kubelet would do for it.

mod plane;
mod served;

use std::collections::BTreeSet;
use std::time::Duration;

use nimbus_tests::helm::{CONTROL_PLANE, documents, only};
use nimbus_tests::rig::cert_manager::CertManager;
use nimbus_tests::rig::{Cluster, Options};
use serde_json::{Value, json};

use plane::{Plane, Secret};
use served::{names_in, served};

/// Generous: the machine may be busy with something else.
const LIMIT: Duration = Duration::from_mins(2);
/// Where the release is, and what its Certificate is called.
const CERTIFICATE: (&str, &str) = ("ops", "nimbus-control-plane");
/// The Service's names, as `clusterDomain` has its default.
const OF_THE_SERVICE: [&str; 4] = [
    "nimbus-control-plane",
    "nimbus-control-plane.ops",
    "nimbus-control-plane.ops.svc",
    "nimbus-control-plane.ops.svc.cluster.local",
];
/// The values' `names`; by the last one the program is reached here.
const GIVEN: [&str; 4] = ["nimbus.example.com", "192.0.2.7", "2001:db8::7", "127.0.0.1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_served_what_cert_manager_issued_before_the_start() -> anyhow::Result<()> {
    let cluster = Cluster::start(Options { nodes: 0, ..Options::default() }).await?;
    cluster.namespace(CERTIFICATE.0, &json!({})).await?;
    let manager = CertManager::start(&cluster).await?;
    apply(&cluster, "issuers", &issuers()).await?;

    let values = format!("tls.certManager.issuerRef.kind=Issuer,names={{{}}}", GIVEN.join(","));
    let objects = install(&cluster, values).await?;
    manager.wait_until_issued(&cluster, CERTIFICATE, 1, LIMIT).await?;
    let mut plane = Plane::lay_out(&objects)?;
    let first = Secret::read(&cluster, &objects).await?;
    let expected: BTreeSet<String> = OF_THE_SERVICE.into_iter().chain(GIVEN).map(str::to_owned).collect();
    assert_eq!(names_in(&first.certificate)?, expected);

    plane.mount(&first)?;
    plane.start(&objects)?;
    plane.wait_until_answered(LIMIT).await?;
    for name in &expected {
        assert!(served(plane.port(), &first.authority, name).await? == first.leaf()?, "as {name}");
    }
    assert!(served(plane.port(), &first.authority, "elsewhere.example.com").await.is_err());
    // The control plane's own CA has no part in it.
    let (code, said) = plane.nimbus_trusting("volume/data/ca.pem", &["status"]).await?;
    assert!(code == Some(6) && said.contains("is not to be trusted"), "{code:?}: {said}");

    // A renewed one is served after a restart, as the chart's README says.
    manager.renew(&cluster, CERTIFICATE).await?;
    manager.wait_until_issued(&cluster, CERTIFICATE, 2, LIMIT).await?;
    let second = Secret::read(&cluster, &objects).await?;
    assert!(
        second.leaf()? != first.leaf()? && second.key != first.key,
        "it is another one, with another key"
    );
    assert_eq!(names_in(&second.certificate)?, expected);
    plane.mount(&second)?;
    plane.wait_until_answered(LIMIT).await?;
    assert!(served(plane.port(), &first.authority, GIVEN[0]).await? == first.leaf()?, "without a restart");
    plane.restart(&objects)?;
    plane.wait_until_answered(LIMIT).await?;
    assert!(served(plane.port(), &second.authority, GIVEN[0]).await? == second.leaf()?, "after a restart");

    // The release is upgraded to an issuer of the whole cluster, and without the Service's names, as for a public one.
    let objects =
        install(&cluster, format!("tls.certManager.serviceNames=false,names={{{}}}", GIVEN[0])).await?;
    manager.wait_until_issued(&cluster, CERTIFICATE, 3, LIMIT).await?;
    let third = Secret::read(&cluster, &objects).await?;
    assert_eq!(names_in(&third.certificate)?, BTreeSet::from([GIVEN[0].to_owned()]));
    assert!(third.authority != second.authority, "both issuers have one authority");
    plane.mount(&third)?;
    plane.restart(&objects)?;
    plane.wait_until_served(&third, GIVEN[0], LIMIT).await?;
    let said = served(plane.port(), &third.authority, GIVEN[3]).await.err().map(|error| format!("{error:#}"));
    assert!(said.as_deref().is_some_and(|said| said.contains("not valid for name")), "{said:?}");
    Ok(())
}

/// The objects of the chart for the variant with a ClusterIssuer `company` and these values, applied as they are rendered.
async fn install(cluster: &Cluster, values: String) -> anyhow::Result<Vec<Value>> {
    let render = move || {
        let variant = format!("{}/cert-manager.yaml", CONTROL_PLANE.variants);
        let text = CONTROL_PLANE.template(&["--skip-tests", "--values", &variant, "--set", &values])?;
        documents(&text)
    };
    let objects = tokio::task::spawn_blocking(render).await??;
    only(&objects, "Certificate", "")?;
    apply(cluster, "release", &objects).await?;
    Ok(objects)
}

/// An authority that signs itself, and by it one of a company in the release's namespace and one for the whole cluster.
fn issuers() -> Vec<Value> {
    let object = |kind: &str, (namespace, name): (Option<&str>, &str), spec: Value| {
        let metadata = json!({"name": name, "namespace": namespace});
        json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec})
    };
    let authority = |namespace| {
        let root = json!({"name": "root", "kind": "ClusterIssuer", "group": "cert-manager.io"});
        let spec = json!({
            "isCA": true, "commonName": "company", "secretName": "company", "duration": "87600h",
            "privateKey": {"algorithm": "ECDSA", "size": 256}, "issuerRef": root,
        });
        object("Certificate", (Some(namespace), "company"), spec)
    };
    let by_it = json!({"ca": {"secretName": "company"}});
    vec![
        object("ClusterIssuer", (None, "root"), json!({"selfSigned": {}})),
        authority(CERTIFICATE.0),
        object("Issuer", (Some(CERTIFICATE.0), "company"), by_it.clone()),
        // Where the controllers look for the Secrets of ClusterIssuers.
        authority("kube-system"),
        object("ClusterIssuer", (None, "company"), by_it),
    ]
}

async fn apply(cluster: &Cluster, name: &str, objects: &[Value]) -> anyhow::Result<()> {
    let file = cluster.dir().join(format!("{name}.json"));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    std::fs::write(&file, list.to_string())?;
    cluster.kubectl(&["apply", "--filename", &file.display().to_string()]).await.map(drop)
}
