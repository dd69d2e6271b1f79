//! What the tests need on the machine (a C compiler, Go, PostgreSQL, skopeo, Python's pip, the parts of a real node and of a systemd host),
//! and how each is installed.
//!
//! What cargo cannot bring: a C compiler, Go (unless the cluster's programs are there already), PostgreSQL's server
//! programs, skopeo, pip, and for a real node a runtime, network plugins and a few tools. What is missing is installed with the
//! system's package manager when this user may do that without being asked for a password; otherwise the error is one line
//! that names all of it and the command that installs it. (Without a C compiler cargo cannot link this program either, and says so itself.)

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::steps::shown;
use crate::{locate, obstacle, rig, schemas, systemd};

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
    /// Python's pip.
    pip: &'static str,
    /// The parts of a real node.
    node: &'static [&'static str],
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
        pip: "python3-pip",
        node: &[
            "runc",
            "containernetworking-plugins",
            "iptables",
            "conntrack",
            "iproute2",
            "busybox-static",
            "curl",
            "xfsprogs",
        ],
    },
    Manager {
        program: "dnf",
        refresh: &[],
        install: &["install", "-y"],
        as_root: true,
        compiler: "gcc",
        go: "golang",
        postgres: "postgresql-server",
        pip: "python3-pip",
        node: &[
            "runc",
            "containernetworking-plugins",
            "iptables",
            "conntrack-tools",
            "iproute",
            "busybox",
            "curl",
            "xfsprogs",
        ],
    },
    Manager {
        program: "apk",
        refresh: &["update"],
        install: &["add"],
        as_root: true,
        compiler: "build-base",
        go: "go",
        postgres: "postgresql",
        pip: "py3-pip",
        node: &[
            "runc",
            "cni-plugins",
            "iptables",
            "conntrack-tools",
            "iproute2",
            "busybox-static",
            "curl",
            "xfsprogs",
            "xfsprogs-extra",
            "losetup",
            "mount",
        ],
    },
    Manager {
        program: "pacman",
        refresh: &[],
        install: &["-Sy", "--noconfirm"],
        as_root: true,
        compiler: "base-devel",
        go: "go",
        postgres: "postgresql",
        pip: "python-pip",
        node: &[
            "runc",
            "cni-plugins",
            "iptables",
            "conntrack-tools",
            "iproute2",
            "busybox",
            "curl",
            "xfsprogs",
        ],
    },
    Manager {
        program: "brew",
        refresh: &[],
        install: &["install"],
        as_root: false,
        compiler: "gcc",
        go: "go",
        postgres: "postgresql",
        pip: "python",
        node: &[],
    },
];

/// Something that has to be there.
pub struct Need {
    /// As it reads in "expected ...".
    what: &'static str,
    /// `Err` with what was found instead.
    check: Box<dyn Fn() -> Result<(), String>>,
    /// The packages that have it.
    packages: fn(&Manager) -> Vec<&'static str>,
    /// How to install it where a distribution's package may be too old.
    by_hand: Option<String>,
}

/// A C compiler: some crates bring C code.
pub fn compiler() -> Need {
    Need {
        what: "a C compiler",
        check: Box::new(|| quiet(Command::new("cc").arg("--version")).map(drop)),
        packages: |manager| vec![manager.compiler],
        by_hand: None,
    }
}

/// AIDE, with which a full pass over watched files is compared.
pub fn aide() -> Need {
    Need {
        what: "AIDE",
        check: Box::new(|| quiet(Command::new("aide").arg("--version")).map(drop)),
        packages: |_| vec!["aide"],
        by_hand: None,
    }
}

/// A server of this name, whose memory for a connection is compared. A service that its package starts is not used.
fn peer(name: &'static str, packages: fn(&Manager) -> Vec<&'static str>) -> Need {
    // Packages put them where only root looks for programs.
    let dirs = |path: &OsStr| {
        std::env::split_paths(path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]).collect::<Vec<_>>()
    };
    let found = move || {
        dirs(&std::env::var_os("PATH").unwrap_or_default()).iter().any(|dir| dir.join(name).is_file())
    };
    let check = Box::new(move || if found() { Ok(()) } else { Err(format!("no {name}")) });
    Need { what: name, check, packages, by_hand: None }
}

/// nats-server.
pub fn nats() -> Need {
    peer("nats-server", |_| vec!["nats-server"])
}

/// mosquitto, an MQTT broker.
pub fn mosquitto() -> Need {
    peer("mosquitto", |_| vec!["mosquitto"])
}

