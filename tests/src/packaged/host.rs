//! A host whose process 1 is systemd: a copy of the kept root that is written to in memory alone, in a container of runc.
//!
//! It shares the network of the namespaces that this process is in, so that what listens on its loopback is reached from
//! here. It may not set the clock, load modules or write kernel settings: those are the machine's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::process::Process;
use crate::rig::real_node::mounts;
use crate::wait::{Seen, wait_for_blocking};

/// How long systemd may take until everything that it starts at boot is started: two seconds on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_mins(1);

/// What the host's root may; the machine's clock, modules and devices are left out.
const CAPABILITIES: &str = "AUDIT_CONTROL AUDIT_WRITE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER \
                            KILL LEASE LINUX_IMMUTABLE MKNOD NET_ADMIN NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID \
                            SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_NICE SYS_PTRACE SYS_TTY_CONFIG";

/// Timers of the distribution that would write files of their own while files are compared.
const TIMERS: [&str; 4] = ["apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "e2scrub_all"];

/// The host; it ends with the namespaces that it is in.
pub struct Host {
    dir: PathBuf,
    boots: u32,
    running: Option<Process>,
}

impl Host {
    /// Lays a directory in memory over the root `base` and boots it. `packages` is its `/mnt`, which it cannot write.
    ///
    /// # Errors
    /// When a mount is refused or systemd does not come up.
    pub fn boot(base: &Path, dir: PathBuf, packages: &Path) -> anyhow::Result<Self> {
        let place = |name: &str| dir.join(name).display().to_string();
        for name in ["root", "written"] {
            fs::create_dir(dir.join(name))?;
        }
        mounts::run("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", &place("written")])?;
        for name in ["written/upper", "written/work"] {
            fs::create_dir(dir.join(name))?;
        }
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            base.display(),
            place("written/upper"),
            place("written/work")
        );
        mounts::run("mount", &["-t", "overlay", "-o", &layers, "overlay", &place("root")])?;
        for timer in TIMERS {
            let link = dir.join(format!("root/etc/systemd/system/{timer}.timer"));
            std::os::unix::fs::symlink("/dev/null", link)?;
        }
        let mut host = Self { dir, boots: 0, running: None };
        host.configure(packages)?;
        host.start()?;
        Ok(host)
    }

    fn configure(&self, packages: &Path) -> anyhow::Result<()> {
        let capabilities: Vec<String> =
            CAPABILITIES.split_whitespace().map(|name| format!("CAP_{name}")).collect();
        let mount = |at: &str, kind: &str, options: &[&str]| json!({"destination": at, "type": kind, "source": kind, "options": options});
        let namespaces: Vec<Value> =
            ["pid", "ipc", "uts", "mount", "cgroup"].into_iter().map(|kind| json!({"type": kind})).collect();
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                // As on a machine, mounts are seen everywhere: without it systemd cannot hand credentials over.
                "args": ["/bin/sh", "-c", "mount --make-rshared / && exec /sbin/init"],
                "env": ["container=oci", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                "cwd": "/",
                "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            },
            "root": {"path": self.dir.join("root")},
            "mounts": [
                mount("/proc", "proc", &[]),
                mount("/dev", "tmpfs", &["nosuid", "mode=755", "size=65536k"]),
                mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
                mount("/dev/shm", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
                mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
                mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]),
                mount("/run", "tmpfs", &["nosuid", "nodev", "mode=755"]),
                mount("/tmp", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
                {"destination": "/mnt", "type": "bind", "source": packages, "options": ["bind", "ro"]},
            ],
            "linux": {
                "namespaces": namespaces,
                "resources": {"devices": [{"allow": true, "access": "rwm"}]},
                "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
            },
        });
        fs::write(self.dir.join("config.json"), spec.to_string()).context("the container's configuration")
    }

    /// What runc calls the boot that is running.
    fn name(&self) -> String {
        format!("host-{}", self.boots)
    }

    fn runc(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.dir.join("runc")).current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.boots += 1;
        let mut command = self.runc();
        command.args(["run", "--bundle"]).arg(&self.dir).arg(self.name());
        let mut process = Process::start(&self.name(), command, &self.dir)?;
        let up = wait_for_blocking("systemd to have started everything", BOOT_LIMIT, || {
            anyhow::ensure!(process.is_running(), "runc ended: {}", process.output());
            let output = self.output(&["systemctl", "is-system-running"])?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            // Some of the distribution's own units may have failed in a container; Nimbus's are asked for by name.
            let up = said == "running" || said == "degraded";
            Ok(Seen::when(up.then_some(()), format!("{said} {}", String::from_utf8_lossy(&output.stderr))))
        });
        self.running = Some(process);
        up
    }

    /// `systemctl reboot`, until everything that starts at boot is started.
    ///
    /// # Errors
    /// When it does not go down, or not come up.
    pub fn reboot(&mut self) -> anyhow::Result<()> {
        // What it is asked with ends with it.
        self.output(&["systemctl", "reboot"])?;
        let mut process = self.running.take().context("a host that runs")?;
        process.wait(BOOT_LIMIT).context("the host did not go down")?;
        self.start()
    }

    /// Runs a command on the host as root.
    ///
    /// # Errors
    /// When runc cannot be run; not when the command fails.
    pub fn output(&self, words: &[&str]) -> anyhow::Result<Output> {
        let mut command = self.runc();
        command.arg("exec").arg(self.name()).args(words);
        command.output().context("cannot run runc")
    }

    /// Runs a command on the host as root, which has to succeed; what it printed, without the white space around it.
    ///
    /// # Errors
    /// When it fails, with its words.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.output(words)?;
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(output.status.success(), "on the host, `{}` failed: {out}{error}", words.join(" "));
        Ok(out.trim().to_owned())
    }

    /// The same for a line of the shell.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub fn shell(&self, line: &str) -> anyhow::Result<String> {
        self.run(&["sh", "-c", line])
    }

    /// Writes a file of the host, as its administrator does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, mode: u32, text: &str) -> anyhow::Result<()> {
        let place = self.dir.join("root").join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a file lies in a directory")?)?;
        fs::write(&place, text).with_context(|| path.to_owned())?;
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).with_context(|| path.to_owned())
    }

    /// Adds lines to a file of the host.
    ///
    /// # Errors
    /// When it is not there.
    pub fn append(&self, path: &str, lines: &str) -> anyhow::Result<()> {
        let place = self.dir.join("root").join(path.trim_start_matches('/'));
        let text = fs::read_to_string(&place).with_context(|| path.to_owned())?;
        fs::write(&place, text + lines).with_context(|| path.to_owned())
    }

    /// A directory for what belongs to no host.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
