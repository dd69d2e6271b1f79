//! What a platform team does with Nimbus, on a real node: both charts are installed with the real helm, the agent joins by its
//! service account, a crash-looping pod is healed, the leading control plane is killed, both charts are upgraded and rolled
//! back; everything is lost and a backup restored in another cluster; both are removed; and `nimbus enterprise deploy` installs and
//! undoes all of it by itself. Before all that a control plane on SQLite is installed and removed.
//!
//! The images hold the programs of this build, or those of a release, when `NIMBUS_RELEASE` names the directory of one. The
//! node has those of the control plane and the command already; the agent's it pulls from a registry, by digest.

mod alone;
mod at_rest;
mod backup;
mod deployed;
mod elsewhere;
mod filled;
mod site;
mod story;
mod versions;
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
/// The word for the story of two versions.
pub const VERSIONS: &str = "versions";

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

/// Plays the story of two versions, as [`play`] does: with the version before in the tree that `NIMBUS_BEFORE` names.
///
/// # Errors
/// As [`play`].
pub fn play_versions(program: &Path) -> anyhow::Result<Option<String>> {
    if let Some(why) = obstacle::of_all() {
        return Ok(Some(why));
    }
    tell(program, &[VERSIONS]).map(|_| None)
}

/// The first story with the figures of its steps, and of its pods at rest.
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
    let (dir, word) = match words {
        [dir] => (Path::new(dir), ""),
        [dir, word] => (Path::new(dir), word.as_str()),
        _ => anyhow::bail!("expected the folder of the story and at most one word, found {words:?}"),
    };
    mounts::prepare(dir)?;
    let (site, told) = match word {
        "" | AT_REST => {
            let site = site::Site::start(dir).await.context("the site")?;
            let told = story::tell(&site, (word == AT_REST).then_some(dir)).await;
            (site, told)
        }
        VERSIONS => {
            let site = site::Site::start_with_two_nodes(dir).await.context("the site")?;
            let told = versions::tell(&site).await;
            (site, told)
        }
        _ => anyhow::bail!("expected {AT_REST}, {VERSIONS} or nothing, found {word}"),
    };
    match told {
        Ok(()) => Ok(std::fs::write(dir.join(FIGURES), site.figures()?)?),
        Err(error) => Err(error.context(site.state().await)),
    }
}
