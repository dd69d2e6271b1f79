//! The control plane is lost with its keys and its database, and its backup serves elsewhere: in another namespace, on another
//! database, at the address that the agents know. This is what is done in another cluster too; what a person does there with the name
//! or the load balancer, which nobody here has, a Service with the former address does.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::backup::{Shelf, text};
use super::site::{CONTROL_PLANE, Site};
use super::story::{Clock, LIMIT, the_operator_is_answered};
use crate::wait::{Seen, wait_for};

/// Where the backup is restored.
pub const ELSEWHERE: &str = "elsewhere";
/// Its keys, as `nimbus backup restore` writes them.
const RESTORED: &str = "/run/nimbus-restored";
/// The files of the Secret that the chart mounts.
const KEYS: [&str; 4] = ["ca.pem", "ca.key", "job.key", "operator.token"];

/// Loses everything but the backup of this number, which is made first, and restores it.
pub async fn restore(site: &Site, shelf: &Shelf, number: usize, values: &Value) -> anyhow::Result<()> {
    let backup = shelf.one_is_made(site, number, "postgresql").await?;
    let before = agent(&site.nimbus(&["agents", "list"]).await?).context("the agent before")?;
    let service = format!("{CONTROL_PLANE}-agents");
    let address = site.kubectl(&["get", "service", &service, "-o", "jsonpath={.spec.clusterIP}"]).await?;
    site.helm(&["uninstall", CONTROL_PLANE, "--wait", "--timeout", "2m"]).await?;
    site.kubectl(&["delete", "secret", "nimbus-keys", "nimbus-database"]).await?;
    site.lose_database()?;

    let clock = Clock::start(site);
    let url = site.another_database()?;
    let words = ["backup", "restore", &text(&backup), "--data-dir", RESTORED, "--database", &url];
    site.nimbus(&[&words[..], &["--identity", &shelf.key()]].concat()).await?;
    site.restricted_namespace(ELSEWHERE).await?;
    let files = KEYS.map(|name| format!("--from-file={RESTORED}/{name}"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let secret = ["create", "secret", "generic"];
    site.kubectl_in(ELSEWHERE, &[&secret[..], &["nimbus-keys"], &files].concat()).await?;
    let url = format!("--from-literal=url={url}");
    site.kubectl_in(ELSEWHERE, &[&secret[..], &["nimbus-database", &url]].concat()).await?;
    let mut values = values.clone();
    // The claim is in the former namespace.
    values["backup"] = json!({"enabled": false});
    site.install_in(ELSEWHERE, CONTROL_PLANE, &values).await?;
    take_over_address(site, &service, &address).await?;
    site.know_control_plane((ELSEWHERE, CONTROL_PLANE), Path::new(RESTORED)).await?;
    the_operator_is_answered(site).await?;
    wait_for("the same agent to be back", LIMIT, || async {
        let agents = site.nimbus(&["agents", "list"]).await?;
        let is_back = agent(&agents).as_ref() == Some(&before);
        Ok(Seen::when(is_back.then_some(()), format!("{before} of {agents}")))
    })
    .await?;
    clock.say("everything is lost, until the backup serves in another namespace and the agent is back");
    let rows = site.nimbus(&["audit", "--action", "backup.restored"]).await?;
    anyhow::ensure!(rows["items"].as_array().is_some_and(|rows| rows.len() == 1), "the audit log: {rows}");
    let verified = site.nimbus(&["audit", "verify"]).await?;
    anyhow::ensure!(verified["valid"] == true, "the audit log: {verified}");
    Ok(())
}

/// The id of the one agent that is connected.
fn agent(agents: &Value) -> Option<String> {
    let connected: Vec<_> =
        agents["items"].as_array()?.iter().filter(|agent| agent["state"] == "connected").collect();
    let [one] = connected.as_slice() else { return None };
    one["id"].as_str().map(str::to_owned)
}

/// One more Service like this one, at the address that agents know.
async fn take_over_address(site: &Site, service: &str, address: &str) -> anyhow::Result<()> {
    let said = site.kubectl_in(ELSEWHERE, &["get", "service", service, "-o", "json"]).await?;
    let of: Value = serde_json::from_str(&said)?;
    let spec = json!({
        "clusterIP": address, "selector": of["spec"]["selector"], "ports": of["spec"]["ports"],
    });
    let metadata = json!({"name": "former-address", "namespace": ELSEWHERE});
    let object = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), object.to_string())?;
    site.kubectl_in(ELSEWHERE, &["apply", "-f", &text(file.path())]).await.map(drop)
}
