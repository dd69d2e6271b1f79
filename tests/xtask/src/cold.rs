//! `cargo xtask test --cold`: runs the tests with every cache empty, as on a machine that has built nothing yet.
//!
//! Every cache is replaced by an empty one in a temporary directory: cargo's home, the target directory (with the
//! cluster's programs in it), Go's modules and builds. What says where things come from stays: cargo's configuration
//! and credentials, Go's environment (GOPROXY, GOFLAGS, GONOSUMDB, ...) and the toolchains themselves.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// What of cargo's home is no cache. Paths in a configuration are relative to the directory above cargo's home: a
/// relative one is not found from the new place.
const CARGO_CONFIGURATION: [&str; 4] = ["config.toml", "config", "credentials.toml", "credentials"];

/// Runs `cargo xtask ARGUMENTS` cold; returns whether it succeeded. With `keep` the directory stays.
pub fn run(arguments: &[&str], keep: bool) -> anyhow::Result<bool> {
    let dir = tempfile::Builder::new()
        .prefix("nimbus-cold-")
        .tempdir()
        .context("cannot make a temporary directory")?;
    eprintln!("cold run in {} ({})", dir.path().display(), if keep { "kept" } else { "removed at the end" });
    let home = cargo_home().context("expected CARGO_HOME or HOME in the environment, found neither")?;
    carry_over(&home, &dir.path().join("cargo"))?;
    let own = std::env::current_exe().context("where this program is")?;
    let mut command = Command::new(own);
    command.args(arguments);
    for (name, value) in environment(dir.path(), &home, |name| std::env::var_os(name)) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let status = command.status().context("cannot run this program again")?;
    if keep {
        eprintln!("kept: {}", dir.keep().display());
    } else {
        let path = dir.path().to_owned();
        dir.close().with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(status.success())
}

fn cargo_home() -> Option<PathBuf> {
    let given = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    given.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}

fn carry_over(home: &Path, into: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(into).with_context(|| format!("cannot make {}", into.display()))?;
    for name in CARGO_CONFIGURATION {
        match std::fs::copy(home.join(name), into.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot copy {}", home.join(name).display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What differs from this process's environment: variables to set, and (`None`) to remove.
fn environment(
    dir: &Path,
    home: &Path,
    now: impl Fn(&str) -> Option<OsString>,
) -> Vec<(&'static str, Option<OsString>)> {
    let below = |name: &str| Some(dir.join(name).into_os_string());
    let appended = |name: &str, separator: &str, more: &OsStr| {
        let mut text = now(name).unwrap_or_default();
        if !text.is_empty() {
            text.push(separator);
        }
        text.push(more);
        Some(text)
    };
    vec![
        ("CARGO_HOME", below("cargo")),
        ("CARGO_TARGET_DIR", below("target")),
        ("CARGO_BUILD_BUILD_DIR", below("target")),
        ("GOPATH", below("go")),
        ("GOMODCACHE", below("go/modules")),
        ("GOCACHE", below("go/build")),
        // Go writes its modules read-only, which would keep them from being removed.
        ("GOFLAGS", appended("GOFLAGS", " ", OsStr::new("-modcacherw"))),
        // Wrappers such as sccache have caches of their own; an empty name means none, whatever a configuration says.
        ("RUSTC_WRAPPER", Some(OsString::new())),
        ("RUSTC_WORKSPACE_WRAPPER", Some(OsString::new())),
        ("CCACHE_DISABLE", Some("1".into())),
        // Programs that were built before.
        ("KUBEBUILDER_ASSETS", None),
        ("NIMBUS_BIN_DIR", None),
        (crate::version_before::VARIABLE, None),
        // Subcommands that were installed with cargo are programs, not caches.
        ("PATH", appended("PATH", ":", home.join("bin").as_os_str())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cache_is_below_the_directory_and_what_was_said_stays() {
        let now = |name: &str| match name {
            "GOFLAGS" => Some("-mod=mod".into()),
            "PATH" => Some("/usr/bin".into()),
            _ => None,
        };
        let found = environment(Path::new("/cold"), Path::new("/home/x/.cargo"), now);
        let value = |name: &str| found.iter().find(|(found, _)| *found == name).unwrap().1.clone();
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "GOPATH", "GOMODCACHE", "GOCACHE"] {
            assert!(value(name).unwrap().to_str().unwrap().starts_with("/cold/"), "{name}");
        }
        assert_eq!(value("GOFLAGS").unwrap(), "-mod=mod -modcacherw");
        assert_eq!(value("PATH").unwrap(), "/usr/bin:/home/x/.cargo/bin");
        assert_eq!(value("KUBEBUILDER_ASSETS"), None);
        let empty = environment(Path::new("/cold"), Path::new("/c"), |_| None);
        assert!(empty.contains(&("GOFLAGS", Some("-modcacherw".into()))));
    }

    #[test]
    fn configuration_is_carried_over_and_caches_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (home, into) = (dir.path().join("home"), dir.path().join("cold"));
        std::fs::create_dir_all(home.join("registry")).unwrap();
        std::fs::write(home.join("config.toml"), "[http]\n").unwrap();
        carry_over(&home, &into).unwrap();
        assert_eq!(std::fs::read_to_string(into.join("config.toml")).unwrap(), "[http]\n");
        assert_eq!(std::fs::read_dir(&into).unwrap().count(), 1);
    }
}
