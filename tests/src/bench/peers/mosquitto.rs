//! mosquitto, and as much of MQTT 3.1.1 as keeps a connection open: `CONNECT`, `PINGREQ`, `PINGRESP`.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{authority, read_until};

/// `PINGREQ`.
pub const PING: &[u8] = &[0xc0, 0];
/// `PINGRESP`.
pub const PONG: &[u8] = &[0xd0, 0];
/// `CONNACK`: no session, accepted.
const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];
/// After so many seconds and a half more without a packet the server drops a client: as Nimbus does after 30 s.
const KEEP_ALIVE_S: u16 = 20;

/// The broker with mutual TLS on loopback, everything in memory.
pub fn command(program: &Path, dir: &Path, port: u16) -> anyhow::Result<Command> {
    let dir = dir.display();
    // Started by root it would become another user, who may not read this directory.
    let config = format!(
        "user root\nlistener {port} 127.0.0.1\ncafile {dir}/ca.crt\ncertfile {dir}/server.crt\n\
         keyfile {dir}/server.key\nrequire_certificate true\nallow_anonymous true\npersistence false\n\
         max_connections -1\nlog_type error\nlog_dest stderr\n"
    );
    let file = format!("{dir}/mosquitto.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.args(["-c", &file]);
    Ok(command)
}

/// Connects as a client of its own name with a clean session.
pub async fn open(tcp: TcpStream, tls: &TlsConnector, n: usize) -> anyhow::Result<TlsStream<TcpStream>> {
    let mut stream = tls.connect(authority::server_name()?, tcp).await?;
    stream.write_all(&connect(&format!("bench-{n}"))?).await?;
    stream.flush().await?;
    read_until(&mut stream, ACCEPTED).await?;
    Ok(stream)
}

fn connect(client: &str) -> anyhow::Result<Vec<u8>> {
    let mut body = b"\0\x04MQTT\x04\x02".to_vec();
    body.extend(KEEP_ALIVE_S.to_be_bytes());
    body.extend(u16::try_from(client.len())?.to_be_bytes());
    body.extend(client.as_bytes());
    // A length below 128 is one byte.
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 128).context("a short client id")?;
    Ok([&[0x10, length], body.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_packet_is_as_the_standard_has_it() {
        let expected = b"\x10\x0f\0\x04MQTT\x04\x02\0\x14\0\x03abc";
        assert_eq!(connect("abc").unwrap(), expected);
        assert!(connect(&"x".repeat(200)).is_err());
    }
}
