//! Looks after the claims of the rig's storage classes: a loop that stands for what runs beside a driver in a real cluster.
//!
//! Of the side container `external-provisioner` it does this: a claim that waits for the driver gets a volume
//! ([`provision`]), and a volume whose claim is gone is deleted when its policy says so. Of `external-resizer`: a bound
//! claim that asks for more than it has gets it ([`resize`]), up to where the kubelet goes on by itself. It does not do the
//! rest: no events, no leader, no topology, no snapshots. It asks once a second for everything instead of watching, which
//! is bounded and cannot miss anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, DeleteParams, ListParams};

use crate::DRIVER;
use crate::provision::provision;
use crate::resize::resize;
use crate::volume::Volumes;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long one look may take, with the file systems that are made in it.
const LIMIT: Duration = Duration::from_mins(1);
/// Objects of one kind that are looked at; a cluster of the rig has a handful.
const MOST: u32 = 500;

/// What the loop works with.
pub struct Claims {
    /// An administrator's client.
    pub client: kube::Client,
    /// Where the volumes are.
    pub volumes: Arc<Volumes>,
}

impl Claims {
    /// Looks after them without end. What fails is told and tried again at the next look.
    pub async fn look_after(&self) {
        loop {
            match tokio::time::timeout(LIMIT, self.look()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("claims: {error:#}"),
                Err(_) => eprintln!("claims: a look took longer than {} s", LIMIT.as_secs()),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn look(&self) -> anyhow::Result<()> {
        let list = ListParams::default().limit(MOST);
        let all = Api::<StorageClass>::all(self.client.clone()).list(&list).await;
        let ours = all.context("storage classes")?.items.into_iter().filter(|it| it.provisioner == DRIVER);
        let classes: BTreeMap<String, StorageClass> =
            ours.filter_map(|class| Some((class.metadata.name.clone()?, class))).collect();
        let claims = Api::<PersistentVolumeClaim>::all(self.client.clone()).list(&list).await;
        for claim in claims.context("claims")?.items {
            let name = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
            let Some(class) = name.and_then(|name| classes.get(name)) else { continue };
            // One claim that cannot be served must not keep the others waiting.
            if let Err(error) = self.serve(&claim, class).await {
                let name = claim.metadata.name.unwrap_or_default();
                eprintln!("claim {name}: {error:#}");
            }
        }
        let volumes = Api::<PersistentVolume>::all(self.client.clone());
        for volume in volumes.list(&list).await.context("volumes")?.items {
            if is_over(&volume) {
                self.delete(&volumes, &volume).await?;
            }
        }
        Ok(())
    }

    async fn serve(&self, claim: &PersistentVolumeClaim, class: &StorageClass) -> anyhow::Result<()> {
        if claim.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        match claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()) {
            None => provision(&self.client, &self.volumes, claim, class).await,
            Some(volume) => resize(&self.client, claim, volume).await,
        }
    }

    /// The file first: where it is still mounted, the object stays for the next look.
    async fn delete(&self, all: &Api<PersistentVolume>, volume: &PersistentVolume) -> anyhow::Result<()> {
        let name = volume.metadata.name.as_deref().context("a volume without a name")?;
        if self.volumes.remove(name).await? {
            all.delete(name, &DeleteParams::default()).await.context("cannot delete a volume")?;
            println!("{name} is deleted");
        }
        Ok(())
    }
}

/// Whether a volume is ours, and its claim gone, and it was to go with it.
fn is_over(volume: &PersistentVolume) -> bool {
    let spec = volume.spec.as_ref();
    let ours = spec.and_then(|spec| spec.csi.as_ref()).is_some_and(|source| source.driver == DRIVER);
    let policy = spec.and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    ours && policy == Some("Delete") && phase == Some("Released")
}
