//! Other servers that hold idle connections with mutual TLS, for a comparison in the same run: nats-server and mosquitto,
//! as Debian packages them, on loopback with a certificate authority of the run.
//!
//! The clients are as small as they can be: TLS 1.3 by tokio-rustls, and of each protocol no more than what opens a
//! connection and keeps it open. They subscribe to nothing and publish nothing.

mod authority;
mod mosquitto;
mod nats;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fleet::HEARTBEAT;
use super::usage;
use crate::process::{Process, free_port};
use crate::wait::{Seen, wait_for};
use authority::Authority;

/// Connections that are opened at the same time.
const AT_ONCE: usize = 16;
/// Longest time for one connection to be opened, and for the answer to one ping.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);
/// Rest before the memory of a server without connections is read.
const SETTLE: Duration = Duration::from_secs(3);

/// A server to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// nats-server.
    Nats,
    /// mosquitto, an MQTT broker.
    Mosquitto,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nats, Self::Mosquitto];

    /// Its program's name, and its package's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats-server",
            Self::Mosquitto => "mosquitto",
        }
    }

    /// Where its program is, also where only root looks for programs.
    pub fn program(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
        dirs.map(|dir| dir.join(self.name())).find(|program| program.is_file())
    }

    /// What keeps a connection open, and what answers it.
    const fn ping(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Nats => (nats::PING, nats::PONG),
            Self::Mosquitto => (mosquitto::PING, mosquitto::PONG),
        }
    }

    fn command(self, program: &Path, dir: &Path, port: u16) -> anyhow::Result<std::process::Command> {
        match self {
            Self::Nats => nats::command(program, dir, port),
            Self::Mosquitto => mosquitto::command(program, dir, port),
        }
    }

    async fn open(
        self,
        tcp: TcpStream,
        tls: &TlsConnector,
        n: usize,
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        match self {
            Self::Nats => nats::open(tcp, tls, n).await,
            Self::Mosquitto => mosquitto::open(tcp, tls, n).await,
        }
    }
}

/// A server with its connections; ended when dropped.
pub struct Holding {
    peer: Peer,
    // Dropped in this order: clients, server, directory.
    clients: JoinSet<()>,
    open: Arc<AtomicUsize>,
    process: Process,
    _dir: tempfile::TempDir,
    /// Bytes that were resident before the first connection.
    idle: u64,
    count: usize,
    since: (Duration, Instant),
}

/// What a server took.
pub struct Took {
    /// Its name.
    pub name: &'static str,
    /// Resident bytes for each connection, those before the first left out.
    pub bytes_each: f64,
    /// Resident bytes in all.
    pub resident: u64,
    /// Share of one core since all were open.
    pub processor_percent: f64,
    /// Connections that are still open.
    pub open: usize,
}

impl Holding {
    /// Starts the server and opens `count` connections.
    ///
    /// # Errors
    /// When it is not installed, does not start, or does not take a connection.
    pub async fn start(peer: Peer, count: usize) -> anyhow::Result<Self> {
        let program = peer.program().with_context(|| {
            format!(
                "expected {0} to compare with, found none; install it (`apt-get install {0}`)",
                peer.name()
            )
        })?;
        let dir = tempfile::Builder::new().prefix("nimbus-peer-").tempdir()?;
        let authority = Authority::new()?;
        authority.write_server_files(dir.path())?;
        let tls = TlsConnector::from(Arc::new(authority.client()?));
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let command = peer.command(&program, dir.path(), port)?;
        let mut process = Process::start(peer.name(), command, dir.path())?;
        wait_for(peer.name(), START, || {
            let state = if process.is_running() { String::new() } else { process.output() };
            async move { Ok(Seen::when(TcpStream::connect(address).await.ok().map(drop), state)) }
        })
        .await?;
        tokio::time::sleep(SETTLE).await;
        let idle = usage::resident_bytes(process.pid())?;
        let opening = futures::stream::iter(0..count).map(|n| open(peer, address, &tls, n));
        let streams: Vec<_> = opening.buffer_unordered(AT_ONCE).try_collect().await?;
        let open: Arc<AtomicUsize> = Arc::new(AtomicUsize::new(count));
        let mut clients = JoinSet::new();
        for (n, stream) in (0_u32..).zip(streams) {
            let open = Arc::clone(&open);
            // Spread over the interval, as the agents' are by their coming.
            let first = HEARTBEAT / 100 * (n % 100);
            clients.spawn(async move {
                if keep(peer, stream, first).await.is_err() {
                    open.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
        let since = (usage::processor_time(process.pid())?, Instant::now());
        Ok(Self { peer, clients, open, process, _dir: dir, idle, count, since })
    }

    /// What it took until now.
    ///
    /// # Errors
    /// When the server is gone.
    #[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
    pub fn took(&self) -> anyhow::Result<Took> {
        let pid = self.process.pid();
        let resident = usage::resident_bytes(pid).with_context(|| format!("{} is gone", self.peer.name()))?;
        let used = usage::processor_time(pid)?.saturating_sub(self.since.0);
        Ok(Took {
            name: self.peer.name(),
            bytes_each: resident.saturating_sub(self.idle) as f64 / self.count.max(1) as f64,
            resident,
            processor_percent: used.as_secs_f64() / self.since.1.elapsed().as_secs_f64() * 100.0,
            open: self.open.load(Ordering::Relaxed).min(self.clients.len()),
        })
    }
}

async fn open(
    peer: Peer,
    address: SocketAddr,
    tls: &TlsConnector,
    n: usize,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let opening = async { peer.open(TcpStream::connect(address).await?, tls, n).await };
    let opened = tokio::time::timeout(PATIENCE, opening).await;
    opened.with_context(|| format!("{} did not take connection {n} in time", peer.name()))?
}

/// Pings for good; returns only with an error.
async fn keep(peer: Peer, mut stream: TlsStream<TcpStream>, first: Duration) -> anyhow::Result<()> {
    let (ask, answer) = peer.ping();
    tokio::time::sleep(first).await;
    loop {
        stream.write_all(ask).await?;
        stream.flush().await?;
        read_until(&mut stream, answer).await?;
        tokio::time::sleep(HEARTBEAT).await;
    }
}

/// Reads until `wanted` came; what comes before it is of no interest to a client that only stays.
async fn read_until(stream: &mut TlsStream<TcpStream>, wanted: &[u8]) -> anyhow::Result<()> {
    let reading = async {
        let (mut seen, mut part) = (Vec::new(), [0; 256]);
        loop {
            let count = stream.read(&mut part).await?;
            anyhow::ensure!(count > 0, "the server closed the connection");
            seen.extend_from_slice(&part[..count]);
            if seen.windows(wanted.len()).any(|window| window == wanted) {
                return Ok(());
            }
            // An answer and what may come before it are a few bytes.
            anyhow::ensure!(seen.len() < 4_096, "expected an answer, found {} other bytes", seen.len());
        }
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(read) => read,
        Err(_) => bail!("no answer within {} s", PATIENCE.as_secs()),
    }
}
