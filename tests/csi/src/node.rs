//! What the kubelet asks of the driver on its node. Every call may come again after it was done, and is answered alike.

use std::path::Path;
use std::sync::Arc;

use tonic::Status;

use crate::messages::csi::node_service_capability::{Rpc, Type, rpc};
use crate::messages::csi::volume_capability::AccessType;
use crate::messages::csi::{
    NodeExpandVolumeRequest, NodeExpandVolumeResponse, NodeGetCapabilitiesResponse, NodeGetInfoResponse,
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodePublishVolumeResponse, NodeServiceCapability, NodeUnpublishVolumeRequest,
    NodeUnpublishVolumeResponse, VolumeUsage, volume_usage::Unit,
};
use crate::size;
use crate::volume::Volumes;

/// The service `Node`.
pub struct Node {
    /// The node's name.
    pub id: String,
    /// Where the volumes are.
    pub volumes: Arc<Volumes>,
}

impl Node {
    /// Which node this is; it takes as many volumes as come.
    pub fn info(&self) -> NodeGetInfoResponse {
        NodeGetInfoResponse { node_id: self.id.clone(), max_volumes_per_node: 0 }
    }

    /// What it can do besides mounting. A volume is mounted straight where the pod wants it: nothing is staged.
    pub fn capabilities() -> NodeGetCapabilitiesResponse {
        let capability =
            |kind: rpc::Type| NodeServiceCapability { r#type: Some(Type::Rpc(Rpc { r#type: kind.into() })) };
        let capabilities = [rpc::Type::GetVolumeStats, rpc::Type::ExpandVolume].map(capability).to_vec();
        NodeGetCapabilitiesResponse { capabilities }
    }

    /// Mounts a volume for a pod.
    pub async fn publish(
        &self,
        asked: NodePublishVolumeRequest,
    ) -> Result<NodePublishVolumeResponse, Status> {
        self.known(&asked.volume_id)?;
        let target = path(&asked.target_path, "target_path")?;
        let access = asked.volume_capability.and_then(|capability| capability.access_type);
        let Some(AccessType::Mount(wanted)) = access else {
            return Err(Status::invalid_argument("expected a volume to mount, found another access type"));
        };
        if !["", "xfs"].contains(&wanted.fs_type.as_str()) {
            return Err(Status::invalid_argument(format!("expected xfs, found {:?}", wanted.fs_type)));
        }
        let mut options = wanted.mount_flags;
        if asked.readonly {
            options.push("ro".to_owned());
        }
        self.volumes.mount(&asked.volume_id, target, &options).await.map_err(|error| internal(&error))?;
        Ok(NodePublishVolumeResponse {})
    }

    /// Takes a volume from a pod that is over.
    pub async fn unpublish(
        &self,
        asked: NodeUnpublishVolumeRequest,
    ) -> Result<NodeUnpublishVolumeResponse, Status> {
        let target = path(&asked.target_path, "target_path")?;
        self.volumes.unmount(&asked.volume_id, target).await.map_err(|error| internal(&error))?;
        Ok(NodeUnpublishVolumeResponse {})
    }

    /// How full a volume is, in bytes and in inodes.
    pub async fn stats(
        &self,
        asked: NodeGetVolumeStatsRequest,
    ) -> Result<NodeGetVolumeStatsResponse, Status> {
        self.known(&asked.volume_id)?;
        let at = path(&asked.volume_path, "volume_path")?;
        let targets = self.volumes.targets(&asked.volume_id).await.map_err(|error| internal(&error))?;
        // Else the figures would be those of the node's own disk.
        if !targets.iter().any(|target| target == at) {
            return Err(Status::not_found(format!("{} is not mounted there", asked.volume_id)));
        }
        let found = rustix::fs::statvfs(at).map_err(|error| Status::internal(error.to_string()))?;
        let bytes = usage(Unit::Bytes, found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail);
        let inodes = usage(Unit::Inodes, 1, found.f_files, found.f_ffree, found.f_favail);
        Ok(NodeGetVolumeStatsResponse { usage: vec![bytes, inodes] })
    }

    /// Grows a volume that is mounted.
    pub async fn expand(&self, asked: NodeExpandVolumeRequest) -> Result<NodeExpandVolumeResponse, Status> {
        self.known(&asked.volume_id)?;
        let wanted = asked.capacity_range.map_or(0, |range| range.required_bytes);
        let wanted = u64::try_from(wanted).ok().filter(|bytes| (1..=size::LARGEST).contains(bytes));
        let Some(wanted) = wanted else {
            return Err(Status::out_of_range(format!(
                "expected 1 to {} required_bytes, found another number",
                size::LARGEST
            )));
        };
        let grown = self.volumes.grow(&asked.volume_id, wanted).await.map_err(|error| internal(&error))?;
        println!("{} has {grown} bytes now", asked.volume_id);
        Ok(NodeExpandVolumeResponse { capacity_bytes: amount(grown) })
    }

    fn known(&self, name: &str) -> Result<(), Status> {
        let there = self.volumes.has(name);
        if there { Ok(()) } else { Err(Status::not_found(format!("there is no volume {name:?}"))) }
    }
}

/// An absolute path: anything else is a mistake of the one who asks.
fn path<'a>(text: &'a str, field: &str) -> Result<&'a Path, Status> {
    let path = Path::new(text);
    let good = path.is_absolute();
    if good { Ok(path) } else { Err(Status::invalid_argument(format!("expected an absolute {field}"))) }
}

/// What the kubelet shows to people with the pod; it asks again later.
fn internal(error: &anyhow::Error) -> Status {
    eprintln!("{error:#}");
    Status::internal(format!("{error:#}"))
}

/// `size` is that of one unit in bytes; `available` is what a pod can have of what is free.
fn usage(unit: Unit, size: u64, total: u64, free: u64, available: u64) -> VolumeUsage {
    let of = |units: u64| amount(units.saturating_mul(size));
    VolumeUsage {
        unit: unit.into(),
        total: of(total),
        used: of(total.saturating_sub(free)),
        available: of(available),
    }
}

fn amount(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_what_is_not_free() {
        let found = usage(Unit::Bytes, 4096, 100, 40, 30);
        assert_eq!((found.total, found.used, found.available), (409_600, 245_760, 122_880));
    }
}