/// PostgreSQL's server programs.
pub fn postgres() -> Need {
    Need {
        what: "PostgreSQL's server programs",
        check: Box::new(|| locate::server_binaries().map(drop).map_err(|_| "none".to_owned())),
        packages: |manager| vec![manager.postgres],
        by_hand: None,
    }
}

/// skopeo, which pushes images to a registry and reads what is there.
pub fn skopeo() -> Need {
    Need {
        what: "skopeo",
        check: Box::new(|| quiet(Command::new("skopeo").arg("--version")).map(drop)),
        packages: |_| vec!["skopeo"],
        by_hand: None,
    }
}

/// Python's pip, which fetches the schemas of Kubernetes' releases, unless they are there already.
pub fn pip(repository: &Path) -> Need {
    let repository = repository.to_owned();
    let is_there = move || schemas::is_complete(&repository) || schemas::installer().is_some();
    Need {
        what: "Python's pip",
        check: Box::new(move || if is_there() { Ok(()) } else { Err("none".to_owned()) }),
        packages: |manager| vec![manager.pip],
        by_hand: None,
    }
}

/// The parts of a real node; nothing where this machine cannot have one anyway.
pub fn real_node() -> Need {
    let check =
        || match obstacle::of_machine().map_or_else(obstacle::missing_programs, |_| Vec::new()).as_slice() {
            [] => Ok(()),
            missing => Err(format!("no {}", missing.join(", no "))),
        };
    Need {
        what: "the parts of a real node",
        check: Box::new(check),
        packages: |manager| manager.node.to_vec(),
        by_hand: None,
    }
}

/// What makes the root of a host with systemd, unless it is there already; nothing where this machine cannot have a host anyway.
pub fn systemd_host(repository: &Path) -> Need {
    let repository = repository.to_owned();
    Need {
        what: "debootstrap for the root of a systemd host",
        check: Box::new(move || {
            if obstacle::of_machine().is_some() || systemd::is_complete(&repository) {
                return Ok(());
            }
            quiet(Command::new(systemd::DEBOOTSTRAP).arg("--version")).map(drop)
        }),
        // It runs on Linux alone, where every one of these has it.
        packages: |_| vec![systemd::DEBOOTSTRAP],
        by_hand: None,
    }
}

/// Go, unless every program of the cluster is there already; with `node`, those of a real node too.
pub fn go(repository: &Path, node: bool) -> Need {
    let repository = repository.to_owned();
    let arch = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let archive = format!("https://go.dev/dl/go1.26.8.linux-{arch}.tar.gz");
    let by_hand =
        format!("curl -fsSL {archive} | sudo tar -C /usr/local -xz && export PATH=/usr/local/go/bin:$PATH");
    Need {
        what: "Go 1.26 or newer",
        check: Box::new(move || {
            if rig::is_complete(&repository, node) {
                Ok(())
            } else {
                new_enough_go(&repository.join("tests/rig"))
            }
        }),
        packages: |manager| vec![manager.go],
        by_hand: cfg!(target_os = "linux").then_some(by_hand),
    }
}

/// Asks Go inside the module: a somewhat older one fetches the toolchain that go.mod asks for.
fn new_enough_go(module: &Path) -> Result<(), String> {
    let said = quiet(Command::new("go").args(["env", "GOVERSION"]).current_dir(module))?;
    match go_version(&said) {
        Some(version) if version >= GO => Ok(()),
        _ => Err(said.trim().to_owned()),
    }
}

/// `go1.26.8` as numbers.
fn go_version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor.parse().ok()?))
}

/// Checks all of them, installs what is missing where this user may, and checks again.
pub fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let installer = Installer::find();
    if let Some(installer) = installer.as_ref().filter(|installer| installer.unasked) {
        let packages: Vec<&str> =
            missing.iter().flat_map(|(need, _)| (need.packages)(installer.manager)).collect();
        eprintln!("installing {}", packages.join(", "));
        let failed = installer.install(&packages).err();
        let still = self::missing(needs);
        let reason = failed.map(|error| format!(" ({error:#})")).unwrap_or_default();
        anyhow::ensure!(still.is_empty(), "{}{reason}", told(&still, Some(installer)));
        return Ok(());
    }
    anyhow::bail!("{}", told(&missing, installer.as_ref()))
}

fn missing(needs: &[Need]) -> Vec<(&Need, String)> {
    needs.iter().filter_map(|need| Some((need, (need.check)().err()?))).collect()
}

