//! What a platform team does with Nimbus, on a real node: both charts are installed with the real helm, the agent joins by its
//! service account, a crash-looping pod is healed, the leading control plane is killed, both charts are upgraded and rolled
//! back; everything is lost and a backup restored elsewhere; both are removed; and `nimbus enterprise deploy` installs and
//! undoes all of it by itself. Before all that a control plane on SQLite is installed and removed.
//!
//! The images hold the programs of this build, or those of a release, when `NIMBUS_RELEASE` names the directory of one. The
//! node has those of the control plane and the command already; the agent's it pulls from a registry, by digest.

mod alone;
mod at_rest;
mod backup;
mod deployed;
mod elsewhere;
mod site;
mod story;
mod volume;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Context as _;

use crate::bench::Row;
use crate::rig::real_node::{INSIDE, enter, mounts, obstacle};
use crate::rig::{build, repository};

/// Below the folder of a story, what it measured.
const FIGURES: &str = "figures.json";
/// The word for a story that stops to measure what the pods take at rest.
pub const AT_REST: &str = "at-rest";

/// Plays the story on a real node: the program that hands its words on to [`inside`], in namespaces of its own. Returns why it was left
/// out on a machine that cannot have one.
///
/// # Errors
/// When anything in it is not as it has to be.
pub fn play(program: &Path) -> anyhow::Result<Option<String>> {
    if let Some(why) = obstacle::of_all() {
        return Ok(Some(why));
    }
    tell(program, &[]).map(|_| None)
}

/// The same with the figures of its steps, and of its pods at rest.
///
/// # Errors
/// As [`play`], and on a machine that cannot have a real node.
pub fn measured(program: &Path) -> anyhow::Result<Vec<Row>> {
    if let Some(why) = obstacle::of_all() {
        anyhow::bail!("expected a machine that can have a real node, found: {why}");
    }
    tell(program, &[AT_REST])
}

fn tell(program: &Path, words: &[&str]) -> anyhow::Result<Vec<Row>> {
    // Inside there is no network to fetch sources from.
    build::ensure_all(&repository()?, true)?;
    build::ensure_helm(&repository()?)?;
    build::ensure_registry(&repository()?)?;
    let dir = tempfile::Builder::new().prefix("nimbus-installed-").tempdir()?;
    let mut all = vec![INSIDE.as_ref(), dir.path().as_os_str()];
    all.extend(words.iter().map(|word| OsStr::new(*word)));
    let status = enter::run(program, &all)?;
    anyhow::ensure!(status.success(), "the story on a real node ended with {status}; its words are above");
    Ok(serde_json::from_slice(&std::fs::read(dir.path().join(FIGURES)).context("the figures")?)?)
}

/// The other half of [`play`], inside of the namespaces: `words` are those after [`INSIDE`].
///
/// # Errors
/// As [`play`].
pub async fn inside(words: &[String]) -> anyhow::Result<()> {
    let (dir, at_rest) = match words {
        [dir] => (Path::new(dir), false),
        [dir, word] if word == AT_REST => (Path::new(dir), true),
        _ => anyhow::bail!("expected the folder of the story and nothing or {AT_REST}, found {words:?}"),
    };
    mounts::prepare(dir)?;
    let site = site::Site::start(dir).await.context("the site")?;
    match story::tell(&site, at_rest.then_some(dir)).await {
        Ok(()) => Ok(std::fs::write(dir.join(FIGURES), site.figures()?)?),
        Err(error) => Err(error.context(site.state().await)),
    }
}
