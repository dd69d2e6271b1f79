//! Measures what a control plane needs by clusters, nodes and pods: its memory and processor time with more and more clusters
//! of one size, and with one cluster of several sizes.

use std::time::Duration;

use clap::Parser;
use nimbus_tests::bench::clusters::{CHANGE, Clusters, Size};
use nimbus_tests::bench::{Report, usage};
use nimbus_tests::plane::Plane;

/// Rest before memory is read, and before the processor is watched.
const SETTLE: Duration = Duration::from_secs(10);
/// How long the processor is watched: each cluster changes, and each agent keeps its connection open, as often as another.
const WATCHED: Duration = Duration::from_secs(30);
/// How many clusters there are when it is looked.
const STEPS: [usize; 4] = [1, 10, 50, 100];
/// One cluster each, larger and larger.
const LARGER: [Size; 3] =
    [Size { nodes: 10, pods: 1_000 }, Size { nodes: 100, pods: 10_000 }, Size { nodes: 1_000, pods: 10_000 }];

/// Simulated clusters at one control plane, on loopback with SQLite. Ends by itself.
#[derive(Parser)]
#[command(name = "bench-clusters")]
struct Options {
    /// Nodes of each of many clusters
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    nodes: u32,
    /// Pods of each of many clusters
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pods: u32,
}

/// What it takes, while little happens.
struct Needs {
    megabytes: f64,
    processor_percent: f64,
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
async fn needs(plane: &Plane) -> anyhow::Result<Needs> {
    tokio::time::sleep(SETTLE).await;
    let before = usage::processor_time(plane.pid())?;
    tokio::time::sleep(WATCHED).await;
    let used = usage::processor_time(plane.pid())?.saturating_sub(before);
    Ok(Needs {
        megabytes: usage::resident_bytes(plane.pid())? as f64 / 1e6,
        processor_percent: used.as_secs_f64() / WATCHED.as_secs_f64() * 100.0,
    })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let size = Size { nodes: usize::try_from(options.nodes)?, pods: usize::try_from(options.pods)? };
    let mut report = Report::new("Many clusters", "cargo xtask bench clusters");
    many(&mut report, size).await?;
    for size in LARGER {
        let plane = Plane::start(None, "").await?;
        let mut clusters = Clusters::default();
        clusters.grow(&plane, 1, size).await?;
        let needs = needs(&plane).await?;
        clusters.are_reported()?;
        let what = format!("one cluster of {} nodes and {} pods", size.nodes, size.pods);
        report.row(format!("{what}: resident memory"), needs.megabytes, "MB", None, None);
        report.row(format!("{what}: processor"), needs.processor_percent, "% of a core", None, None);
    }
    report.note(format!(
        "Simulated agents on loopback with SQLite. Each cluster has one, the one that leads there: it lists the cluster once and then \
         tells every {} s of a pod that changed. Every node has an agent of its own in a real cluster, which is one more that is \
         connected (`cargo xtask bench agents`).",
        CHANGE.as_secs()
    ));
    report.note(format!(
        "Memory is what is resident {} s after the last cluster was listed: what a listing took for a moment is still in it. It is \
         looked whether the control plane shows each cluster with all of its nodes and pods, and each agent's session goes on.",
        (SETTLE + WATCHED).as_secs()
    ));
    report.print()
}

/// More and more clusters of one size at one control plane.
#[allow(clippy::cast_precision_loss, reason = "some hundred clusters")]
async fn many(report: &mut Report, size: Size) -> anyhow::Result<()> {
    let plane = Plane::start(None, "").await?;
    let idle = needs(&plane).await?;
    report.row("no cluster: resident memory", idle.megabytes, "MB", None, None);
    let (mut clusters, mut all) = (Clusters::default(), Vec::new());
    for count in STEPS {
        clusters.grow(&plane, count, size).await?;
        let needs = needs(&plane).await?;
        clusters.are_reported()?;
        let plural = if count == 1 { "" } else { "s" };
        let what = format!("{count} cluster{plural} of {} nodes and {} pods", size.nodes, size.pods);
        report.row(format!("{what}: resident memory"), needs.megabytes, "MB", None, None);
        report.row(format!("{what}: processor"), needs.processor_percent, "% of a core", None, None);
        all.push((count, needs));
    }
    if let [(few, less), .., (many, more)] = all.as_slice() {
        let further = (many - few) as f64;
        let memory = (more.megabytes - less.megabytes) * 1e3 / further;
        report.row("for each further cluster: resident memory", memory, "kB", None, None);
        let processor = (more.processor_percent - less.processor_percent) / further;
        report.row("for each further cluster: processor", processor, "% of a core", None, None);
    }
    Ok(())
}
