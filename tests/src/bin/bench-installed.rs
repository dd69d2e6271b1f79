//! Measures what a platform team waits for on a real node: installing, healing, a takeover, upgrades; and what the pods take at rest.

use nimbus_tests::bench::Report;
use nimbus_tests::installed;
use nimbus_tests::rig::real_node::INSIDE;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [first, inside @ ..] if first == INSIDE => installed::inside(inside).await,
        [] => tokio::task::block_in_place(measure),
        _ => anyhow::bail!("usage: bench-installed"),
    }
}

fn measure() -> anyhow::Result<()> {
    anyhow::ensure!(
        std::env::var_os("NIMBUS_RELEASE").is_some(),
        "expected the directory of a release in NIMBUS_RELEASE, found none: `cargo xtask bench installed` makes one"
    );
    let mut report = Report::new("Installed on a real node", "cargo xtask bench installed");
    for figure in installed::measured(&std::env::current_exe()?)? {
        report.row(figure.what, figure.value, &figure.unit, figure.aim.as_deref(), figure.peer);
    }
    report.note(
        "One run of the story that `--test installed` tells: a real API server, kubelet, containerd and helm, PostgreSQL beside \
         the node, two control planes, one agent, all on the machine's cores together. The figures of 50 takeovers are in \
         docs/sizing.md.",
    );
    report.note("The processor figure of node_exporter is no comparison: it works when it is scraped, and nobody scrapes it here.");
    report.note("15 s of what comes until the state of the cluster is known are the first election: its Lease has to run out once.");
    report.note("The images and charts of a release, as `cargo xtask dist` makes them.");
    report.print()
}
