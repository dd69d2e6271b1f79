//! A real PostgreSQL server for tests, from its own binaries, in a temporary directory and on loopback only.
//!
//! Decides: where the server's binaries are, as whom it runs (it refuses root), and how it is
//! started, killed and started again. `fsync` stays on: what the product promises about durability is
//! tested against a server that keeps its promises too.

mod locate;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;

pub use locate::server_binaries;

use crate::process::{Process, free_port};
use crate::wait::{Seen, wait_for_blocking};

/// How long the server may take to answer: generous, a test machine may be busy.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A running server; stopped and its directory removed when dropped.
#[derive(Debug)]
pub struct Postgres {
    // Dropped in this order: the server first, then its directory.
    server: Process,
    dir: tempfile::TempDir,
    binaries: PathBuf,
    account: Option<Account>,
    place: Place,
    databases: AtomicU32,
}

/// Where a server listens: on loopback, and on another address if there is one.
#[derive(Debug, Clone, Copy)]
struct Place {
    address: Option<Ipv4Addr>,
    port: u16,
}

/// The account that a server started by root runs as.
#[derive(Debug, Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Creates a cluster of databases in a temporary directory and starts a server on it.
    ///
    /// # Errors
    /// When there are no server binaries, no account to run as, or the server does not answer within
    /// a minute; with the end of its log.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_on(None)
    }

    /// As [`Self::start`]; who has a password is let in by this address of the machine as well, from a private network. Not on
    /// a machine's own: for namespaces.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_for(address: Ipv4Addr) -> anyhow::Result<Self> {
        Self::start_on(Some(address))
    }

    fn start_on(address: Option<Ipv4Addr>) -> anyhow::Result<Self> {
        let binaries = server_binaries()?;
        let account = account()?;
        let dir = tempfile::Builder::new().prefix("nimbus-pg-").tempdir().context("a temporary directory")?;
        if let Some(account) = account {
            std::os::unix::fs::chown(dir.path(), Some(account.uid), Some(account.gid))
                .context("the server's account must own its directory")?;
        }
        let mut initdb = Command::new(binaries.join("initdb"));
        initdb.arg("-D").arg(dir.path().join("data"));
        // Trust is safe here: the server listens on loopback and in a directory of its own.
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        become_account(&mut initdb, account, dir.path());
        succeed("initdb", &initdb.output().context("cannot run initdb")?)?;

        if address.is_some() {
            let file = dir.path().join("data/pg_hba.conf");
            let rules = fs::read_to_string(&file)? + "host all all 10.0.0.0/8 scram-sha-256\n";
            fs::write(file, rules)?;
        }
        let place = Place { address, port: free_port()? };
        let server = launch(&binaries, account, dir.path(), place)?;
        let mut started = Self { server, dir, binaries, account, place, databases: AtomicU32::new(0) };
        started.wait_until_ready()?;
        Ok(started)
    }

    /// The URL of the maintenance database.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of a database of this server.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.place.port)
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn fresh_database(&self) -> anyhow::Result<String> {
        let name = format!("fresh_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Runs one statement with `psql` and returns its unadorned rows.
    ///
    /// # Errors
    /// When the server refuses, with its message.
    pub fn sql(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, &self.url_of(database)]);
        let output = psql.output().context("cannot run psql")?;
        succeed("psql", &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs the statements of a file, which `psql` or [`Postgres::dump`] understands.
    ///
    /// # Errors
    /// When the server refuses one of them, with its message.
    pub fn run_file(&self, url: &str, file: &Path) -> anyhow::Result<()> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file).arg(url);
        succeed("psql", &psql.output().context("cannot run psql")?)
    }

    /// Writes a database as statements that every supported version of PostgreSQL takes.
    ///
    /// # Errors
    /// When it cannot be read, with the message of `pg_dump`.
    pub fn dump(&self, url: &str, to: &Path) -> anyhow::Result<()> {
        let mut dump = Command::new(self.binaries.join("pg_dump"));
        let output =
            dump.args(["--inserts", "--no-owner", "--no-privileges", url]).output().context("pg_dump")?;
        succeed("pg_dump", &output)?;
        let text = String::from_utf8(output.stdout).context("a dump is text")?;
        // Settings of the session and psql's own commands differ from version to version.
        let portable = |line: &&str| !line.starts_with("SET ") && !line.starts_with('\\');
        let lines: Vec<&str> = text.lines().filter(portable).collect();
        std::fs::write(to, lines.join("\n") + "\n")?;
        Ok(())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.place.port
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        self.server.output()
    }

    /// Kills the server (SIGKILL) without starting it again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.server.kill9().context("cannot kill the PostgreSQL server")?;
        Ok(())
    }

    /// Kills the server (SIGKILL), starts it again on the same port and waits until it has recovered.
    ///
    /// # Errors
    /// When it does not answer within a minute; with the end of its log.
    pub fn kill9_and_restart(&mut self) -> anyhow::Result<()> {
        self.kill9()?;
        self.restart()
    }

    /// Starts a server that was killed again, on the same port, and waits until it has recovered.
    ///
    /// # Errors
    /// When it does not answer within a minute; with the end of its log.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.server = launch(&self.binaries, self.account, self.dir.path(), self.place)?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        wait_for_blocking("the PostgreSQL server to accept connections", START_LIMIT, || {
            if !self.server.is_running() {
                // After a kill, the old backends hold the shared memory until they notice.
                self.server = launch(&self.binaries, self.account, self.dir.path(), self.place)?;
            }
            let mut probe = Command::new(self.binaries.join("pg_isready"));
            probe.args(["-q", "-h", "127.0.0.1", "-p", &self.place.port.to_string()]);
            let ready = probe.status().context("cannot run pg_isready")?.success();
            let log = self.server.output();
            let last = log.lines().rev().take(5).collect::<Vec<_>>().join(" | ");
            Ok(Seen::when(ready.then_some(()), last))
        })
    }
}

