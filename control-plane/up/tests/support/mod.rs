//! Runs the real `nimbus` binary with a home directory and a control plane of its own.
#![allow(dead_code, reason = "each test file uses its part of this")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "support of tests: it fails them")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for something that must come; only a test that fails waits so long.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A home directory without any configuration.
pub struct Home {
    dir: tempfile::TempDir,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Stdout as the one JSON document that it must be.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Stderr as the one problem+json document that it must be.
    pub fn problem(&self) -> Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Ends the test unless it ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// The binary with nothing of this machine's own configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nimbus"));
        command.args(args).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NIMBUS_"))
        {
            command.env_remove(name);
        }
        for name in ["KUBECONFIG", "NO_COLOR", "RUST_LOG", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command.env("HOME", self.path()).env("TZ", "UTC").current_dir(self.path());
        command
    }

    /// Runs one command to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        said(self.command(args).output().unwrap())
    }
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `nimbus up`; killed when the test ends without stopping it.
pub struct Up {
    child: Child,
    pub started: Value,
}

impl Up {
    /// Starts it on free ports and reads its summary.
    pub fn start(home: &Home, args: &[&str]) -> Self {
        Self::start_under(home, None, args)
    }

    /// As [`Self::start`], with this umask.
    pub fn start_under(home: &Home, umask: Option<&str>, args: &[&str]) -> Self {
        let config = home.path().join("up.toml");
        // A short verification, so that a test does not wait for half a minute.
        std::fs::write(&config, "[settings]\nverify_ms = 300\n").unwrap();
        let config = config.to_str().unwrap();
        let mut all =
            vec!["up", "-o", "json", "--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0", "--config", config];
        all.extend(args);
        let mut command = home.command(&all);
        if let Some(umask) = umask {
            let plain = command;
            command = Command::new("sh");
            command
                .args(["-c", "umask $0; exec \"$@\"", umask])
                .arg(plain.get_program())
                .args(plain.get_args());
            for (name, value) in plain.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command.current_dir(home.path()).stdin(Stdio::null());
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while let Some(Ok(line)) = lines.next() {
            text.push_str(&line);
            if line == "}" {
                break;
            }
        }
        let started = serde_json::from_str(&text).unwrap_or_else(|error| {
            let _ = child.kill();
            let mut err = String::new();
            let _ = child.stderr.take().unwrap().read_to_string(&mut err);
            panic!("no summary ({error}): {text}\n{err}")
        });
        Self { child, started }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal and gives how it ended, how long that took, and what it said on stderr.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, Duration, String) {
        let begin = Instant::now();
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), begin.elapsed(), err)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again until there is an answer; a test that never gets one fails with what was awaited.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Permission bits.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
