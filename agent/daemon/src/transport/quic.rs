//! Connects to the control plane over QUIC with TLS 1.3.
//!
//! Windows are small: an agent at rest holds little memory, and
//! one frame is at most 1 MiB.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout, TransportConfig, VarInt};

use super::DialError;
use super::tls::{self, Purpose, Tls};
use super::verify::SERVER_NAME;

/// A connection on which nothing was received for this long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Between two packets that keep a quiet connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Longest time for one address to answer a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What to do when nobody answers as a control plane.
const REACH: &str = "check --server, that the control plane runs, and that UDP is open to that port";

/// A connection that stands, with the endpoint whose one UDP socket it uses.
pub type Connected = (Endpoint, Connection);

fn config(tls: &Tls) -> Result<ClientConfig, DialError> {
    let crypto = QuicClientConfig::try_from(tls.over_quic())
        .map_err(|error| DialError::Configuration(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(256 << 10))
        .receive_window(VarInt::from_u32(512 << 10))
        .send_window(1 << 20)
        .datagram_receive_buffer_size(None);
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Resolves `server` and connects to the first address that answers.
///
/// The endpoint's one UDP socket is made for the family of the address and ends with the connection.
pub async fn connect(server: &str, tls: &Tls) -> Result<Connected, DialError> {
    let config = config(tls)?;
    let resolve = |found: String| DialError::Resolve { server: server.to_owned(), found };
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host(server).await.map_err(|error| resolve(error.to_string()))?.take(8).collect();
    let mut last = resolve("no address".to_owned());
    for address in addresses {
        match connect_to(server, address, config.clone(), tls.purpose()).await {
            Ok(connected) => return Ok(connected),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect_to(
    server: &str,
    address: SocketAddr,
    config: ClientConfig,
    purpose: Purpose,
) -> Result<Connected, DialError> {
    let failed =
        |found: String, remedy| DialError::Connect { server: server.to_owned(), address, found, remedy };
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(local).map_err(|error| failed(error.to_string(), REACH))?;
    let connecting = endpoint
        .connect_with(config, address, SERVER_NAME)
        .map_err(|error| failed(error.to_string(), REACH))?;
    match tokio::time::timeout(HANDSHAKE, connecting).await {
        Ok(Ok(connection)) => Ok((endpoint, connection)),
        Ok(Err(error)) => Err(failed(error.to_string(), remedy(&error, purpose).unwrap_or(REACH))),
        Err(_) => Err(failed(format!("no answer within {} s", HANDSHAKE.as_secs()), REACH)),
    }
}

/// The number of the TLS alert with which the peer ended the connection, if it did so.
pub fn alert(error: &quinn::ConnectionError) -> Option<u64> {
    match error {
        // QUIC carries a TLS alert as 0x100 + its number.
        quinn::ConnectionError::ConnectionClosed(close) => u64::from(close.error_code).checked_sub(0x100),
        _ => None,
    }
}

/// What to do about a failed handshake, where more is known than that nobody answered.
pub fn remedy(error: &quinn::ConnectionError, purpose: Purpose) -> Option<&'static str> {
    use quinn::ConnectionError::{ConnectionClosed, TransportError};
    let code = match error {
        TransportError(error) => u64::from(error.code),
        ConnectionClosed(close) => u64::from(close.error_code),
        _ => return None,
    };
    // QUIC carries a TLS alert as 0x100 + its number.
    tls::remedy(code.checked_sub(0x100)?, purpose)
}
