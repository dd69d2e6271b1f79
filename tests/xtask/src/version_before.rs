//! Builds the agent and the control plane of the version before, from the commit that `tests/version-before` names: what is
//! tested side by side with it has to be a program of then. After a release the file names that release's commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::steps::cargo;

/// Where the tests are told that its tree is, with its charts and, in `target/debug`, its programs; whoever sets it has built them.
pub const VARIABLE: &str = "NIMBUS_BEFORE";

/// Its tree, with its programs, which are built where they are not there yet.
pub fn tree(repository: &Path) -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os(VARIABLE) {
        return Ok(PathBuf::from(given));
    }
    let file = repository.join("tests/version-before");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let commit = text.trim_end();
    anyhow::ensure!(
        commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{}: expected the 40 hex digits of a commit, found {commit:?}",
        file.display()
    );
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    // The build runs in another directory.
    let target = std::path::absolute(&target).with_context(|| format!("where {} is", target.display()))?;
    let source = target.join("version-before").join(commit);
    if !source.exists() {
        check_out(repository, commit, &source)?;
    }
    let objects = source.join("target");
    let mut build = cargo();
    build.current_dir(&source).env("CARGO_TARGET_DIR", &objects).env_remove("CARGO_BUILD_TARGET");
    build.args(["build", "--locked", "--bins", "-p", "nimbus-agent", "-p", "nimbus-control-plane"]);
    succeeds(&mut build, "the build of the version before")?;
    Ok(source)
}

/// Writes the commit's files to `source`, which is there once all of them are: no worktree, which the repository would
/// remember after the directory is gone.
fn check_out(repository: &Path, commit: &str, source: &Path) -> anyhow::Result<()> {
    let above = source.parent().context("a directory with a parent")?;
    std::fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    let part =
        tempfile::Builder::new().prefix("part-").tempdir_in(above).context("a directory for its files")?;
    let archive = part.path().join("files.tar");
    let mut pack = Command::new("git");
    pack.current_dir(repository).args(["archive", "--format=tar", "-o"]).arg(&archive).arg(commit);
    succeeds(&mut pack, "git archive").with_context(|| {
        format!("commit {commit}, which tests/version-before names, has to be in this clone: a shallow one gets it with `git fetch --unshallow`")
    })?;
    let files = part.path().join("files");
    std::fs::create_dir(&files).with_context(|| format!("cannot make {}", files.display()))?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&archive).arg("-C").arg(&files);
    succeeds(&mut unpack, "tar")?;
    std::fs::rename(&files, source).with_context(|| format!("cannot make {}", source.display()))
}

fn succeeds(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {what}"))?;
    anyhow::ensure!(status.success(), "{what} ended with {status}");
    Ok(())
}
