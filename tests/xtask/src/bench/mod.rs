//! `cargo xtask bench`: runs the benchmarks and keeps their results in BENCHMARKS.md.
//!
//! Each is a program of its own that prints one JSON object as its last line ([`report`]); what a
//! build costs is measured here ([`build`]). What is not run keeps its former text.

mod build;
mod report;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::steps::{cargo, shown};
use crate::{machine, needs, rig};
use report::Report;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// From a broken object to the remedy applied, on the real cluster
    Remedy,
    /// Durable observations per second from a hundred agents, on both databases
    Ingest,
    /// The agent's memory and CPU at rest, on a host and on clusters of three sizes
    Footprint,
    /// A clean and an incremental build
    Build,
}

impl Which {
    /// In the order of BENCHMARKS.md.
    const ALL: [Self; 4] = [Self::Remedy, Self::Ingest, Self::Footprint, Self::Build];

    fn name(self) -> &'static str {
        match self {
            Self::Remedy => "remedy",
            Self::Ingest => "ingest",
            Self::Footprint => "footprint",
            Self::Build => "build",
        }
    }
}

/// Measures one or all and writes BENCHMARKS.md after each. Returns whether all could be measured.
pub fn run(repository: &Path, which: Option<Which>, arguments: &[String]) -> anyhow::Result<bool> {
    anyhow::ensure!(
        which.is_some() || arguments.is_empty(),
        "arguments after `--` go to one benchmark's program: name it, as in `cargo xtask bench remedy -- --help`"
    );
    let mut complete = true;
    for one in which.map_or_else(|| Which::ALL.to_vec(), |one| vec![one]) {
        eprintln!("\n== bench {}", one.name());
        match measure(repository, one, arguments) {
            Ok(report) => write(repository, one, &report)?,
            Err(error) => {
                eprintln!("error: bench {}: {error:#}", one.name());
                complete = false;
            }
        }
    }
    Ok(complete)
}

fn measure(repository: &Path, which: Which, arguments: &[String]) -> anyhow::Result<Report> {
    if which == Which::Build {
        return build::measure(repository);
    }
    if which != Which::Ingest {
        needs::ensure(&[needs::go(repository)])?;
        rig::ensure(repository)?;
    }
    if which != Which::Footprint {
        needs::ensure(&[needs::postgres()])?;
    }
    // The product as people run it: its own programs, beside the benchmark's, without fail points.
    let products = [
        "build",
        "--release",
        "-p",
        "nimbus-agent",
        "-p",
        "nimbus-control-plane",
        "-p",
        "nimbus-tests",
        "--bins",
    ];
    let status = cargo().current_dir(repository).args(products).status().context("cannot run cargo build")?;
    anyhow::ensure!(status.success(), "the release build failed; its messages are above");

    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), Into::into);
    let program = target.join("release").join(format!("bench-{}", which.name()));
    let mut command = std::process::Command::new(&program);
    command.current_dir(repository).args(arguments).stdout(Stdio::piped());
    eprintln!("$ {}", shown(&command));
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let output = child.stdout.take().context("a benchmark without standard output")?;
    let mut last = String::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("the benchmark's output")?;
        println!("{line}");
        if !line.trim().is_empty() {
            last = line;
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "{} ended with {status}", shown(&command));
    serde_json::from_str(&last)
        .with_context(|| format!("expected the result as JSON in the last line, found {last:?}"))
}

fn write(repository: &Path, which: Which, report: &Report) -> anyhow::Result<()> {
    let path = repository.join("BENCHMARKS.md");
    let former = std::fs::read_to_string(&path).unwrap_or_default();
    let section = report.section(&machine::today(), &machine::described());
    let text = report::replace(&former, Which::ALL.map(Which::name), which.name(), &section);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("== bench {}: written to BENCHMARKS.md", which.name());
    Ok(())
}
