//! What a platform team does with Nimbus, on a real node: both charts are installed with the real helm, the agent joins by its
//! service account, a crash-looping pod is healed, the leading control plane is killed, both charts are upgraded, rolled
//! back and removed.
//!
//! The images hold the programs of this build, or those of a release, when `NIMBUS_RELEASE` names the directory of one. The
//! node has those of the control plane and the command already; the agent's it pulls from a registry, by digest.

mod backup;
mod site;
mod story;

use std::path::Path;

use anyhow::Context as _;

use crate::rig::real_node::{INSIDE, enter, mounts, obstacle};
use crate::rig::{build, repository};

/// Plays the story on a real node: the program `installed`, in namespaces of its own. Returns why it was left out on a machine
/// that cannot have one.
///
/// # Errors
/// When anything in it is not as it has to be.
pub fn play(program: &Path) -> anyhow::Result<Option<String>> {
    if let Some(why) = obstacle::of_all() {
        return Ok(Some(why));
    }
    // Inside there is no network to fetch sources from.
    build::ensure_all(&repository()?, true)?;
    build::ensure_helm(&repository()?)?;
    build::ensure_registry(&repository()?)?;
    let dir = tempfile::Builder::new().prefix("nimbus-installed-").tempdir()?;
    let status = enter::run(program, &[INSIDE.as_ref(), dir.path().as_os_str()])?;
    anyhow::ensure!(status.success(), "the story on a real node ended with {status}; its words are above");
    Ok(None)
}

/// The other half of [`play`], inside of the namespaces; files of its own go below `dir`.
///
/// # Errors
/// As [`play`].
pub async fn inside(dir: &Path) -> anyhow::Result<()> {
    mounts::prepare(dir)?;
    let site = site::Site::start(dir).await.context("the site")?;
    match story::tell(&site).await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(site.state().await)),
    }
}
