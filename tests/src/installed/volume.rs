//! A volume for a pod: a directory of the node with a claim, as no provisioner is there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::backup::text;
use super::site::Site;

/// A volume with its claim, both of one name.
pub struct Volume {
    dir: tempfile::TempDir,
    namespace: &'static str,
    name: &'static str,
}

impl Volume {
    /// Makes it.
    pub async fn new(site: &Site, namespace: &'static str, name: &'static str) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-volume-").tempdir_in("/run")?;
        let volume = dir.path().join("volume");
        fs::create_dir(&volume)?;
        // The kubelet gives a directory of the node to no group.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        fs::set_permissions(&volume, Permissions::from_mode(0o777))?;
        let mode = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": ""});
        let mut of_volume = mode.clone();
        of_volume["capacity"] = json!({"storage": "1Gi"});
        of_volume["hostPath"] = json!({"path": volume});
        let mut of_claim = mode;
        of_claim["volumeName"] = json!(name);
        of_claim["resources"] = json!({"requests": {"storage": "1Gi"}});
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": of_volume},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": of_claim},
        ]});
        let file = dir.path().join("volume.json");
        fs::write(&file, objects.to_string())?;
        site.kubectl_in(namespace, &["apply", "-f", &text(&file)]).await?;
        Ok(Self { dir, namespace, name })
    }

    /// What values name.
    pub fn claim(&self) -> &str {
        self.name
    }

    /// Where it is on the node.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("volume")
    }

    /// Removes claim and volume, which are a person's own.
    pub async fn remove(self, site: &Site) -> anyhow::Result<()> {
        for object in [format!("pvc/{}", self.name), format!("pv/{}", self.name)] {
            site.kubectl_in(self.namespace, &["delete", &object, "--timeout=60s"]).await?;
        }
        Ok(())
    }

    /// A file beside it, for whoever made it.
    pub fn beside(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
}
