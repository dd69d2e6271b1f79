//! Grows the volume of a claim that asks for more than it has: what `external-resizer` does, of the versions that can
//! recover from a failed expansion.
//!
//! The driver's disk has no size of its own that would have to grow first. So the PersistentVolume gets its new capacity at
//! once, and the claim the condition `FileSystemResizePending`; then the kubelet calls NodeExpandVolume, and writes the
//! claim's new capacity when the file system has grown. Without a pod that uses the claim it stays pending, as it does
//! everywhere.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::provision::requested;
use crate::size;

/// The one resource that a claim has.
const STORAGE: &str = "storage";

/// Does what is still to be done until the kubelet goes on. Each step may have been done before.
///
/// # Errors
/// When the API server refuses it, or the size is out of range.
pub async fn resize(
    client: &kube::Client,
    claim: &PersistentVolumeClaim,
    volume: &str,
) -> anyhow::Result<()> {
    let wanted = requested(claim).context("expected a whole number of bytes to be requested")?;
    if has(claim).is_none_or(|bytes| wanted <= bytes) || is_under_way(claim) {
        return Ok(());
    }
    let wanted = size::rounded(wanted)?;
    let all = Api::<PersistentVolume>::all(client.clone());
    let found = all.get(volume).await.with_context(|| format!("cannot read {volume}"))?;
    let capacity = found.spec.and_then(|spec| size::bytes(&spec.capacity?.get(STORAGE)?.0));
    let amount = size::amount(wanted);
    if capacity.is_none_or(|bytes| bytes < wanted) {
        let larger = json!({"spec": {"capacity": {STORAGE: amount}}});
        all.patch(volume, &PatchParams::default(), &Patch::Merge(larger))
            .await
            .with_context(|| format!("cannot give {volume} its new capacity"))?;
    }
    let name = claim.metadata.name.as_deref().context("a claim without a name")?;
    let namespace = claim.metadata.namespace.as_deref().context("a claim without a namespace")?;
    let pending = json!({
        // Whatever has changed since is looked at again first.
        "metadata": {"resourceVersion": claim.metadata.resource_version},
        "status": {
            "allocatedResources": {STORAGE: amount},
            "allocatedResourceStatuses": {STORAGE: "NodeResizePending"},
            "conditions": [{
                "type": "FileSystemResizePending",
                "status": "True",
                "lastTransitionTime": now(),
                "message": "waiting for the kubelet to grow the file system",
            }],
        },
    });
    Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace)
        // Conditions of other types stay.
        .patch_status(name, &PatchParams::default(), &Patch::Strategic(pending))
        .await
        .context("cannot tell the kubelet to grow the file system")?;
    println!("{volume} is to have {amount}");
    Ok(())
}

/// The bytes that a claim has, as the kubelet wrote last; `None` as long as it is not bound.
fn has(claim: &PersistentVolumeClaim) -> Option<u64> {
    size::bytes(&claim.status.as_ref()?.capacity.as_ref()?.get(STORAGE)?.0)
}

/// Whether the kubelet has an order already. A claim that asks for even more meanwhile waits until it is done.
fn is_under_way(claim: &PersistentVolumeClaim) -> bool {
    let statuses = claim.status.as_ref().and_then(|status| status.allocated_resource_statuses.as_ref());
    statuses.is_some_and(|all| all.contains_key(STORAGE))
}

#[allow(clippy::disallowed_methods, reason = "the API server does not say when a condition began")]
fn now() -> Time {
    Time(Timestamp::now())
}
