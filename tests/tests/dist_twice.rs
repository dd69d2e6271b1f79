//! Builds a release from the tree twice, in two directories, and compares every byte; starts what was built for the other
//! processor. Too long for CI.
//!
//! Some seventy minutes of two cores. What `installer/dist/tests/release.rs` shows with stand-ins, in seconds, is shown here with
//! the programs themselves. `NIMBUS_RELEASE_TO=DIR` keeps the first of the two releases there, for the tests that play an
//! installation with one (`NIMBUS_RELEASE=DIR`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use nimbus_tests::rig::repository;

/// Runs `command`, whose words are heard.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    anyhow::ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Copies the tree to `place`, without anything that was built.
fn copy(place: &Path) -> anyhow::Result<()> {
    run(Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(repository()?).arg(place))
}

/// Makes a release of the copy at `place`.
fn release(place: &Path, out: &Path) -> anyhow::Result<()> {
    let mut dist = Command::new(env!("CARGO"));
    dist.current_dir(place).env("CARGO_TARGET_DIR", place.join("target"));
    run(dist.args(["run", "--quiet", "--release", "--package", "nimbus-dist", "--", "--out"]).arg(out))
}

/// The files below `dir`, by name.
fn files(dir: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(dir)?.to_owned(), std::fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

#[test]
fn a_release_is_the_same_in_another_directory_and_starts_on_the_other_processor() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let kept = std::env::var_os("NIMBUS_RELEASE_TO").map(std::path::absolute).transpose()?;
    let (first, second) = (kept.unwrap_or_else(|| dir.path().join("first")), dir.path().join("second"));
    let places = [dir.path().join("a"), dir.path().join("another/place")];
    // Both at once: who commits while the first one is built would compare two trees.
    places.iter().try_for_each(|place| copy(place))?;
    release(&places[0], &first)?;
    release(&places[1], &second)?;
    let (first_files, second_files) = (files(&first)?, files(&second)?);
    let names: BTreeSet<&PathBuf> = first_files.keys().chain(second_files.keys()).collect();
    let differ: Vec<String> = names
        .into_iter()
        .filter(|name| first_files.get(*name) != second_files.get(*name))
        .map(|name| name.display().to_string())
        .collect();
    if !differ.is_empty() {
        // An hour's work, and what somebody needs who looks for the reason.
        let kept = dir.keep();
        panic!(
            "these differ, or are in one of both alone: {differ:#?}\nboth are kept, in {} too",
            kept.display()
        );
    }

    let emulator = Command::new("qemu-aarch64").arg("--version").stdout(Stdio::null()).status();
    if !emulator.is_ok_and(|status| status.success()) {
        println!(
            "left out: starting the aarch64 programs, as qemu-aarch64 is not installed (Debian: qemu-user)"
        );
        return Ok(());
    }
    let built = dir.path().join("a/target/dist-build/aarch64-unknown-linux-musl/shipped");
    for program in ["nimbus", "nimbus-agent", "nimbus-control-plane"] {
        let said = Command::new("qemu-aarch64").arg(built.join(program)).arg("--version").output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.starts_with(&format!("{program} ")), "{program}: {said}");
    }
    Ok(())
}
