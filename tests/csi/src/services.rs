//! Which call of the Container Storage Interface is answered by what, and who the driver is.

use std::sync::Arc;

use hyper::body::Incoming;
use tonic::body::Body;

use crate::messages::csi::plugin_capability::{Type, VolumeExpansion, volume_expansion};
use crate::messages::csi::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest, GetPluginInfoResponse,
    NodeGetCapabilitiesRequest, NodeGetInfoRequest, PluginCapability, ProbeRequest, ProbeResponse,
};
use crate::node::Node;
use crate::{DRIVER, grpc};

/// The services `Identity` and `Node`.
pub struct Driver(pub Arc<Node>);

impl grpc::Services for Driver {
    async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        let node = &self.0;
        match request.uri().path() {
            "/csi.v1.Identity/GetPluginInfo" => {
                grpc::unary(request, async |_: GetPluginInfoRequest| Ok(info())).await
            }
            "/csi.v1.Identity/GetPluginCapabilities" => {
                grpc::unary(request, async |_: GetPluginCapabilitiesRequest| Ok(capabilities())).await
            }
            "/csi.v1.Identity/Probe" => {
                grpc::unary(request, async |_: ProbeRequest| Ok(ProbeResponse { ready: Some(true) })).await
            }
            "/csi.v1.Node/NodeGetInfo" => {
                grpc::unary(request, async |_: NodeGetInfoRequest| Ok(node.info())).await
            }
            "/csi.v1.Node/NodeGetCapabilities" => {
                grpc::unary(request, async |_: NodeGetCapabilitiesRequest| Ok(Node::capabilities())).await
            }
            "/csi.v1.Node/NodePublishVolume" => {
                grpc::unary(request, async |asked| node.publish(asked).await).await
            }
            "/csi.v1.Node/NodeUnpublishVolume" => {
                grpc::unary(request, async |asked| node.unpublish(asked).await).await
            }
            "/csi.v1.Node/NodeGetVolumeStats" => {
                grpc::unary(request, async |asked| node.stats(asked).await).await
            }
            "/csi.v1.Node/NodeExpandVolume" => {
                grpc::unary(request, async |asked| node.expand(asked).await).await
            }
            other => grpc::unknown(other),
        }
    }
}

fn info() -> GetPluginInfoResponse {
    GetPluginInfoResponse { name: DRIVER.to_owned(), vendor_version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// No controller: what one would be asked for, the loop over claims does by itself.
fn capabilities() -> GetPluginCapabilitiesResponse {
    let online = VolumeExpansion { r#type: volume_expansion::Type::Online.into() };
    let capability = PluginCapability { r#type: Some(Type::VolumeExpansion(online)) };
    GetPluginCapabilitiesResponse { capabilities: vec![capability] }
}
