//! What the tests need of the machine, and how it gets there.
//!
//! Three things that cargo cannot bring: a C compiler, Go (unless the cluster's programs are there
//! already) and PostgreSQL's server programs. What is missing is installed with the system's package
//! manager when this user may do that without being asked for a password; otherwise the error is the
//! one line that would.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::steps::shown;
use crate::{locate, rig};

/// The oldest Go that the cluster's module accepts.
const GO: (u32, u32) = (1, 26);

/// A package manager and how it names what we need.
struct Manager {
    program: &'static str,
    /// Brings the list of packages up to date, where that is a step of its own.
    refresh: &'static [&'static str],
    install: &'static [&'static str],
    /// Whether it must be run as root.
    as_root: bool,
    compiler: &'static str,
    go: &'static str,
    postgres: &'static str,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        refresh: &["update"],
        install: &["install", "-y", "--no-install-recommends"],
        as_root: true,
        compiler: "build-essential",
        go: "golang-go",
        postgres: "postgresql",
    },
    Manager {
        program: "dnf",
        refresh: &[],
        install: &["install", "-y"],
        as_root: true,
        compiler: "gcc",
        go: "golang",
        postgres: "postgresql-server",
    },
    Manager {
        program: "apk",
        refresh: &["update"],
        install: &["add"],
        as_root: true,
        compiler: "build-base",
        go: "go",
        postgres: "postgresql",
    },
    Manager {
        program: "pacman",
        refresh: &[],
        install: &["-Sy", "--noconfirm"],
        as_root: true,
        compiler: "base-devel",
        go: "go",
        postgres: "postgresql",
    },
    Manager {
        program: "brew",
        refresh: &[],
        install: &["install"],
        as_root: false,
        compiler: "gcc",
        go: "go",
        postgres: "postgresql",
    },
];

/// A C compiler: some crates bring C code.
pub fn compiler() -> anyhow::Result<()> {
    let check = || quiet(Command::new("cc").arg("--version")).map(drop);
    obtain("a C compiler", check, |manager| manager.compiler, None)
}

/// PostgreSQL's server programs.
pub fn postgres() -> anyhow::Result<()> {
    obtain(
        "PostgreSQL's server programs",
        || locate::server_binaries().map(drop),
        |manager| manager.postgres,
        None,
    )
}

/// Go, unless every program of the cluster is there already.
pub fn go(repository: &Path) -> anyhow::Result<()> {
    if rig::is_complete(repository) {
        return Ok(());
    }
    let module = repository.join("tests/rig");
    let arch = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let by_hand = format!(
        "curl -fsSL https://go.dev/dl/go1.26.8.linux-{arch}.tar.gz | sudo tar -C /usr/local -xz && \
         export PATH=/usr/local/go/bin:$PATH"
    );
    obtain("Go 1.26 or newer", || new_enough_go(&module), |manager| manager.go, Some(&by_hand))
}

/// Asks Go inside the module: a somewhat older one fetches the toolchain that go.mod asks for.
fn new_enough_go(module: &Path) -> anyhow::Result<()> {
    let said = quiet(Command::new("go").args(["env", "GOVERSION"]).current_dir(module))?;
    let version = go_version(&said).with_context(|| format!("go says {said:?} instead of a version"))?;
    anyhow::ensure!(version >= GO, "found {}, expected go{}.{} or newer", said.trim(), GO.0, GO.1);
    Ok(())
}

/// `go1.26.8` as numbers.
fn go_version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor.parse().ok()?))
}

/// Checks, installs where it may, checks again.
fn obtain(
    what: &str,
    check: impl Fn() -> anyhow::Result<()>,
    package: impl Fn(&Manager) -> &'static str,
    by_hand: Option<&str>,
) -> anyhow::Result<()> {
    let Err(missing) = check() else { return Ok(()) };
    let Some(manager) = MANAGERS.iter().find(|manager| exists(manager.program)) else {
        let line = by_hand.unwrap_or("install it with your system's package manager");
        anyhow::bail!("{what} is needed: {missing:#}\n  {line}");
    };
    let package = package(manager);
    let root = !manager.as_root || quiet(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let sudo = !root && quiet(Command::new("sudo").args(["-n", "true"])).is_ok();
    let command = |words: &[&str]| {
        let mut command = Command::new(if root { manager.program } else { "sudo" });
        if !root {
            command.arg(manager.program);
        }
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install = [manager.install, &[package]].concat();
    let line = by_hand.map_or_else(|| one_line(&command, manager, &install), str::to_owned);
    anyhow::ensure!(root || sudo, "{what} is needed: {missing:#}\n  {line}");

    eprintln!("{what} is missing: installing {package}");
    if !manager.refresh.is_empty() {
        // One source of packages that does not answer need not be the one that is asked.
        if let Err(error) = run(&mut command(manager.refresh)) {
            eprintln!("{error:#}; trying to install nevertheless");
        }
    }
    run(&mut command(&install))
        .with_context(|| format!("{what} could not be installed; by hand:\n  {line}"))?;
    check().with_context(|| format!("{what} is still missing after installing {package}; by hand:\n  {line}"))
}

fn one_line(command: &impl Fn(&[&str]) -> Command, manager: &Manager, install: &[&str]) -> String {
    let install = shown(&command(install));
    if manager.refresh.is_empty() {
        install
    } else {
        format!("{} && {install}", shown(&command(manager.refresh)))
    }
}

fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    eprintln!("$ {}", shown(command));
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", shown(command)))?;
    anyhow::ensure!(status.success(), "`{}` ended with {status}", shown(command));
    Ok(())
}

/// Runs a command without showing anything and returns its standard output.
fn quiet(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("`{}` is not there", shown(command)))?;
    anyhow::ensure!(
        output.status.success(),
        "`{}` ended with {}: {}",
        shown(command),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_compared_as_numbers() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("go1.27rc1"), Some((1, 27)));
        assert!(go_version("go1.9").unwrap() < GO);
        assert_eq!(go_version("devel"), None);
    }

    #[test]
    fn what_is_there_is_not_installed() {
        obtain("nothing", || Ok(()), |_| unreachable!("no package is asked for"), None).unwrap();
    }
}
