//! The control plane is lost with its keys and its database, and its backup serves in another cluster: on a node of its own, on another
//! database, at the address that the agents know. What a person does with the name or the load balancer, which nobody here has, a
//! Service with the former address does: it leads to the pods of the other cluster, which are in the same network.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::backup::{Shelf, text};
use super::site::{CONTROL_PLANE, NAMESPACE, Site};
use super::story::{Clock, LIMIT, the_operator_is_answered};
use crate::rig::Cluster;
use crate::rig::real_node::RealNode;
use crate::wait::{Seen, wait_for};

/// The namespace in the other cluster.
const ELSEWHERE: &str = "elsewhere";
/// The Service at the address that agents know.
const FORMER: &str = "former-address";
/// Its keys, as `nimbus backup restore` writes them.
const RESTORED: &str = "/run/nimbus-restored";
/// The files of the Secret that the chart mounts.
const KEYS: [&str; 4] = ["ca.pem", "ca.key", "job.key", "operator.token"];

/// The other cluster.
pub struct Elsewhere {
    cluster: Cluster,
    _node: RealNode,
}

impl Elsewhere {
    /// kubectl in the release's namespace there.
    pub async fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        self.cluster.kubectl(&[&["-n", ELSEWHERE], words].concat()).await
    }

    /// Removes the release, and the Service that led there.
    pub async fn uninstall(&self, site: &Site) -> anyhow::Result<()> {
        let words = ["uninstall", CONTROL_PLANE, "--wait", "--timeout", "2m"];
        site.helm_at((&self.cluster, ELSEWHERE), &words).await?;
        site.kubectl(&["delete", "service", FORMER]).await?;
        // Nobody but the one who made it removes it: it was not made for a selector.
        site.kubectl(&["delete", "endpointslice", FORMER, "--ignore-not-found"]).await.map(drop)
    }
}

/// Loses everything but the backup of this number, which is made first, and restores it.
pub async fn restore(site: &Site, shelf: &Shelf, number: usize, values: &Value) -> anyhow::Result<Elsewhere> {
    let backup = shelf.one_is_made(site, number, "postgresql").await?;
    let before = agent(&site.nimbus(&["agents", "list"]).await?).context("the agent before")?;
    let service = format!("{CONTROL_PLANE}-agents");
    let address = site.kubectl(&["get", "service", &service, "-o", "jsonpath={.spec.clusterIP}"]).await?;
    site.helm(&["uninstall", CONTROL_PLANE, "--wait", "--timeout", "2m"]).await?;
    site.kubectl(&["delete", "secret", "nimbus-keys", "nimbus-database"]).await?;
    site.lose_database()?;

    let clock = Clock::start(site);
    let (cluster, node) = site.another_cluster(ELSEWHERE).await.context("another cluster")?;
    let elsewhere = Elsewhere { cluster, _node: node };
    clock.say("another cluster with a node, until it is ready");
    let clock = Clock::start(site);
    let url = site.another_database()?;
    let words = ["backup", "restore", &text(&backup), "--data-dir", RESTORED, "--database", &url];
    site.nimbus(&[&words[..], &["--identity", &shelf.key()]].concat()).await?;
    let files = KEYS.map(|name| format!("--from-file={RESTORED}/{name}"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let secret = ["create", "secret", "generic"];
    elsewhere.kubectl(&[&secret[..], &["nimbus-keys"], &files].concat()).await?;
    let url = format!("--from-literal=url={url}");
    elsewhere.kubectl(&[&secret[..], &["nimbus-database", &url]].concat()).await?;
    let mut values = values.clone();
    // The claim is in the former cluster.
    values["backup"] = json!({"enabled": false});
    site.install_at((&elsewhere.cluster, ELSEWHERE), CONTROL_PLANE, &values).await?;
    take_over_address(site, &elsewhere, &address).await?;
    let name = format!("{CONTROL_PLANE}.{ELSEWHERE}.svc");
    site.know_control_plane_at(&address, &name, Path::new(RESTORED))?;
    the_operator_is_answered(site).await?;
    wait_for("the same agent to be back", LIMIT, || async {
        let agents = site.nimbus(&["agents", "list"]).await?;
        let is_back = agent(&agents).as_ref() == Some(&before);
        Ok(Seen::when(is_back.then_some(()), format!("{before} of {agents}")))
    })
    .await?;
    clock.say("everything is lost, until the backup serves in another cluster and the agent is back");
    let rows = site.nimbus(&["audit", "--action", "backup.restored"]).await?;
    anyhow::ensure!(rows["items"].as_array().is_some_and(|rows| rows.len() == 1), "the audit log: {rows}");
    let verified = site.nimbus(&["audit", "verify"]).await?;
    anyhow::ensure!(verified["valid"] == true, "the audit log: {verified}");
    Ok(elsewhere)
}

/// The id of the one agent that is connected.
fn agent(agents: &Value) -> Option<String> {
    let connected: Vec<_> =
        agents["items"].as_array()?.iter().filter(|agent| agent["state"] == "connected").collect();
    let [one] = connected.as_slice() else { return None };
    one["id"].as_str().map(str::to_owned)
}

/// A Service at the address that agents know, for those pods elsewhere that are ready.
async fn take_over_address(site: &Site, elsewhere: &Elsewhere, address: &str) -> anyhow::Result<()> {
    let name = format!("app.kubernetes.io/name={CONTROL_PLANE}");
    let pods: Value =
        serde_json::from_str(&elsewhere.kubectl(&["get", "pods", "-l", &name, "-o", "json"]).await?)?;
    let is_ready = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    let ready = pods["items"].as_array().context("pods")?.iter().filter(is_ready);
    let endpoints: Vec<Value> = ready
        .map(|pod| json!({"addresses": [pod["status"]["podIP"]], "conditions": {"ready": true}}))
        .collect();
    anyhow::ensure!(!endpoints.is_empty(), "no pod is ready: {pods}");
    let port =
        |name: &str, protocol: &str, port: u16| json!({"name": name, "protocol": protocol, "port": port});
    let ports =
        json!(
            [port("agents", "UDP", 7071), port("agents-tcp", "TCP", 7071), port("operators", "TCP", 7070),]
        );
    let labels = json!({"kubernetes.io/service-name": FORMER});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": FORMER},
        "spec": {"clusterIP": address, "ports": ports},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": FORMER, "labels": labels},
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [service, slice]});
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), list.to_string())?;
    site.kubectl_in(NAMESPACE, &["apply", "-f", &text(file.path())]).await.map(drop)
}
