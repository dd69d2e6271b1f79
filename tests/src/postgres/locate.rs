//! Finds PostgreSQL's server programs. Tests and `cargo xtask` share this file, so it needs nothing but std and anyhow.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

/// The directory that holds `postgres`, `initdb` and the client programs: the newest below
/// `/usr/lib/postgresql`, else the `PATH`'s, else what `pg_config` says.
///
/// # Errors
/// When there is none, with the line that installs it on a Debian system.
pub fn server_binaries() -> anyhow::Result<PathBuf> {
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    packaged.sort();
    let packaged = packaged.into_iter().rev().map(|(_, dir)| dir);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    packaged
        .chain(std::env::split_paths(&path))
        .chain(configured)
        .find(|dir| ["postgres", "initdb", "psql", "pg_isready"].iter().all(|name| dir.join(name).is_file()))
        .context("no PostgreSQL server binaries found: install them with `apt-get install postgresql`")
}
