//! Builds the agent and the control plane of the version before, from the commit that `tests/version-before` names: what is
//! tested side by side with it has to be a program of then. After a release the file names that release's commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::steps::cargo;

/// Where the tests are told that its programs are; whoever sets it has built them already.
pub const VARIABLE: &str = "NIMBUS_BEFORE";

/// The directory with its programs, which are built where they are not there yet.
pub fn programs(repository: &Path) -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os(VARIABLE) {
        return Ok(PathBuf::from(given));
    }
    let file = repository.join("tests/version-before");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let commit = text.trim();
    let source = repository.join("target/version-before").join(commit);
    if !source.join("Cargo.toml").exists() {
        check_out(repository, commit, &source)?;
    }
    let target = source.join("target");
    let mut build = cargo();
    build.current_dir(&source).env("CARGO_TARGET_DIR", &target);
    build.args(["build", "--bins", "-p", "nimbus-agent", "-p", "nimbus-control-plane"]);
    succeeds(&mut build, "the build of the version before")?;
    Ok(target.join("debug"))
}

/// Writes the commit's files below `source`: no worktree, which the repository would remember after the directory is gone.
fn check_out(repository: &Path, commit: &str, source: &Path) -> anyhow::Result<()> {
    let known = Command::new("git")
        .current_dir(repository)
        .args(["cat-file", "-e", &format!("{commit}^{{commit}}")])
        .output()
        .context("cannot run git")?;
    anyhow::ensure!(
        known.status.success(),
        "expected commit {commit}, which tests/version-before names, in this clone, found none: `git fetch --unshallow` brings it"
    );
    std::fs::create_dir_all(source).with_context(|| format!("cannot make {}", source.display()))?;
    let archive = source.with_extension("tar");
    let mut pack = Command::new("git");
    pack.current_dir(repository).args(["archive", "--format=tar", "-o"]).arg(&archive).arg(commit);
    succeeds(&mut pack, "git archive")?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&archive).arg("-C").arg(source);
    succeeds(&mut unpack, "tar")?;
    std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
}

fn succeeds(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {what}"))?;
    anyhow::ensure!(status.success(), "{what} ended with {status}");
    Ok(())
}