/// One line: what was expected, what was found, and the commands that install it.
fn told(missing: &[(&Need, String)], installer: Option<&Installer>) -> String {
    let expected: Vec<String> =
        missing.iter().map(|(need, found)| format!("{} (found {found})", need.what)).collect();
    let from_packages: Vec<&Need> =
        missing.iter().map(|(need, _)| *need).filter(|need| need.by_hand.is_none()).collect();
    let mut commands: Vec<String> = missing.iter().filter_map(|(need, _)| need.by_hand.clone()).collect();
    let mut way = String::new();
    match installer {
        _ if from_packages.is_empty() => {}
        Some(installer) => {
            let packages: Vec<&str> =
                from_packages.iter().flat_map(|need| (need.packages)(installer.manager)).collect();
            commands.insert(0, installer.line(&packages));
        }
        None => {
            let what: Vec<&str> = from_packages.iter().map(|need| need.what).collect();
            way = format!("use the system's package manager for {}", what.join(" and "));
        }
    }
    if !commands.is_empty() {
        let and = if way.is_empty() { "" } else { ", and " };
        way = format!("{way}{and}run {}", commands.join(" && "));
    }
    format!("expected {}, so {way}", expected.join(", "))
}

/// The package manager of this machine, and whether it may be used without a question.
struct Installer {
    manager: &'static Manager,
    sudo: bool,
    unasked: bool,
}

impl Installer {
    fn find() -> Option<Self> {
        let manager = MANAGERS.iter().find(|manager| exists(manager.program))?;
        let root = quiet(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
        let sudo = manager.as_root && !root;
        let unasked = !sudo || quiet(Command::new("sudo").args(["-n", "true"])).is_ok();
        Some(Self { manager, sudo, unasked })
    }

    /// The commands, one after the other: the refresh where there is one, then the installation.
    fn commands(&self, packages: &[&str]) -> Vec<Command> {
        let install = [self.manager.install, packages].concat();
        let words = [self.manager.refresh, &install].into_iter().filter(|words| !words.is_empty());
        words
            .map(|words| {
                let mut command = Command::new(if self.sudo { "sudo" } else { self.manager.program });
                if self.sudo {
                    command.arg(self.manager.program);
                }
                command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
                command
            })
            .collect()
    }

    fn line(&self, packages: &[&str]) -> String {
        self.commands(packages).iter().map(shown).collect::<Vec<_>>().join(" && ")
    }

    /// Runs them. Only the last one counts: a source of packages that does not answer need not be the one that has
    /// what is asked for.
    fn install(&self, packages: &[&str]) -> anyhow::Result<()> {
        let mut last = Ok(());
        for mut command in self.commands(packages) {
            eprintln!("$ {}", shown(&command));
            let status = command.stdin(Stdio::null()).status();
            let status = status.with_context(|| format!("cannot run {}", shown(&command)))?;
            last = if status.success() {
                Ok(())
            } else {
                Err(anyhow::anyhow!("`{}` ended with {status}", shown(&command)))
            };
        }
        last
    }
}

fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The standard output of a command that shows nothing; `Err` with what was found instead of it.
fn quiet(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|_| "none".to_owned())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("`{}` ended with {}: {}", shown(command), output.status, said(&output.stderr)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(what: &'static str, found: Option<&'static str>, by_hand: Option<&str>) -> Need {
        Need {
            what,
            check: Box::new(move || found.map_or(Ok(()), |found| Err(found.to_owned()))),
            packages: |manager| vec![manager.go],
            by_hand: by_hand.map(str::to_owned),
        }
    }

    #[test]
    fn versions_of_go_are_compared_as_numbers() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("go1.27rc1"), Some((1, 27)));
        assert!(go_version("go1.9").unwrap() < GO);
        assert_eq!(go_version("devel"), None);
    }

    #[test]
    fn what_is_there_is_not_installed() {
        ensure(&[need("nothing", None, None)]).unwrap();
    }

    #[test]
    fn all_that_is_missing_is_told_in_one_line() {
        let needs =
            [need("a", Some("none"), None), need("b", Some("go1.9"), Some("curl b")), need("c", None, None)];
        let installer = Installer { manager: &MANAGERS[0], sudo: true, unasked: false };
        assert_eq!(
            told(&missing(&needs), Some(&installer)),
            "expected a (found none), b (found go1.9), so run sudo apt-get update && sudo apt-get install -y \
             --no-install-recommends golang-go && curl b"
        );
        assert_eq!(
            told(&missing(&needs[..1]), None),
            "expected a (found none), so use the system's package manager for a"
        );
    }
}
