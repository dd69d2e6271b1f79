//! Measures durable observations per second: 100 simulated agents over real QUIC into one control plane, acknowledged
//! only after the commit. The load runs on the same cores as the server that it measures.

use std::time::{Duration, Instant};

use nimbus_tests::bench::saturation::{BATCH, Saturation};
use nimbus_tests::bench::{Report, usage};
use nimbus_tests::plane::Plane;
use nimbus_tests::postgres::Postgres;
use nimbus_tests::sim::stream::host_sample;
use prost::Message as _;

const AGENTS: u64 = 100;
/// Measured after this much warm-up.
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(15);

struct Measured {
    per_second: f64,
    server_cores: f64,
    server_rss_mb: f64,
    disk_bytes_each: f64,
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
async fn measure(database: Option<String>) -> anyhow::Result<Measured> {
    let plane = Plane::start(database, "").await?;
    let load = Saturation::start(&plane, AGENTS, &tokio::runtime::Handle::current()).await?;
    tokio::time::sleep(WARM_UP).await;
    let (from, cpu, begun) = (load.acknowledged(), usage::processor_time(plane.pid())?, Instant::now());
    tokio::time::sleep(MEASURED).await;
    let (stored, seconds) = (load.acknowledged() - from, begun.elapsed().as_secs_f64());
    let cpu = usage::processor_time(plane.pid())?.saturating_sub(cpu);
    let rss = usage::resident_bytes(plane.pid())?;
    let files = ["nimbus.db", "nimbus.db-wal"].map(|f| plane.data_dir().join(f));
    let disk: u64 = files.iter().filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum();
    Ok(Measured {
        per_second: stored as f64 / seconds,
        server_cores: cpu.as_secs_f64() / seconds,
        server_rss_mb: rss as f64 / 1e6,
        disk_bytes_each: disk as f64 / load.acknowledged().max(1) as f64,
    })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut report = Report::new("Durable observations into the control plane", "cargo xtask bench ingest");
    let postgres = Postgres::start()?;
    for (name, database) in [("SQLite", None), ("PostgreSQL", Some(postgres.fresh_database()?))] {
        eprintln!("ingest on {name}: {} s", (WARM_UP + MEASURED).as_secs());
        let embedded = database.is_none();
        let m = measure(database).await?;
        report.row(
            format!("{name}: stored and acknowledged"),
            m.per_second,
            "observations/s",
            Some("50,000"),
            None,
        );
        report.row(format!("{name}: control plane's processor use"), m.server_cores, "cores", None, None);
        report.row(format!("{name}: control plane's resident memory"), m.server_rss_mb, "MB", None, None);
        if embedded {
            report.row(format!("{name}: on disk"), m.disk_bytes_each, "bytes/observation", None, None);
        }
    }
    report.note(format!(
        "{AGENTS} simulated agents, batches of {BATCH} host samples ({} bytes each as protobuf, every figure different), at most 8 batches in flight an \
         agent, mutual TLS 1.3 over QUIC on loopback; the agents' own encryption, encoding and compression run on the \
         same cores as the server.",
        host_sample(1).encoded_len()
    ));
    report.note(
        "Acknowledged means: committed with synchronous=FULL (SQLite) or synchronous_commit=on (PostgreSQL).",
    );
    report.print()
}
