//! The backups on a schedule: the CronJob of the chart, run once by hand, writes a backup that the person's key opens.

use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use anyhow::Context as _;
use serde_json::{Value, json};

use super::site::{CONTROL_PLANE, Site};
use super::volume::Volume;
use crate::rig::real_node::NODE;

/// What a person makes before the first install: a key pair, and a volume for the backups.
pub struct Shelf {
    volume: Volume,
    namespace: &'static str,
    recipient: String,
}

impl Shelf {
    /// One for the control plane in this namespace; its volume is called `name`.
    pub async fn new(site: &Site, namespace: &'static str, name: &'static str) -> anyhow::Result<Self> {
        let volume = Volume::new(site, namespace, name).await?;
        let identity = age::x25519::Identity::generate();
        std::fs::write(volume.beside("key.txt"), identity.to_string().expose_secret())?;
        Ok(Self { volume, namespace, recipient: identity.to_public().to_string() })
    }

    /// The values of the control plane for it.
    pub fn values(&self, site: &Site) -> Value {
        let (image, claim) = (site.image("nimbus"), self.volume.claim());
        json!({"enabled": true, "existingClaim": claim, "recipients": [self.recipient], "image": image})
    }

    /// What values name.
    pub fn claim(&self) -> &str {
        self.volume.claim()
    }

    /// The file with the key that opens the backups.
    pub fn key(&self) -> String {
        text(&self.volume.beside("key.txt"))
    }

    /// Runs the job now, which makes the backup of this number of this kind of database, and opens what it wrote; returns its file.
    pub async fn one_is_made(&self, site: &Site, number: usize, database: &str) -> anyhow::Result<PathBuf> {
        let kubectl = async |words: &[&str]| site.kubectl_in(self.namespace, words).await;
        let from = format!("--from=cronjob/{CONTROL_PLANE}-backup");
        kubectl(&["create", "job", &from, "backup-now"]).await?;
        let ended = kubectl(&["wait", "--for=condition=complete", "--timeout=60s", "job/backup-now"]).await;
        let said = kubectl(&["logs", "job/backup-now"]).await.unwrap_or_default();
        ended.with_context(|| format!("the backup on {NODE} said: {said}"))?;
        let volume = std::fs::read_dir(self.volume.path())?;
        let mut made: Vec<_> = volume.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
        made.sort();
        anyhow::ensure!(made.len() == number, "expected {number} backups, found {made:?}");
        let newest = made.last().context("a backup")?;
        let name = newest.file_name().unwrap_or_default().to_string_lossy();
        let is_named = name.starts_with(&format!("{CONTROL_PLANE}-2"))
            && Path::new(&*name).extension().is_some_and(|end| end == "age");
        anyhow::ensure!(is_named, "expected the release and the time in the name, found {name}");
        let verified = site.nimbus(&["backup", "verify", &text(newest), "--identity", &self.key()]).await?;
        anyhow::ensure!(verified["valid"] == true && verified["database"] == database, "{verified}");
        kubectl(&["delete", "job", "backup-now"]).await?;
        Ok(newest.clone())
    }

    /// Removes the volume.
    pub async fn remove(self, site: &Site) -> anyhow::Result<()> {
        self.volume.remove(site).await
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
