//! The rig's own CSI driver: volumes that fill, and that grow while a pod uses them, on a real node of the tests.
//!
//! No CSI driver that expands can be had ready-made for it. A volume is a sparse file with an XFS over a loop
//! device: XFS grows while it is mounted, and asks for no capability that the tests lack (ext4 asks for CAP_SYS_RESOURCE).
//! One process is all that a driver usually is: the driver on the node ([`services`]), its registration ([`registration`]),
//! and the loop over claims that stands for `external-provisioner` and `external-resizer` ([`claims`]).
//!
//! It runs in the node's namespaces, prints to standard output what it did, and ends with SIGTERM, having unmounted
//! everything.

mod claims;
mod device;
mod grpc;
mod messages;
mod node;
mod provision;
mod registration;
mod resize;
mod services;
mod size;
mod system;
mod volume;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::signal::unix::{SignalKind, signal};

/// The driver's name, which is also that of the provisioner.
const DRIVER: &str = "rig.nimbus.dev";
/// What is printed once the kubelet knows the driver.
const REGISTERED: &str = "the kubelet knows the driver";

/// Serves volumes on a real node of the tests.
#[derive(Debug, Parser)]
#[command(version)]
struct Words {
    /// The node's name.
    #[arg(long)]
    node_id: String,
    /// Where the driver listens.
    #[arg(long)]
    socket: PathBuf,
    /// Where the kubelet looks for plugins. The file's name needs an "@".
    #[arg(long)]
    registration: PathBuf,
    /// Where the volumes are.
    #[arg(long)]
    data: PathBuf,
    /// An administrator's kubeconfig.
    #[arg(long)]
    kubeconfig: PathBuf,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let words = Words::parse();
    // The kubelet sends the socket's path, escaped, as the authority of its requests, and a per cent sign is allowed in
    // what stands before an "@" alone: without one, HTTP/2 refuses each request as malformed.
    let name = words.registration.file_name().map(|name| name.to_string_lossy().into_owned());
    anyhow::ensure!(
        name.is_some_and(|name| name.contains('@')),
        "expected --registration with an @ in the file's name, found {}",
        words.registration.display()
    );
    let mut end = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let volumes = Arc::new(volume::Volumes::new(&words.data)?);

    // Something else in this process may have chosen the provider already; it is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(&words.kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let claims = claims::Claims { client: kube::Client::try_from(config)?, volumes: Arc::clone(&volumes) };

    let node = node::Node { id: words.node_id, volumes: Arc::clone(&volumes) };
    let driver = services::Driver(Arc::new(node));
    // The driver first: as soon as the kubelet finds the other socket, it asks here.
    let driver = grpc::serve(grpc::listen(&words.socket)?, Arc::new(driver));
    let registration = registration::Registration { endpoint: words.socket };
    let registration = grpc::serve(grpc::listen(&words.registration)?, Arc::new(registration));
    tokio::select! {
        () = driver => {}
        () = registration => {}
        () = claims.look_after() => {}
        _ = end.recv() => {}
    }
    // A kubelet that still lives must not go on asking.
    let _ = std::fs::remove_file(&words.registration);
    volumes.unmount_all().await
}
