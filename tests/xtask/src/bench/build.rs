//! Measures a build: a clean one in a directory of its own, then one after a single file changed.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use super::report::{Report, Row};
use crate::steps::cargo;

/// Files whose change a person feels: the contract at the bottom, the decisions, the command on top.
const TOUCHED: [&str; 3] =
    ["protocol/src/lib.rs", "control-plane/core/src/lib.rs", "control-plane/up/src/main.rs"];

/// Builds `nimbus` (everything that ships is below it) from nothing and after each touched file.
pub fn measure(repository: &Path) -> anyhow::Result<Report> {
    let target = repository.join("target/bench-build");
    remove(&target)?;
    let measured = figures(repository, &target);
    remove(&target)?;
    Ok(Report {
        title: "Build".to_owned(),
        command: "cargo xtask bench build".to_owned(),
        rows: measured?,
        notes: vec![
            "`cargo build` in the dev profile with the dependencies' sources already downloaded.".to_owned(),
            "Incremental: the file's time is set anew and everything above it is built and linked again."
                .to_owned(),
        ],
    })
}

fn figures(repository: &Path, target: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = vec![row("clean build of `nimbus`".to_owned(), build(repository, target)?)];
    for name in TOUCHED {
        let file = File::options().append(true).open(repository.join(name));
        let file = file.with_context(|| format!("cannot open {name}"))?;
        touch(&file).with_context(|| format!("cannot touch {name}"))?;
        rows.push(row(format!("after touching `{name}`"), build(repository, target)?));
    }
    Ok(rows)
}

#[allow(clippy::disallowed_methods, reason = "a file's time is the clock's; nothing is decided by it")]
fn touch(file: &File) -> std::io::Result<()> {
    file.set_modified(std::time::SystemTime::now())
}

/// Builds and returns the seconds that it took.
fn build(repository: &Path, target: &Path) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let status = cargo()
        .current_dir(repository)
        .args(["build", "--bin", "nimbus"])
        .env("CARGO_TARGET_DIR", target)
        .status()
        .context("cannot run cargo build")?;
    anyhow::ensure!(status.success(), "the build failed; its messages are above");
    Ok(begun.elapsed().as_secs_f64())
}

fn row(what: String, seconds: f64) -> Row {
    Row { what, value: seconds, unit: "s".to_owned(), aim: None, peer: None }
}

fn remove(target: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", target.display()))
        }
        _ => Ok(()),
    }
}
