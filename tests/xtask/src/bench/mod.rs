//! `cargo xtask bench`: runs the benchmarks and writes their results to BENCHMARKS.md.
//!
//! Each is a program of its own that prints one JSON object as its last line ([`report`]); what a
//! build costs ([`build`]) and how long the scenes take ([`scenes`]) is measured here. What is not run keeps its former text.

mod build;
mod report;
mod scenes;
mod sizes;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::steps::{cargo, shown};
use crate::{dist, machine, needs, obstacle, rig};
use report::Report;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// From a broken object to the remedy applied, on the real cluster and on a real node
    Remedy,
    /// Durable observations per second from a hundred agents, on both databases
    Ingest,
    /// Enrolments and operators' requests while agents send as fast as can be stored, on both databases
    Saturation,
    /// Until another control plane leads, after the one that led was killed, frozen or cut off its database, under load
    Takeover,
    /// Thousands of agents at one control plane: enrolling, connecting, memory for each, beside nats-server and mosquitto
    Agents,
    /// What a control plane needs by clusters, nodes and pods
    Clusters,
    /// A decision pass over 10,000 pods with one change and with 1,000 failing, and the memory of the inventory
    Decision,
    /// The agent's memory and CPU at rest, on a host and on clusters of three sizes
    Footprint,
    /// Both charts on a real node: how long each step takes, and what the pods take at rest, beside node_exporter; and what the
    /// artefacts weigh
    Installed,
    /// The agent with 500,000 watched files, and a full pass beside AIDE's check
    Files,
    /// What a thousand incidents leave in the audit log and the database, on both databases
    Audit,
    /// The scenes of tests/scenes: how long they take
    Scenes,
    /// A clean and an incremental build
    Build,
}

impl Which {
    /// In the order of BENCHMARKS.md.
    const ALL: [Self; 13] = [
        Self::Remedy,
        Self::Ingest,
        Self::Saturation,
        Self::Takeover,
        Self::Agents,
        Self::Clusters,
        Self::Decision,
        Self::Footprint,
        Self::Installed,
        Self::Files,
        Self::Audit,
        Self::Scenes,
        Self::Build,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Remedy => "remedy",
            Self::Ingest => "ingest",
            Self::Saturation => "saturation",
            Self::Takeover => "takeover",
            Self::Agents => "agents",
            Self::Clusters => "clusters",
            Self::Decision => "decision",
            Self::Footprint => "footprint",
            Self::Installed => "installed",
            Self::Files => "files",
            Self::Audit => "audit",
            Self::Scenes => "scenes",
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
    match which {
        Which::Build => build::measure(repository),
        Which::Decision => program(repository, which, &Programs::Own, arguments),
        Which::Scenes => scenes::measure(repository),
        Which::Agents => {
            needs::ensure(&[needs::postgres(), needs::nats(), needs::mosquitto()])?;
            program(repository, which, &products(repository)?, arguments)
        }
        Which::Clusters => program(repository, which, &products(repository)?, arguments),
        Which::Ingest | Which::Saturation | Which::Takeover => {
            needs::ensure(&[needs::postgres()])?;
            program(repository, which, &products(repository)?, arguments)
        }
        Which::Audit => {
            needs::ensure(&[needs::postgres()])?;
            // An operator's command puts the files back.
            compile(repository, &["--release", "-p", "nimbus"])?;
            program(repository, which, &products(repository)?, arguments)
        }
        Which::Remedy => {
            // Without a real node its part is left out, and the report says so.
            let node = obstacle::of_all().is_none();
            needs::ensure(&[needs::go(repository, node), needs::postgres()])?;
            rig::ensure_all(repository, node)?;
            program(repository, which, &products(repository)?, arguments)
        }
        Which::Installed => {
            needs::ensure(&[
                needs::go(repository, true),
                needs::postgres(),
                needs::skopeo(),
                needs::real_node(),
            ])?;
            rig::ensure_all(repository, true)?;
            rig::ensure_registry(repository)?;
            let programs = shipped(repository)?;
            let given = programs.display().to_string();
            let release =
                released(repository, "bench-release", &["--only", ARTEFACTS, "--programs", &given])?;
            let sizes = sizes::rows(&release)?;
            let products = Programs::Release { programs: programs.join(std::env::consts::ARCH), release };
            let mut report = program(repository, which, &products, arguments)?;
            report.rows.extend(sizes);
            Ok(report)
        }
        Which::Files => {
            needs::ensure(&[needs::aide()])?;
            program(
                repository,
                which,
                &Programs::In(shipped(repository)?.join(std::env::consts::ARCH)),
                arguments,
            )
        }
        Which::Footprint => {
            needs::ensure(&[needs::go(repository, false)])?;
            rig::ensure_all(repository, false)?;
            // What is installed is what is measured.
            program(
                repository,
                which,
                &Programs::In(shipped(repository)?.join(std::env::consts::ARCH)),
                arguments,
            )
        }
    }
}

/// The parts of a release that are installed.
const ARTEFACTS: &str = "images,charts,packages,archives";

/// The product's programs that a benchmark measures.
enum Programs {
    /// None but its own.
    Own,
    /// Those in a directory.
    In(PathBuf),
    /// Those in a directory, and the release that was made of them.
    Release { programs: PathBuf, release: PathBuf },
}

/// Builds the static programs for this processor, and returns the directory that has them in a folder named after it.
fn shipped(repository: &Path) -> anyhow::Result<PathBuf> {
    released(repository, "bench-programs", &["--only", "programs"])
}

/// Makes these parts of a release for this processor, as `cargo xtask dist` does, and returns the directory.
fn released(repository: &Path, name: &str, words: &[&str]) -> anyhow::Result<PathBuf> {
    let out = target(repository).join(name);
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    let into = out.display().to_string();
    let all = [words, &["--arch", std::env::consts::ARCH, "--out", &into]].concat();
    let made = dist::run(repository, &all.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    anyhow::ensure!(made, "the release was not made; the messages are above");
    Ok(out)
}

/// Builds the product as people run it, its own programs without crash points, and returns the directory.
fn products(repository: &Path) -> anyhow::Result<Programs> {
    compile(repository, &["--release", "-p", "nimbus-agent", "-p", "nimbus-control-plane", "--bins"])?;
    Ok(Programs::In(target(repository).join("release")))
}

/// Builds a benchmark's program, runs it with the product's programs, and reads its last line.
fn program(
    repository: &Path,
    which: Which,
    products: &Programs,
    arguments: &[String],
) -> anyhow::Result<Report> {
    let name = format!("bench-{}", which.name());
    compile(repository, &["--release", "-p", "nimbus-tests", "--bin", &name])?;
    let program = target(repository).join("release").join(name);
    let mut command = std::process::Command::new(&program);
    command.current_dir(repository).args(arguments).stdout(Stdio::piped());
    match products {
        Programs::Own => {}
        Programs::In(dir) => {
            command.env("NIMBUS_BIN_DIR", dir);
        }
        Programs::Release { programs, release } => {
            command.env("NIMBUS_BIN_DIR", programs).env("NIMBUS_RELEASE", release);
        }
    }
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

fn compile(repository: &Path, words: &[&str]) -> anyhow::Result<()> {
    let status = cargo().current_dir(repository).arg("build").args(words).status();
    anyhow::ensure!(
        status.context("cannot run cargo build")?.success(),
        "the build failed; its messages are above"
    );
    Ok(())
}

fn target(repository: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), Into::into)
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
