//! Measures what a new agent and an operator meet while agents send as fast as their observations can be stored: whether
//! enrolments and requests wait behind them.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use nimbus_tests::bench::probe::{Taken, enrolments, requests};
use nimbus_tests::bench::saturation::{BATCH, Saturation};
use nimbus_tests::bench::{Report, percentile};
use nimbus_tests::plane::Plane;
use nimbus_tests::postgres::Postgres;

/// The load runs for so long before anything is measured.
const WARM_UP: Duration = Duration::from_secs(5);
/// What is measured before the load begins.
const AT_REST: Duration = Duration::from_secs(8);

/// How much longer than planned it may take in all, the enrolment of the load included.
const SLACK: Duration = Duration::from_mins(3);

/// Enrolments and an operator's requests under saturated ingestion, on loopback. Ends by itself.
#[derive(Parser)]
#[command(name = "bench-saturation")]
struct Options {
    /// Agents that send as fast as they can
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    agents: u64,
    /// For how long enrolments and requests are measured on each database
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=600))]
    seconds: u64,
    /// Enrolments in that time
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    enrolments: u32,
    /// Requests a second: the status, the incidents and the agents in turn
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    requests: u32,
    /// On one database alone
    #[arg(long, value_enum)]
    only: Option<Database>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// What was measured on one database.
struct Measured {
    stored_a_second: f64,
    rest: (Taken, Taken),
    load: (Taken, Taken),
}

// The probes have a thread of their own: they must not wait for the load that this program makes itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let load = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = all(&options, load.handle()).await;
    load.shutdown_background();
    measured?.print()
}

async fn all(options: &Options, load: &tokio::runtime::Handle) -> anyhow::Result<Report> {
    let mut report =
        Report::new("Enrolments and requests under saturated ingestion", "cargo xtask bench saturation");
    for database in [Database::Sqlite, Database::Postgres] {
        if options.only.is_some_and(|only| only != database) {
            continue;
        }
        let time = AT_REST + WARM_UP + Duration::from_secs(options.seconds);
        eprintln!("saturation on {}: {} s", database.name(), time.as_secs());
        let server = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::start()?),
        };
        let url = server.as_ref().map(Postgres::fresh_database).transpose()?;
        let measured = tokio::time::timeout(time + SLACK, measure(options, url, load)).await;
        let measured = measured.with_context(|| {
            format!("{}: not over {} s after it should have been", database.name(), SLACK.as_secs())
        })??;
        rows(&mut report, database.name(), measured);
    }
    report.note(format!(
        "{} simulated agents stream batches of {BATCH} host samples as in `cargo xtask bench ingest`, as many as are \
         acknowledged. Meanwhile {} fresh agents come in, spread over {} s, each from the request for its join token to the \
         welcome of its first session; and an operator asks for the status, the incidents and the agents in turn, {} times a \
         second, whether the request before is answered or not. All on the same cores; what failed counts with the time \
         after which it did.",
        options.agents, options.enrolments, options.seconds, options.requests
    ));
    Ok(report)
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
async fn measure(
    options: &Options,
    database: Option<String>,
    load: &tokio::runtime::Handle,
) -> anyhow::Result<Measured> {
    let plane = Plane::start(database, "").await?;
    let rest =
        tokio::join!(enrolments(&plane, 10, AT_REST, "rest"), requests(&plane, options.requests, AT_REST));
    eprintln!("the load comes in");
    let saturation = Saturation::start(&plane, options.agents, load).await?;
    tokio::time::sleep(WARM_UP).await;
    eprintln!("the load runs");
    let (from, begun) = (saturation.acknowledged(), Instant::now());
    let time = Duration::from_secs(options.seconds);
    let measured = tokio::join!(
        enrolments(&plane, options.enrolments, time, "fresh"),
        requests(&plane, options.requests, time)
    );
    let stored = saturation.acknowledged() - from;
    Ok(Measured { stored_a_second: stored as f64 / begun.elapsed().as_secs_f64(), rest, load: measured })
}

#[allow(clippy::cast_precision_loss, reason = "some hundred failures")]
fn rows(report: &mut Report, name: &str, measured: Measured) {
    let Measured { stored_a_second, rest, load } = measured;
    report.row(format!("{name}: stored meanwhile"), stored_a_second, "observations/s", None, None);
    let mut part = |what: &str, unit: &str, scale: f64, mut taken: Taken, aims: [Option<&str>; 2]| {
        for failure in taken.failures.iter().take(5) {
            eprintln!("{name}: {what}: {failure}");
        }
        let [p99, failed] = aims;
        let mut at = |percent| percentile(&mut taken.ms, percent) / scale;
        let (p50, p99_value, longest) = (at(50.0), at(99.0), at(100.0));
        report.row(format!("{name}: {what}: p50"), p50, unit, None, None);
        report.row(format!("{name}: {what}: p99"), p99_value, unit, p99, None);
        report.row(format!("{name}: {what}: longest of {}", taken.ms.len()), longest, unit, None, None);
        report.row(format!("{name}: {what}: failed"), taken.failures.len() as f64, "", failed, None);
    };
    part("an enrolment at rest", "s", 1e3, rest.0, [None, None]);
    part("an enrolment under load", "s", 1e3, load.0, [Some("5"), Some("0")]);
    part("a request at rest", "ms", 1.0, rest.1, [None, None]);
    part("a request under load", "ms", 1.0, load.1, [Some("250"), Some("0")]);
}
