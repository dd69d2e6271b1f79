//! What an administrator does with the packages on plain hosts: a real systemd as process 1, the real dpkg and the real rpm.
//!
//! | what | where |
//! |---|---|
//! | the host, which is booted, rebooted and thrown away | `host` |
//! | packages of two versions, of this build or of a release | `packages` |
//! | the operator's command, and what both services say of themselves | `site` |
//! | every file of the host, compared with before | `listing` |
//! | what a unit may, measured | `hardened` |
//! | a service that fails, which the agent starts again | `units` |
//! | the story of the Debian packages on SQLite | `debian` |
//! | the story of the RPM packages on PostgreSQL | `redhat` |
//!
//! The packages hold the programs of this build, or those of a release, when `NIMBUS_RELEASE` names the directory of one.

mod debian;
mod hardened;
mod host;
mod listing;
mod packages;
mod redhat;
mod site;
mod units;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::rig::real_node::{INSIDE, enter, mounts, obstacle};
use crate::rig::{repository, systemd};

/// How long everything may take, on a busy machine.
const LIMIT: Duration = Duration::from_mins(8);

/// Plays both stories: the program `packaged`, in namespaces of its own, whose end ends the host. Returns why they were left
/// out on a machine that cannot have namespaces and cgroups.
///
/// # Errors
/// When anything in them is not as it has to be, or the host's root cannot be made.
pub fn play(program: &Path) -> anyhow::Result<Option<String>> {
    if let Some(why) = obstacle::of_all() {
        return Ok(Some(why));
    }
    // Inside there is no network to make it from.
    systemd::ensure(&repository()?)?;
    let dir = tempfile::Builder::new().prefix("nimbus-packaged-").tempdir()?;
    let status = enter::run(program, &[INSIDE.as_ref(), dir.path().as_os_str()])?;
    anyhow::ensure!(
        status.success(),
        "the stories on a systemd host ended with {status}; their words are above"
    );
    Ok(None)
}

/// The other half of [`play`], inside of the namespaces; files of its own go below `dir`.
///
/// # Errors
/// As [`play`], and after eight minutes.
pub fn inside(dir: &Path) -> anyhow::Result<()> {
    mounts::prepare(dir)?;
    let dir = dir.to_owned();
    let (done, ended) = mpsc::channel();
    // The end of this process ends the thread and all that it started.
    std::thread::spawn(move || done.send(both(dir)));
    ended.recv_timeout(LIMIT).with_context(|| format!("the stories took longer than {LIMIT:?}"))?
}

fn both(dir: PathBuf) -> anyhow::Result<()> {
    let mut clock = Clock::start();
    let packages = packages::Packages::make(&dir)?;
    clock.say("packages of two versions are made");
    let mut host = host::Host::boot(&systemd::ensure(&repository()?)?, dir, packages.dir())?;
    clock.say("the host is booted");
    let before = listing::Listing::of(&host)?;
    let told = debian::tell(&mut host, &packages, &before).context("the Debian packages");
    let told = told.and_then(|()| redhat::tell(&host, &packages, &before).context("the RPM packages"));
    told.map_err(|error| error.context(site::state(&host)))
}

/// How long a step took.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn say(&mut self, what: &str) {
        println!("{:6.1} s  {what}", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}
