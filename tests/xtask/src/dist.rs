//! `cargo xtask dist`: runs `nimbus-dist`, which makes a release.

use std::path::Path;

use anyhow::Context as _;

use crate::steps::cargo;

/// Runs it where this was called, so that a relative path means what the caller meant. Returns whether it succeeded.
///
/// In the release profile: it compresses and sums some hundred megabytes.
pub fn run(repository: &Path, arguments: &[String]) -> anyhow::Result<bool> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "nimbus-dist"]);
    command.arg("--manifest-path").arg(repository.join("Cargo.toml"));
    let status = command.arg("--").args(arguments).status().context("cannot run cargo")?;
    Ok(status.success())
}
