//! Starts a program in namespaces and cgroups of its own, and leaves nothing behind.
//!
//! The program and everything that it starts live in a process namespace: the end of its first process ends them all,
//! a runtime's own daemons included. Then the cgroups are empty and are removed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::wait::{Seen, wait_for_blocking};

/// How long the kernel may take to end what is left in a cgroup.
const EMPTY_LIMIT: Duration = Duration::from_secs(30);

/// Joins the cgroups whose `cgroup.procs` come first, then becomes the first process of new namespaces. The inner shell
/// reaps what a runtime's daemons leave.
const SCRIPT: &str = r#"
while [ "$1" != "--" ]; do echo $$ > "$1" || exit 125; shift; done
shift
exec unshare -m -C -n -p --fork --kill-child --mount-proc sh -c '"$0" "$@"; exit $?' "$@"
"#;

/// Runs `program` in there and waits for its end.
///
/// # Errors
/// When the cgroups cannot be made or removed, or the program cannot be started.
pub fn run(program: &Path, words: &[&OsStr]) -> anyhow::Result<ExitStatus> {
    let cgroups = Cgroups::make()?;
    // What it makes there may have mounts in it, which are gone with its namespaces and not before. A short name, as sockets are in it.
    let temporary = tempfile::Builder::new().prefix("n-").tempdir().context("a temporary directory")?;
    let mut command = Command::new("sh");
    command.env("TMPDIR", temporary.path());
    command.args(["-c", SCRIPT, "enter"]).args(cgroups.0.iter().map(|dir| dir.join("cgroup.procs")));
    command.arg("--").arg(program).args(words).stdin(Stdio::null());
    let status = command.status().context("cannot run sh");
    cgroups.remove()?;
    temporary.close().context("what the namespaces left cannot be removed")?;
    status
}

/// One directory for each controller.
struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    fn make() -> anyhow::Result<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup").context("/proc/self/cgroup")?;
        let mut made = Self(Vec::new());
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(names), Some(path)) = (fields.next(), fields.next()) else { continue };
            if names.is_empty() {
                // The unified hierarchy; on a machine with the controllers of v1 it has none.
                continue;
            }
            let mount = Path::new("/sys/fs/cgroup").join(names.trim_start_matches("name="));
            let parent = mount.join(path.trim_start_matches('/'));
            let dir = parent.join(format!("nimbus-node-{}", std::process::id()));
            std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            made.0.push(dir.clone());
            if names.split(',').any(|name| name == "cpuset") {
                // A new cpuset is empty, and nothing can join it.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let text = std::fs::read_to_string(parent.join(file)).context(file)?;
                    std::fs::write(dir.join(file), text).context(file)?;
                }
            }
        }
        Ok(made)
    }

    /// Removes all of them, the innermost first; what still runs in them was started by this and is killed.
    fn remove(&self) -> anyhow::Result<()> {
        wait_for_blocking("the node's cgroups to be removed", EMPTY_LIMIT, || {
            let left: Vec<String> =
                self.0.iter().filter_map(|dir| remove(dir).err()).map(|e| e.to_string()).collect();
            Ok(Seen::when(left.is_empty().then_some(()), left.join("; ")))
        })
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // Reported by `remove`; this is for the errors before it.
        for dir in &self.0 {
            let _ = remove(dir);
        }
    }
}

fn remove(dir: &Path) -> std::io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir)?.flatten() {
        if entry.path().is_dir() {
            remove(&entry.path())?;
        }
    }
    for pid in std::fs::read_to_string(dir.join("cgroup.procs"))?.lines().filter_map(|pid| pid.parse().ok()) {
        // It may have ended since the file was read.
        let _ = crate::process::send_signal(pid, libc::SIGKILL);
    }
    std::fs::remove_dir(dir)
}
