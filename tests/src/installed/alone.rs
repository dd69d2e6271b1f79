//! One control plane on SQLite, as the chart installs it by default: everything is on its volume, and a pod that is replaced goes on with
//! it. Its volume is lost, and its backup serves from another one.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::backup::{Shelf, text};
use super::site::{CONTROL_PLANE, Site};
use super::story::{Clock, LIMIT, the_operator_is_answered};
use super::volume::Volume;
use crate::rig::repository;
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
    let backup = shelf.one_is_made(site, 1, "sqlite").await?;
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
    volume.remove(site).await?;
    restored(site, &shelf, &backup).await.context("the backup in a new claim")?;
    shelf.remove(site).await
}

/// The volume is lost with its keys: a pod restores the backup into a new claim, as docs/backup.md says, and the chart is installed with it.
async fn restored(site: &Site, shelf: &Shelf, backup: &Path) -> anyhow::Result<()> {
    let kubectl = async |words: &[&str]| site.kubectl_in(ALONE, words).await;
    let volume = Volume::new(site, ALONE, "restored").await?;
    let document = std::fs::read_to_string(repository()?.join("docs/backup.md"))?;
    let manifest = document.split("```").find_map(|block| block.strip_prefix("yaml\n# restore.yaml"));
    let manifest = manifest.and_then(|block| block.split_once('\n')).context("the pod in docs/backup.md")?.1;
    let image = site.image("nimbus");
    let named = |field: &str| image[field].as_str().map(str::to_owned);
    let repository = named("repository").context("the image")?;
    let image = named("tag").map_or_else(
        || format!("{repository}:{}", env!("CARGO_PKG_VERSION")),
        |tag| format!("{repository}:{tag}"),
    );
    let name = backup.file_name().context("a backup has a name")?.to_string_lossy();
    let mut manifest = manifest.to_owned();
    for (placeholder, ours) in [
        ("REGISTRY/nimbus:VERSION", format!("{image}\n      imagePullPolicy: Never").as_str()),
        ("BACKUP.age", &name),
        ("claimName: control-plane", &format!("claimName: {}", volume.claim())),
        ("claimName: backups", &format!("claimName: {}", shelf.claim())),
    ] {
        anyhow::ensure!(manifest.contains(placeholder), "docs/backup.md has no {placeholder}:\n{manifest}");
        manifest = manifest.replace(placeholder, ours);
    }
    let file = volume.beside("restore.yaml");
    std::fs::write(&file, manifest)?;
    let clock = Clock::start(site);
    kubectl(&["create", "secret", "generic", "backup-key", &format!("--from-file=key.txt={}", shelf.key())])
        .await?;
    kubectl(&["apply", "-f", &text(&file)]).await?;
    let ended =
        kubectl(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/restore"]).await;
    let said = kubectl(&["logs", "restore"]).await.unwrap_or_default();
    ended.with_context(|| format!("the pod said: {said}"))?;
    kubectl(&["delete", "pod/restore", "secret/backup-key"]).await?;
    let values = json!({"persistence": {"existingClaim": volume.claim()}});
    site.install_in(ALONE, CONTROL_PLANE, &values).await?;
    site.know_control_plane((ALONE, CONTROL_PLANE), &volume.path().join("data")).await?;
    the_operator_is_answered(site).await?;
    clock.say("a control plane on SQLite is lost, until its backup serves from a new claim");
    for action in ["token.created", "backup.restored"] {
        let rows = site.nimbus(&["audit", "--action", action]).await?;
        anyhow::ensure!(rows["items"].as_array().is_some_and(|rows| rows.len() == 1), "{action}: {rows}");
    }
    site.helm_in(ALONE, &["uninstall", CONTROL_PLANE, "--wait", "--timeout", "2m"]).await?;
    volume.remove(site).await
}
