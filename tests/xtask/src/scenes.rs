//! `cargo xtask scenes`: builds the programs and plays scenes with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::steps::cargo;
use crate::test::FEATURES;
use crate::{needs, obstacle, rig};

/// Where a scene is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// A real API server with simulated kubelets.
    Cluster,
    /// A real kubelet with real containers.
    Node,
    /// Real files of this machine.
    Host,
}

/// The arguments of the program that plays them.
pub fn words(names: &[String], places: &[Place], list: bool, at_once: Option<u16>) -> Vec<String> {
    let mut words = Vec::new();
    for place in places {
        let word = match place {
            Place::Cluster => "cluster",
            Place::Node => "node",
            Place::Host => "host",
        };
        words.extend(["--where".to_owned(), word.to_owned()]);
    }
    if list {
        words.push("--list".to_owned());
    }
    if let Some(number) = at_once {
        words.extend(["--at-once".to_owned(), number.to_string()]);
    }
    words.extend(names.iter().cloned());
    words
}

/// Plays them; returns whether all were right. A list alone needs no cluster.
pub fn run(repository: &Path, words: &[String], list: bool) -> anyhow::Result<bool> {
    if list {
        compile(repository)?;
    } else {
        prepare(repository)?;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let status = command(repository, &words).status().context("cannot run the scenes' program")?;
    Ok(status.success())
}

/// Brings everything that scenes need: what the machine has to have, the cluster's programs, and the product's.
pub fn prepare(repository: &Path) -> anyhow::Result<()> {
    let node = obstacle::of_machine().is_none();
    needs::ensure(&[needs::compiler(), needs::go(repository, node), needs::real_node()])?;
    rig::ensure_all(repository, node)?;
    compile(repository)
}

fn compile(repository: &Path) -> anyhow::Result<()> {
    let mut build = cargo();
    build.current_dir(repository).args(["build", "--quiet", "--workspace", "--bins", "--features", FEATURES]);
    let status = build.status().context("cannot run cargo")?;
    anyhow::ensure!(status.success(), "the build failed; its messages are above");
    Ok(())
}

/// The program that plays them, where cargo has left it.
pub fn command(repository: &Path, words: &[&str]) -> Command {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    let mut command = Command::new(target.join("debug/scenes"));
    command.current_dir(repository).args(words);
    command
}
