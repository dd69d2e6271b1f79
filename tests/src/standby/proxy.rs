//! A TCP proxy before the database whose connections can be made to carry nothing while they stay open, as when a network is
//! cut between two machines.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy that runs until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Carries connections to `to`.
    pub async fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, to, is_cut.clone()));
            }
        });
        Ok(Self { address, cut, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Carries nothing from now on, or again. What was under way while it was cut is never carried: those connections end when
    /// it carries again.
    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn carry(client: TcpStream, to: SocketAddr, cut: watch::Receiver<bool>) {
    let mut open = cut.clone();
    if open.wait_for(|cut| !cut).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(to).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pump(from_client, to_server, cut.clone()) => {}
        () = pump(from_server, to_client, cut) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => Some(read),
            changed = cut.wait_for(|cut| *cut) => {
                if changed.is_err() {
                    return;
                }
                None
            }
        };
        // A connection that was cut is silent, and open: the other side of a cut network. Of no use any more, it ends with the cut,
        // or the server would run out of connections.
        let Some(read) = read else {
            let _ = cut.wait_for(|cut| !*cut).await;
            return;
        };
        let Ok(count @ 1..) = read else { return };
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
