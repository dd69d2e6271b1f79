//! The root directory of a host with systemd: made once by debootstrap, kept in `target/rig/systemd/KEY`, and never written to
//! by a test.
//!
//! Tests and `cargo xtask` use this same file, so they agree; it needs nothing but std and anyhow.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

/// The distribution's release: its systemd 252 is that of RHEL 9 too.
const SUITE: &str = "bookworm";

/// What is in the root beside what every root of that distribution has. With `rpm` its packages are installed beside Debian's;
/// polkit, which needs a logind, is asked who may start which unit.
const INCLUDED: &str = "systemd,systemd-sysv,dbus,libpam-systemd,polkitd,rpm";

/// The environment variable that names another mirror of the distribution than debootstrap's own.
const MIRROR: &str = "NIMBUS_DEBIAN_MIRROR";

/// What debootstrap leaves that no host needs: a hundred megabytes of packages and lists.
const LEFTOVERS: [&str; 2] = ["var/cache/apt/archives", "var/lib/apt/lists"];

/// The program that makes the root.
pub const DEBOOTSTRAP: &str = "debootstrap";

/// Whether the root is there, so that neither debootstrap nor a network is needed.
pub fn is_complete(repository: &Path) -> bool {
    root(repository).is_dir()
}

/// Finds the root, or makes it: a minute on two cores and 100 MB from a mirror, once. Several processes may call this at once:
/// one makes it, the others wait.
///
/// # Errors
/// When debootstrap is not installed or fails, as without a network; with the last lines that it wrote.
pub fn ensure(repository: &Path) -> anyhow::Result<PathBuf> {
    let root = root(repository);
    if root.is_dir() {
        return Ok(root);
    }
    let cache = root.parent().context("a root lies in a directory")?;
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(cache.join("lock")).context("cannot create the lock file of the host's root")?;
    lock.lock().context("cannot lock the host's root")?;
    if root.is_dir() {
        return Ok(root);
    }
    let unfinished = root.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    eprintln!("rig: making the root of a host with systemd (a minute, once)");
    let begun = Instant::now();
    make(&unfinished, &root.with_extension("log"))?;
    // Complete or not there at all.
    fs::rename(&unfinished, &root).with_context(|| format!("cannot keep {}", root.display()))?;
    eprintln!("rig: made in {} s", begun.elapsed().as_secs());
    Ok(root)
}

fn root(repository: &Path) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    let mut hasher = DefaultHasher::new();
    (SUITE, INCLUDED, LEFTOVERS).hash(&mut hasher);
    target.join("rig/systemd").join(format!("{:016x}", hasher.finish()))
}

fn make(into: &Path, log: &Path) -> anyhow::Result<()> {
    let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    // In mounts of its own: where it is killed, what it mounted goes with it.
    let mut command = Command::new("unshare");
    command.args(["-m", DEBOOTSTRAP, "--variant=minbase"]).arg(format!("--include={INCLUDED}"));
    command.arg(SUITE).arg(into).args(std::env::var_os(MIRROR));
    command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
    let status = command.status().context("cannot run unshare")?;
    if !status.success() {
        let said = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
        anyhow::bail!(
            "expected {DEBOOTSTRAP} to make the root of a {SUITE} host, found that it ended with {status}:\n  {last}\n\
             Install {DEBOOTSTRAP} (root runs it), give it a network, or name a mirror that this machine reaches in {MIRROR}"
        );
    }
    for left in LEFTOVERS {
        let place = into.join(left);
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        fs::create_dir(&place).with_context(|| format!("cannot create {}", place.display()))?;
    }
    Ok(())
}
