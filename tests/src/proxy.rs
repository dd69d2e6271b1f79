//! A small HTTP proxy that knows CONNECT alone and wants a password. It stands for a site's proxy: tunnels, 407 without
//! the right credentials, and nothing more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that runs until the runtime ends.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    tunnels: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Proxy {
    /// Starts one that wants `Proxy-Authorization: Basic <basic>`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(basic: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (tunnels, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (opened, turned_away) = (tunnels.clone(), refused.clone());
        let wanted = format!("basic {basic}");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (opened, turned_away, wanted) = (opened.clone(), turned_away.clone(), wanted.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, &wanted, &opened, &turned_away).await;
                });
            }
        });
        Ok(Self { address, tunnels, refused })
    }

    /// Tunnels opened so far.
    pub fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::SeqCst)
    }

    /// Requests refused with 407 so far.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

async fn serve(
    stream: TcpStream,
    wanted: &str,
    opened: &AtomicUsize,
    refused: &AtomicUsize,
) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut target, mut authorized) = (None, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("CONNECT ") {
            target = rest.split(' ').next().map(str::to_owned);
        } else if let Some((name, value)) = line.split_once(':') {
            let is_it = name.eq_ignore_ascii_case("proxy-authorization");
            let (scheme, rest) = value.trim().split_once(' ').unwrap_or_default();
            authorized |= is_it && format!("{} {rest}", scheme.to_lowercase()) == wanted;
        } else if line.is_empty() {
            break;
        }
    }
    if !authorized {
        refused.fetch_add(1, Ordering::SeqCst);
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await?;
        return Ok(());
    }
    let mut there = TcpStream::connect(target.context("a CONNECT")?).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    opened.fetch_add(1, Ordering::SeqCst);
    tokio::io::copy_bidirectional(&mut stream, &mut there).await?;
    Ok(())
}
