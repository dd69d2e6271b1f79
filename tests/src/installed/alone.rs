//! One control plane on SQLite, as the chart installs it by default: everything is on its volume, and a pod that is replaced goes on with
//! it.

use anyhow::Context as _;
use serde_json::json;

use super::backup::Shelf;
use super::site::{CONTROL_PLANE, Site};
use super::story::{Clock, LIMIT, the_operator_is_answered};
use super::volume::Volume;
use crate::wait::{Seen, wait_for};

/// Where it is.
const ALONE: &str = "alone";

/// Installs it, replaces its pod, takes a backup, upgrades and removes it.
pub async fn tell(site: &Site) -> anyhow::Result<()> {
    site.restricted_namespace(ALONE).await?;
    let volume = Volume::new(site, ALONE, "state").await?;
    let shelf = Shelf::new(site, ALONE, "backups-alone").await?;
    let values = |round: u32| {
        json!({
            "persistence": {"existingClaim": volume.claim()},
            "backup": shelf.values(site),
            "podAnnotations": {"round": round.to_string()},
        })
    };
    let clock = Clock::start(site);
    site.install_in(ALONE, CONTROL_PLANE, &values(1)).await?;
    clock.say("helm install of one control plane on SQLite, until it is ready");
    // Nobody gave it keys: it made its own.
    let keys = volume.path().join("data");
    site.know_control_plane((ALONE, CONTROL_PLANE), &keys).await?;
    the_operator_is_answered(site).await?;
    site.nimbus(&["agents", "token", "create", "--name", "kept", "--kind", "host"]).await?;
    let ca = std::fs::read(keys.join("ca.pem"))?;

    let clock = Clock::start(site);
    let pod = format!("{CONTROL_PLANE}-0");
    site.kubectl_in(ALONE, &["delete", "pod", &pod, "--timeout=60s"]).await?;
    the_operator_is_answered(site).await?;
    clock.say("its pod is deleted, until nimbus is answered by the next one");
    shelf.one_is_made(site, 1, "sqlite").await?;
    site.install_in(ALONE, CONTROL_PLANE, &values(2)).await.context("the upgrade")?;
    the_operator_is_answered(site).await?;
    anyhow::ensure!(std::fs::read(keys.join("ca.pem"))? == ca, "its keys are others");
    let rows = site.nimbus(&["audit", "--action", "token.created"]).await?;
    anyhow::ensure!(rows["items"].as_array().is_some_and(|rows| rows.len() == 1), "what was written: {rows}");

    site.helm_in(ALONE, &["uninstall", CONTROL_PLANE, "--wait", "--timeout", "2m"]).await?;
    wait_for("its pod to be gone", LIMIT, || async {
        let left = site.kubectl_in(ALONE, &["get", "pods", "-o", "name"]).await?;
        Ok(Seen::when(left.trim().is_empty().then_some(()), left))
    })
    .await?;
    anyhow::ensure!(keys.join("nimbus.db").is_file(), "the volume was somebody's own, and is empty");
    shelf.remove(site).await?;
    volume.remove(site).await
}
