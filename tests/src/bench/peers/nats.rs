//! nats-server, and as much of its protocol as keeps a connection open: `CONNECT`, `PING`, `PONG`.

use std::path::Path;
use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{authority, read_until};

/// Asks whether the server is there.
pub const PING: &[u8] = b"PING\r\n";
/// It is.
pub const PONG: &[u8] = b"PONG\r\n";
/// The longest greeting: it lists the server's other addresses, of which there are none.
const MAX_INFO: usize = 8 << 10;

/// The server with mutual TLS on loopback. Its own pings are off for longer than a run: the clients ping.
pub fn command(program: &Path, dir: &Path, port: u16) -> anyhow::Result<Command> {
    let dir = dir.display();
    let config = format!(
        "listen: \"127.0.0.1:{port}\"\nping_interval: \"12h\"\nmax_connections: 1000000\n\
         tls {{ cert_file: \"{dir}/server.crt\", key_file: \"{dir}/server.key\", ca_file: \"{dir}/ca.crt\", \
         verify: true, timeout: 20 }}\n"
    );
    let file = format!("{dir}/nats.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.args(["-c", &file]);
    Ok(command)
}

/// Its greeting comes before TLS, and names what the server wants.
pub async fn open(mut tcp: TcpStream, tls: &TlsConnector, n: usize) -> anyhow::Result<TlsStream<TcpStream>> {
    let mut info = Vec::new();
    while !info.ends_with(b"\r\n") {
        anyhow::ensure!(
            info.len() < MAX_INFO,
            "expected a greeting, found {} bytes without an end",
            info.len()
        );
        // One by one: what comes after the line belongs to TLS.
        info.push(tcp.read_u8().await?);
    }
    anyhow::ensure!(info.starts_with(b"INFO "), "expected INFO, found {:?}", String::from_utf8_lossy(&info));
    let mut stream = tls.connect(authority::server_name()?, tcp).await?;
    let hello = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"name\":\"{n}\",\"lang\":\"rust\",\
         \"version\":\"0\",\"protocol\":1}}\r\nPING\r\n"
    );
    stream.write_all(hello.as_bytes()).await?;
    stream.flush().await?;
    read_until(&mut stream, PONG).await?;
    Ok(stream)
}
