//! Child processes that a test starts, watches and kills, and that never outlive it.
//!
//! Decides: how a process is started (its output into files, its end tied to the test's), signalled
//! and reaped, where the product's binaries are, and which port is free. What to run is the caller's.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::Context as _;

use crate::wait::{Seen, wait_for_blocking};

/// How long a killed process may take until the kernel hands over its exit status.
const REAP_LIMIT: Duration = Duration::from_secs(20);

/// A child process whose output goes into two files; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`, its output appended to `DIR/NAME.out` and `DIR/NAME.err`.
    ///
    /// The kernel kills it (SIGKILL) should the test process end in any way, a `kill -9` included.
    ///
    /// # Errors
    /// When the program or the directory does not exist or may not be used.
    pub fn start(name: &str, command: Command, dir: &Path) -> anyhow::Result<Self> {
        Self::start_with_death_signal(name, command, dir, libc::SIGKILL)
    }

    /// As [`Process::start`], with another signal for when the test process ends: one that lets a
    /// server with children of its own (PostgreSQL) take them along.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_with_death_signal(
        name: &str,
        mut command: Command,
        dir: &Path,
        death_signal: i32,
    ) -> anyhow::Result<Self> {
        let stdout = dir.join(format!("{name}.out"));
        let stderr = dir.join(format!("{name}.err"));
        command.stdin(Stdio::null()).stdout(append(&stdout)?).stderr(append(&stderr)?);
        let program = command.get_program().to_owned();
        let child = spawn(command, death_signal)
            .with_context(|| format!("cannot start {name}: {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where standard output goes.
    pub fn stdout_path(&self) -> &Path {
        &self.stdout
    }

    /// Where standard error goes.
    pub fn stderr_path(&self) -> &Path {
        &self.stderr
    }

    /// Standard output and standard error so far, one after the other.
    pub fn output(&self) -> String {
        let read = |path| std::fs::read(path).unwrap_or_default();
        let (out, err) = (read(&self.stdout), read(&self.stderr));
        format!("{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until a line of either stream contains `needle` and returns that line.
    ///
    /// # Errors
    /// When the process ends before, or after `limit`; both with the end of its output.
    pub fn wait_for_line(&mut self, needle: &str, limit: Duration) -> anyhow::Result<String> {
        let what = format!("{} to print {needle:?}", self.name);
        let mut ended = None;
        let line = wait_for_blocking(&what, limit, || {
            let status = self.child.try_wait().ok().flatten();
            let output = self.output();
            let found = output.lines().find(|line| line.contains(needle)).map(str::to_owned);
            if found.is_none()
                && let Some(status) = status
            {
                ended = Some(status);
                return Ok(Seen::Yes(String::new()));
            }
            Ok(Seen::when(found, tail(&output)))
        })?;
        match ended {
            None => Ok(line),
            Some(status) => {
                anyhow::bail!(
                    "{} ended ({status}) instead of printing {needle:?}:\n{}",
                    self.name,
                    tail(&self.output())
                )
            }
        }
    }

    /// Sends a signal (`libc::SIGTERM`, `libc::SIGSTOP`, ...).
    ///
    /// # Errors
    /// When the process is gone already.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        send_signal(self.child.id(), signal)
    }

    /// Kills it without a chance to tidy up (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses; a process that has ended before is no error.
    pub fn kill9(&mut self) -> io::Result<ExitStatus> {
        match self.child.kill() {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
            _ => self.child.wait(),
        }
    }

    /// Asks it to end (`SIGTERM` or `SIGINT`) and waits for its exit status.
    ///
    /// # Errors
    /// When it still runs after `limit`, with the end of its output.
    pub fn stop(&mut self, signal: i32, limit: Duration) -> anyhow::Result<ExitStatus> {
        if self.is_running() {
            self.signal(signal).with_context(|| format!("cannot signal {}", self.name))?;
        }
        self.wait(limit)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it still runs after `limit`, with the end of its output.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        wait_for_blocking(&what, limit, || {
            let status = self.child.try_wait()?;
            Ok(Seen::when(status, tail(&self.output())))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing better can be done about an error here: the process is a zombie or gone.
        let _ = self.child.kill();
        let _ = wait_for_blocking("a killed process to be reaped", REAP_LIMIT, || {
            Ok(Seen::when(self.child.try_wait()?, "still there"))
        });
    }
}

/// The last lines of some output, enough to see why.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn append(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A product binary (`nimbus`, `nimbus-agent`, `nimbus-control-plane`) as built beside this test.
///
/// `NIMBUS_BIN_DIR` names another directory.
///
/// # Errors
/// When it has not been built, with the command that builds it.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let dir = if let Some(dir) = std::env::var_os("NIMBUS_BIN_DIR") {
        PathBuf::from(dir)
    } else {
        let own = std::env::current_exe().context("where this test's own binary is")?;
        let deps = own.parent().context("a test binary without a directory")?;
        let unit = if deps.ends_with("deps") { deps.parent() } else { Some(deps) };
        unit.context("a target directory without a parent")?.to_owned()
    };
    let path = dir.join(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is not built: run `cargo build -p {}` first (`cargo xtask test` does)",
        path.display(),
        name,
    );
    Ok(path)
}

/// A TCP and UDP port of loopback that nothing uses now.
///
/// Taken from below the range that the kernel gives to outgoing connections, and never twice in one
/// process, so that a server which is stopped finds its port free when it starts again.
///
/// # Errors
/// When a thousand ports in a row are in use.
pub fn free_port() -> io::Result<u16> {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Different processes start at different places: tests run beside each other.
        let offset = std::process::id().wrapping_mul(2_654_435_761).wrapping_add(step) % COUNT;
        let Ok(port) = u16::try_from(FIRST + offset) else { continue };
        let tcp = TcpListener::bind(("127.0.0.1", port));
        let udp = std::net::UdpSocket::bind(("127.0.0.1", port));
        if tcp.is_ok() && udp.is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "a thousand loopback ports from 12000 to 31999 are in use"))
}

/// Sends a signal to one process.
///
/// # Errors
/// As kill(2): no such process, or not permitted.
#[allow(unsafe_code, reason = "std cannot send any signal but SIGKILL")]
pub fn send_signal(pid: u32, signal: i32) -> io::Result<()> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill(2) touches no memory of this process. Pid 0 and negative ones (groups) cannot
    // come from `Child::id`.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

type Order = (Command, i32, mpsc::Sender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this process does.
///
/// The kernel's parent-death signal comes when the *thread* that forked ends; a test's own thread
/// ends with the test, while a cluster may be shared by many tests.
fn spawn(command: Command, death_signal: i32) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, death_signal, answer) in inbox {
                die_with_parent(&mut command, death_signal);
                // A caller that is gone needs no answer; its child is killed with this process.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, result) = mpsc::channel();
    spawner.send((command, death_signal, answer)).map_err(io::Error::other)?;
    result.recv().map_err(io::Error::other)?
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "prctl between fork and exec is the only way to die with the parent")]
fn die_with_parent(command: &mut Command, death_signal: i32) {
    let parent = std::process::id();
    // SAFETY: prctl and getppid are async-signal-safe and touch no memory of the parent. Both come
    // after a change of user, which would clear the signal.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, death_signal) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died between fork and prctl.
            if u32::try_from(libc::getppid()).ok() != Some(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command, _death_signal: i32) {
    // Other systems have no such signal: `Drop` alone ends the process.
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_line_is_found_and_the_exit_status_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut process =
            Process::start("hello", shell("echo one; echo two >&2; exit 3"), dir.path()).unwrap();
        assert_eq!(process.wait_for_line("tw", Duration::from_secs(20)).unwrap(), "two");
        assert_eq!(process.wait(Duration::from_secs(20)).unwrap().code(), Some(3));
    }

    #[test]
    fn an_early_end_is_told_apart_from_silence() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start("early", shell("echo sorry; exit 1"), dir.path()).unwrap();
        let error = process.wait_for_line("never", Duration::from_secs(20)).unwrap_err().to_string();
        assert!(error.contains("ended") && error.contains("sorry"), "{error}");
    }

    #[test]
    fn a_process_outlives_the_thread_that_started_it_but_not_its_handle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let mut process =
            std::thread::spawn(move || Process::start("sleeper", shell("exec sleep 600"), &path).unwrap())
                .join()
                .unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert!(process.is_running());
        let pid = process.pid();
        drop(process);
        assert!(send_signal(pid, 0).is_err(), "process {pid} is still there");
    }

    #[test]
    fn a_stop_is_graceful() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
        let mut process = Process::start("graceful", shell(script), dir.path()).unwrap();
        process.wait_for_line("ready", Duration::from_secs(20)).unwrap();
        assert_eq!(process.stop(libc::SIGTERM, Duration::from_secs(20)).unwrap().code(), Some(7));
        assert!(process.output().contains("bye"));
    }

    #[test]
    fn ports_are_free_and_never_given_twice() {
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
        TcpListener::bind(("127.0.0.1", *ports.first().unwrap())).unwrap();
    }
}
