//! Makes the driver known to the kubelet, which asks every socket that it finds in its registry what is behind it. It does
//! what the side container `node-driver-registrar` does for other drivers.

use std::path::PathBuf;

use hyper::body::Incoming;
use tonic::body::Body;

use crate::messages::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use crate::{DRIVER, REGISTERED, grpc};

/// What the kubelet is told.
pub struct Registration {
    /// The socket of the driver itself.
    pub endpoint: PathBuf,
}

impl grpc::Services for Registration {
    async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        match request.uri().path() {
            "/pluginregistration.Registration/GetInfo" => {
                grpc::unary(request, async |_: InfoRequest| Ok(self.info())).await
            }
            "/pluginregistration.Registration/NotifyRegistrationStatus" => {
                grpc::unary(request, async |status| Ok(registered(&status))).await
            }
            other => grpc::unknown(other),
        }
    }
}

impl Registration {
    fn info(&self) -> PluginInfo {
        PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER.to_owned(),
            endpoint: self.endpoint.display().to_string(),
            supported_versions: vec!["1.0.0".to_owned()],
        }
    }
}

fn registered(status: &RegistrationStatus) -> RegistrationStatusResponse {
    if status.plugin_registered {
        // Whoever started the driver waits for this line.
        println!("{REGISTERED}");
    } else {
        eprintln!("the kubelet does not take the driver: {}", status.error);
    }
    RegistrationStatusResponse {}
}
