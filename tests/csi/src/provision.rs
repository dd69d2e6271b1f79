//! Makes a volume for a claim that waits for one: what `external-provisioner` and a driver's CreateVolume do.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::volume::Volumes;
use crate::{DRIVER, size};

/// Where Kubernetes notes which provisioner it has asked for a claim's volume.
const ASKED: &str = "volume.kubernetes.io/storage-provisioner";
/// What the API server answers when there is an object of that name.
const CONFLICT: u16 = 409;

/// Makes the file system and the PersistentVolume of a claim, once Kubernetes has asked for it. Kubernetes then binds the
/// two.
///
/// # Errors
/// When the claim asks for what there is not, or one of the two cannot be made.
pub async fn provision(
    client: &kube::Client,
    volumes: &Volumes,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
) -> anyhow::Result<()> {
    let asked = claim.metadata.annotations.as_ref().and_then(|all| all.get(ASKED));
    if asked.is_none_or(|provisioner| provisioner != DRIVER) {
        return Ok(());
    }
    let spec = claim.spec.as_ref().context("a claim without a spec")?;
    let mode = spec.volume_mode.as_deref().unwrap_or("Filesystem");
    anyhow::ensure!(mode == "Filesystem", "expected a claim for a file system, found one for {mode}");
    let wanted = requested(claim).context("expected a whole number of bytes to be requested")?;
    // The name is the same at every try, and so is the volume.
    let name = format!("pvc-{}", claim.metadata.uid.as_deref().context("a claim without a uid")?);
    let bytes = volumes.make(&name, wanted).await?;
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": DRIVER}},
        "spec": {
            "capacity": {"storage": size::amount(bytes)},
            "accessModes": spec.access_modes,
            "volumeMode": "Filesystem",
            "storageClassName": spec.storage_class_name,
            "persistentVolumeReclaimPolicy": class.reclaim_policy.as_deref().unwrap_or("Delete"),
            "mountOptions": class.mount_options,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.metadata.namespace,
                "name": claim.metadata.name,
                "uid": claim.metadata.uid,
            },
            "csi": {"driver": DRIVER, "volumeHandle": name, "fsType": "xfs"},
        },
    });
    let volume: PersistentVolume = serde_json::from_value(volume)?;
    match Api::all(client.clone()).create(&PostParams::default(), &volume).await {
        Ok(_) => println!("{name} is made"),
        // Kubernetes has not bound the two yet.
        Err(kube::Error::Api(status)) if status.code == CONFLICT => {}
        Err(error) => return Err(error).context("cannot make a volume"),
    }
    Ok(())
}

/// The bytes that a claim asks for.
pub fn requested(claim: &PersistentVolumeClaim) -> Option<u64> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    size::bytes(&requests.get("storage")?.0)
}
