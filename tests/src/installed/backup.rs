//! The backups on a schedule: the CronJob of the chart, run once by hand, writes a backup that the person's key opens.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use anyhow::Context as _;
use serde_json::{Value, json};

use super::site::{CONTROL_PLANE, Site};
use crate::rig::real_node::NODE;

/// The claim that the backups are written to.
const CLAIM: &str = "backups";

/// What a person makes before the first install: a key pair, and a volume for the backups.
pub struct Shelf {
    dir: tempfile::TempDir,
    recipient: String,
}

impl Shelf {
    /// A directory of the node is the volume, as no provisioner is there.
    pub async fn new(site: &Site) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-backups-").tempdir_in("/run")?;
        let identity = age::x25519::Identity::generate();
        std::fs::write(dir.path().join("key.txt"), identity.to_string().expose_secret())?;
        let volume = dir.path().join("volume");
        std::fs::create_dir(&volume)?;
        // The kubelet gives a directory of the node to no group.
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        std::fs::set_permissions(&volume, Permissions::from_mode(0o777))?;
        let mode = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": ""});
        let mut of_volume = mode.clone();
        of_volume["capacity"] = json!({"storage": "1Gi"});
        of_volume["hostPath"] = json!({"path": volume});
        let mut of_claim = mode;
        of_claim["volumeName"] = json!(CLAIM);
        of_claim["resources"] = json!({"requests": {"storage": "1Gi"}});
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": CLAIM}, "spec": of_volume},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM}, "spec": of_claim},
        ]});
        let file = dir.path().join("volume.json");
        std::fs::write(&file, objects.to_string())?;
        site.kubectl(&["apply", "-f", &text(&file)]).await?;
        Ok(Self { dir, recipient: identity.to_public().to_string() })
    }

    /// The values of the control plane for it.
    pub fn values(&self, site: &Site) -> Value {
        let image = site.image("nimbus");
        json!({"enabled": true, "existingClaim": CLAIM, "recipients": [self.recipient], "image": image})
    }

    /// The file with the key that opens the backups.
    pub fn key(&self) -> String {
        text(&self.dir.path().join("key.txt"))
    }

    /// Runs the job now, which makes the backup of this number, and opens what it wrote; returns its file.
    pub async fn one_is_made(&self, site: &Site, number: usize) -> anyhow::Result<PathBuf> {
        let from = format!("--from=cronjob/{CONTROL_PLANE}-backup");
        site.kubectl(&["create", "job", &from, "backup-now"]).await?;
        let ended =
            site.kubectl(&["wait", "--for=condition=complete", "--timeout=60s", "job/backup-now"]).await;
        let said = site.kubectl(&["logs", "job/backup-now"]).await.unwrap_or_default();
        ended.with_context(|| format!("the backup on {NODE} said: {said}"))?;
        let volume = std::fs::read_dir(self.dir.path().join("volume"))?;
        let mut made: Vec<_> = volume.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
        made.sort();
        anyhow::ensure!(made.len() == number, "expected {number} backups, found {made:?}");
        let newest = made.last().context("a backup")?;
        let name = newest.file_name().unwrap_or_default().to_string_lossy();
        let is_named = name.starts_with(&format!("{CONTROL_PLANE}-2"))
            && Path::new(&*name).extension().is_some_and(|end| end == "age");
        anyhow::ensure!(is_named, "expected the release and the time in the name, found {name}");
        let verified = site.nimbus(&["backup", "verify", &text(newest), "--identity", &self.key()]).await?;
        anyhow::ensure!(verified["valid"] == true && verified["database"] == "postgresql", "{verified}");
        site.kubectl(&["delete", "job", "backup-now"]).await?;
        Ok(newest.clone())
    }

    /// Removes claim and volume, which are a person's own.
    pub async fn remove(self, site: &Site) -> anyhow::Result<()> {
        for object in [format!("pvc/{CLAIM}"), format!("pv/{CLAIM}")] {
            site.kubectl(&["delete", &object, "--timeout=60s"]).await?;
        }
        Ok(())
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
