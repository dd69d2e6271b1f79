//! Volumes that fill and grow on a real node: starts the rig's own CSI driver beside the kubelet, and makes the storage
//! classes that claims name.
//!
//! The driver (`tests/csi`) keeps its volumes below the node's directory. What it does, and what of a real cluster it
//! stands for, is told there; what a test does with a claim is left to the test.
//!
//! A kubelet looks whether a volume is to grow when it looks after the pod that has it: after a minute or more by itself, or
//! at once when something of the pod changes, an annotation for one. A volume without a pod grows when it gets one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::storage::v1::{CSIDriver, StorageClass};
use kube::api::{Api, PostParams};
use serde_json::json;

use super::{RealNode, mounts};
use crate::process::{self, Process};
use crate::rig::Cluster;
use crate::wait::{Seen, wait_for};

/// The driver's name, and that of the provisioner.
pub const DRIVER: &str = "rig.nimbus.dev";
/// The class of volumes that can grow.
pub const GROWS: &str = "rig-grows";
/// The class of volumes that cannot.
pub const FIXED: &str = "rig-fixed";
/// What a volume has at least: 16 MiB are the smallest XFS there is. A claim for less gets this much.
pub const SMALLEST: &str = "16Mi";

/// The program, as cargo built it.
const PROGRAM: &str = "nimbus-rig-csi";
/// What it prints once the kubelet has taken it.
const REGISTERED: &str = "the kubelet knows the driver";
/// How long that may take: a second on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long it may take to unmount everything.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The running driver. It unmounts its volumes when it is stopped or dropped, which has to be before the [`Cluster`] is: a
/// directory with something mounted in it cannot be removed.
#[derive(Debug)]
pub struct Csi {
    process: Process,
    volumes: PathBuf,
}

/// Why this machine cannot have such volumes, where it can have a real node; `None` when it can.
pub fn obstacle() -> Option<String> {
    if !Path::new("/dev/loop-control").exists() {
        return Some("volumes that grow need loop devices, and there is no /dev/loop-control".to_owned());
    }
    let known = || {
        let all = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        all.lines().any(|line| line.trim() == "xfs")
    };
    if !known() {
        // It may be a module that nothing has asked for yet. Whether it worked is seen next.
        let _ = Command::new("modprobe").arg("xfs").stdin(Stdio::null()).stderr(Stdio::null()).status();
    }
    if !known() {
        return Some("volumes that grow need XFS, and this kernel has none".to_owned());
    }
    let tried = try_one();
    tried.err().map(|error| {
        format!("volumes that grow need XFS on a loop device, and one could not be mounted: {error:#}")
    })
}

/// Makes the smallest volume there is, mounts it and takes it away again: whether a machine lets a program do that nothing else tells.
fn try_one() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("nimbus-loop-").tempdir()?;
    let (file, place) = (dir.path().join("volume"), dir.path().join("mounted"));
    fs::create_dir(&place)?;
    fs::File::create(&file)?.set_len(16 << 20)?;
    let (file, place) = (file.display().to_string(), place.display().to_string());
    mounts::run("mkfs.xfs", &["-q", "--unsupported", &file])?;
    mounts::run("mount", &["-t", "xfs", "-o", "loop", &file, &place])?;
    mounts::run("umount", &[&place]).map(drop)
}

impl Csi {
    /// Starts the driver on this node, the only one of its cluster that can have such volumes, and waits until the kubelet
    /// knows it. This process is in the node's namespaces already.
    ///
    /// # Errors
    /// When it is not built or cannot be started, or the kubelet does not take it; then with what it said.
    pub async fn start(cluster: &Cluster, node: &RealNode) -> anyhow::Result<Self> {
        make_objects(cluster).await?;
        let kubelet = node.dir.join("kubelet");
        let mut command = Command::new(process::binary(PROGRAM)?);
        command.arg("--node-id").arg(node.place.name());
        command.arg("--socket").arg(kubelet.join("plugins").join(DRIVER).join("csi.sock"));
        // Why there has to be an "@" is told in the driver.
        command.arg("--registration").arg(kubelet.join("plugins_registry/rig@nimbus.dev-reg.sock"));
        let volumes = node.dir.join("volumes");
        command.arg("--data").arg(&volumes);
        command.arg("--kubeconfig").arg(cluster.kubeconfig_path()).current_dir(&node.dir);
        let process = Process::start(PROGRAM, command, &node.dir)?;
        let csi = Self { process, volumes };
        wait_for("the kubelet to know the CSI driver", START_LIMIT, || async {
            let output = csi.process.output();
            let known = output.lines().any(|line| line == REGISTERED);
            Ok(Seen::when(known.then_some(()), output))
        })
        .await?;
        Ok(csi)
    }

    /// What the driver did and what went wrong, for an error message.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Stops it, with its volumes unmounted; the kernel takes the loop devices back with the last pod that has one mounted.
    ///
    /// # Errors
    /// When it does not end, or could not unmount a volume; with what it said.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let status = self.process.stop(libc::SIGTERM, STOP_LIMIT)?;
        // Else they stay for good where a cluster's directory cannot be removed whole, for what the kubelet has mounted in
        // it.
        fs::remove_dir_all(&self.volumes).context("cannot remove the volumes")?;
        anyhow::ensure!(status.success(), "{PROGRAM} ended with {status}: {}", self.process.output());
        Ok(())
    }
}

impl Drop for Csi {
    fn drop(&mut self) {
        // For the errors before `stop`; after it process and directory are gone, and this does nothing.
        let _ = self.process.stop(libc::SIGTERM, STOP_LIMIT);
        let _ = fs::remove_dir_all(&self.volumes);
    }
}

/// What an installation of a driver brings: how Kubernetes is to treat it, and the classes.
async fn make_objects(cluster: &Cluster) -> anyhow::Result<()> {
    let client = cluster.client().await?;
    let driver: CSIDriver = serde_json::from_value(json!({
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": false, "podInfoOnMount": false, "fsGroupPolicy": "File"},
    }))?;
    let created = Api::<CSIDriver>::all(client.clone()).create(&PostParams::default(), &driver).await;
    created.context("cannot make the CSIDriver")?;
    for (name, grows) in [(GROWS, true), (FIXED, false)] {
        let class: StorageClass = serde_json::from_value(json!({
            "metadata": {"name": name},
            "provisioner": DRIVER,
            "allowVolumeExpansion": grows,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        }))?;
        let created = Api::<StorageClass>::all(client.clone()).create(&PostParams::default(), &class).await;
        created.with_context(|| format!("cannot make the class {name}"))?;
    }
    Ok(())
}
