//! The schemas of Kubernetes' releases with a program that checks objects by them: `kubernetes-validate`, which Python's installer
//! puts into the target directory once. Tests and `cargo xtask` use this same file, so they agree; it needs nothing but std and anyhow.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;

/// The package, and its version, which has the schemas of Kubernetes 1.25 to 1.37.
const PACKAGE: (&str, &str) = ("kubernetes-validate", "1.37.0");
/// Held by the thread that installs.
static INSTALLING: Mutex<()> = Mutex::new(());

/// How Python's installer is called.
const INSTALLERS: [&[&str]; 3] = [&["pip3"], &["pip"], &["python3", "-m", "pip"]];

/// Finds it, or installs it; returns the folder that has to be `PYTHONPATH` for `python3 -m kubernetes_validate`.
///
/// # Errors
/// When there is no installer or it cannot install, with what to do.
pub fn ensure(repository: &Path) -> anyhow::Result<PathBuf> {
    let (name, version) = PACKAGE;
    let folder = folder(repository);
    if folder.is_dir() {
        return Ok(folder);
    }
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if folder.is_dir() {
        return Ok(folder);
    }
    let installer = installer().with_context(|| {
        format!(
            "expected Python's pip to install {name} {version} with, found none; install it (python3-pip)"
        )
    })?;
    // What an interruption leaves is not taken for the whole; two processes that install at once do not meet, and threads wait.
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    eprintln!("rig: installing {name} {version}");
    let status = Command::new(installer[0])
        .args(&installer[1..])
        .args(["install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(&unfinished)
        // An option of newer ones only, which older ones do not look for here.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .arg(format!("{name}=={version}"))
        .status()
        .with_context(|| format!("cannot run {}", installer[0]))?;
    anyhow::ensure!(
        status.success(),
        "{} cannot install {name} ({status}); its messages are above",
        installer[0]
    );
    if std::fs::rename(&unfinished, &folder).is_err() {
        // Another one was faster.
        let _ = std::fs::remove_dir_all(&unfinished);
        anyhow::ensure!(folder.is_dir(), "cannot make {}", folder.display());
    }
    Ok(folder)
}

/// Is there nothing to install?
pub fn is_complete(repository: &Path) -> bool {
    folder(repository).is_dir()
}

/// How Python's installer is called here.
pub fn installer() -> Option<&'static [&'static str]> {
    INSTALLERS.into_iter().find(|words| {
        let asked = Command::new(words[0]).args(&words[1..]).arg("--version").output();
        asked.is_ok_and(|output| output.status.success())
    })
}

fn folder(repository: &Path) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    target.join("rig").join(format!("{}-{}", PACKAGE.0, PACKAGE.1))
}