/// Starts the server in the foreground.
fn launch(binaries: &Path, account: Option<Account>, dir: &Path, place: Place) -> anyhow::Result<Process> {
    let more = place.address.map(|address| format!(",{address}")).unwrap_or_default();
    let mut command = Command::new(binaries.join("postgres"));
    command.arg("-D").arg(dir.join("data"));
    for setting in [
        format!("port={}", place.port),
        format!("listen_addresses=127.0.0.1{more}"),
        format!("unix_socket_directories={}", dir.display()),
        "max_connections=200".to_owned(),
        "log_timezone=UTC".to_owned(),
        "timezone=UTC".to_owned(),
    ] {
        command.arg("-c").arg(setting);
    }
    become_account(&mut command, account, dir);
    // SIGQUIT ends the server and its backends at once, as a crash would, but leaves none behind.
    Process::start_with_death_signal("postgres", command, dir, libc::SIGQUIT)
}

fn become_account(command: &mut Command, account: Option<Account>, dir: &Path) {
    command.current_dir(dir).env("LC_ALL", "C");
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
}

/// The account to run as when this process is root: `postgres`, or else `nobody`.
fn account() -> anyhow::Result<Option<Account>> {
    if numeric_id(&["-u"])? != 0 {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Ok(uid), Ok(gid)) = (numeric_id(&["-u", name]), numeric_id(&["-g", name])) {
            return Ok(Some(Account { uid, gid }));
        }
    }
    anyhow::bail!(
        "PostgreSQL refuses to run as root and there is no account `postgres` or `nobody` to run it as"
    )
}

fn numeric_id(args: &[&str]) -> anyhow::Result<u32> {
    let output = Command::new("id").args(args).output().context("cannot run id")?;
    succeed("id", &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

fn succeed(what: &str, output: &Output) -> anyhow::Result<()> {
    anyhow::ensure!(
        output.status.success(),
        "{what} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim(),
    );
    Ok(())
}
