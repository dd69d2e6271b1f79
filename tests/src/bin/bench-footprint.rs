//! Measures an idle agent's memory and processor use on a host alone, and on clusters of 100, 1,000 and 10,000 pods.

use std::time::Duration;

use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::bench::{Report, usage};
use nimbus_tests::plane::Plane;
use nimbus_tests::process::{Process, free_port};
use nimbus_tests::rig::workloads::DeploymentSpec;
use nimbus_tests::rig::{Cluster, Options};
use nimbus_tests::site::{agent_options, cluster_uid};
use nimbus_tests::wait::{Seen, wait_for};

/// Rest before the measurement, and the window in which processor time is counted.
const SETTLE: Duration = Duration::from_secs(20);
const WINDOW: Duration = Duration::from_mins(1);
/// Ten thousand pods take their time to be created on two cores.
const CREATE: Duration = Duration::from_mins(15);
const SIZES: [u32; 3] = [100, 1_000, 10_000];

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    Ok(usage::resident_bytes(pid)? as f64 / 1e6)
}

async fn on_a_host(report: &mut Report) -> anyhow::Result<()> {
    let plane = Plane::start(None, "").await?;
    let dir = tempfile::tempdir()?;
    let watched = dir.path().join("watched");
    std::fs::create_dir(&watched)?;
    std::fs::write(watched.join("app.conf"), "workers = 4\n")?;
    let options = AgentOptions { name: "rest".into(), watch: vec![watched], ..AgentOptions::default() };
    let agent = AgentProcess::join(&plane, options).await?;
    let peer = usage::node_exporter(dir.path(), free_port()?)?;
    tokio::time::sleep(SETTLE).await;
    let (agent_pid, peer_pid) = (agent.pid(), peer.as_ref().map(Process::pid));
    let (own, other) = tokio::join!(
        tokio::task::spawn_blocking(move || usage::processor_percent(agent_pid, WINDOW)),
        tokio::task::spawn_blocking(move || peer_pid
            .map(|p| usage::processor_percent(p, WINDOW))
            .transpose()),
    );
    let (own, other) = (own??, other??);
    let peer_memory = peer_pid.map(resident_mb).transpose()?.map(|mb| format!("node_exporter {mb:.1}"));
    let peer_cpu = other.map(|p| format!("node_exporter {p:.3} (nobody scrapes it)"));
    report.row("host only: resident memory", resident_mb(agent.pid())?, "MB", Some("12"), peer_memory);
    report.row("host only: processor", own, "% of a core", Some("0.05"), peer_cpu);
    Ok(())
}

async fn on_a_cluster(report: &mut Report) -> anyhow::Result<Vec<(f64, f64)>> {
    let cluster = Cluster::start(Options { nodes: 100, ..Options::default() }).await?;
    let plane = Plane::start(None, "").await?;
    let uid = cluster_uid(&cluster).await?;
    let workloads = cluster.workloads("many").await?;
    let mut points = Vec::new();
    for size in SIZES {
        eprintln!("creating {size} pods");
        let per = i32::try_from(size / 10)?;
        for n in 0..10 {
            workloads.apply(&DeploymentSpec::new(&format!("many-{n}"), per)).await?;
        }
        for n in 0..10 {
            workloads.wait_until_ready(&format!("many-{n}"), CREATE).await?;
        }
        // A fresh agent each time: what it holds at rest, not what an earlier size left behind.
        let mut agent =
            AgentProcess::join(&plane, agent_options(&cluster, &format!("size-{size}"), &uid)).await?;
        wait_for("all pods to be counted", CREATE, || async {
            let clusters = plane.items("/clusters").await?;
            let counted = clusters.first().and_then(|cluster| cluster["pods"].as_u64()).unwrap_or(0);
            Ok(Seen::when((counted >= u64::from(size)).then_some(()), format!("{counted} of {size}")))
        })
        .await?;
        tokio::time::sleep(SETTLE).await;
        let pid = agent.pid();
        let percent = tokio::task::spawn_blocking(move || usage::processor_percent(pid, WINDOW)).await??;
        let memory = resident_mb(pid)?;
        report.row(format!("cluster of {size} pods: resident memory"), memory, "MB", None, None);
        report.row(format!("cluster of {size} pods: processor"), percent, "% of a core", None, None);
        points.push((f64::from(size), memory * 1e6));
        agent.stop()?;
    }
    Ok(points)
}

/// Least squares line through the points: base and bytes a pod.
#[allow(clippy::cast_precision_loss, reason = "three points")]
fn fit(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let (sx, sy) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
    let (mx, my) = (sx / n, sy / n);
    let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>()
        / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>();
    (my - slope * mx, slope)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut report = Report::new("The agent at rest", "cargo xtask bench footprint");
    on_a_host(&mut report).await?;
    let (base, each) = fit(&on_a_cluster(&mut report).await?);
    report.row("cluster: fitted base", base / 1e6, "MB", Some("12"), None);
    report.row("cluster: fitted cost of a pod", each, "bytes", None, None);
    report.note(format!(
        "A fresh agent for each size, {} s after everything was counted, processor over {} s; a tenth of the pods in \
         each of ten Deployments on 100 nodes.",
        SETTLE.as_secs(),
        WINDOW.as_secs()
    ));
    report.note("The agent as it is installed: the static program that `cargo xtask dist` makes.");
    report.note(
        "kube-state-metrics recommends 250 MiB as its base for a cluster of this size (its documentation).",
    );
    report.print()
}
