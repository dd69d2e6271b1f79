//! Runs a real Kubernetes control plane on loopback for trying things out: prints its kubeconfig and runs until Ctrl-C.

use nimbus_tests::rig::{Cluster, Options};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    if let Some(found) = std::env::args().nth(1) {
        anyhow::ensure!(found == "--help" || found == "-h", "expected no argument, found {found:?}");
        println!(
            "Starts a real Kubernetes on loopback, prints its KUBECONFIG, and runs until Ctrl-C. No arguments."
        );
        return Ok(());
    }
    eprintln!("starting a cluster (the first time on a machine its programs are built, which takes minutes)");
    let cluster = Cluster::start(Options::default()).await?;
    let kubeconfig = cluster.kubeconfig_path();
    println!("export KUBECONFIG={}", kubeconfig.display());
    eprintln!("three nodes are ready; Ctrl-C stops it and removes everything");
    eprintln!(
        "make something to break: kubectl create deployment shop --image=registry.example/shop:1 --replicas=2"
    );
    eprintln!(
        "break one of its pods: kubectl annotate $(kubectl get pods -l app=shop -o name | head -n 1) \
         rig.nimbus.dev/crash-now=true"
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}
