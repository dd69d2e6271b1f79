//! Connects to the control plane over QUIC with TLS 1.3.
//!
//! Post-quantum hybrid key exchange is offered first. Windows are small: an agent at rest holds little memory, and
//! one frame is at most 1 MiB.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout, TransportConfig, VarInt};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::verify::{FingerprintVerifier, SERVER_NAME, against_ca, provider};

/// A connection on which nothing was received for this long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Between two packets that keep a quiet connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Longest time for one address to answer a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What to do when nobody answers as a control plane.
const REACH: &str = "check --server, that the control plane runs, and that UDP is open to that port";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The TLS or QUIC library refuses its configuration: a damaged certificate or key.
    #[error("expected a certificate and key that TLS can use, found: {0}; join again with a new token")]
    Configuration(String),
    /// The host name does not resolve.
    #[error(
        "expected {server} to resolve to an address, found: {found}; check --server and the name service"
    )]
    Resolve {
        /// `HOST:PORT`.
        server: String,
        /// What the system said.
        found: String,
    },
    /// No address answered as it should.
    #[error("expected a control plane at {server} ({address}), found: {found}; {remedy}")]
    Connect {
        /// `HOST:PORT`.
        server: String,
        /// The last address tried.
        address: SocketAddr,
        /// What came instead.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// For enrolment: the agent has no certificate yet, and the server is recognised by its CA's fingerprint.
pub fn enrol_config(ca_sha256: [u8; 32]) -> Result<ClientConfig, DialError> {
    let verifier = Arc::new(FingerprintVerifier::new(ca_sha256));
    let tls = builder(verifier)?.with_no_client_auth();
    finish(tls, nimbus_protocol::ALPN_ENROL)
}

/// For a session: the agent's certificate `chain` (leaf first) with its `key`, and the only `ca` that is accepted.
pub fn session_config(
    ca: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, DialError> {
    let verifier = against_ca(ca).map_err(|error| DialError::Configuration(error.to_string()))?;
    let tls = builder(verifier)?
        .with_client_auth_cert(chain, key)
        .map_err(|error| DialError::Configuration(error.to_string()))?;
    finish(tls, nimbus_protocol::ALPN_SESSION)
}

type Builder = rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>;

fn builder(verifier: Arc<dyn ServerCertVerifier>) -> Result<Builder, DialError> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| DialError::Configuration(error.to_string()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

fn finish(mut tls: rustls::ClientConfig, alpn: &[u8]) -> Result<ClientConfig, DialError> {
    tls.alpn_protocols = vec![alpn.to_vec()];
    // A session ticket would outlive a revocation's reach and saves nothing for a connection that lasts days.
    tls.resumption = rustls::client::Resumption::disabled();
    let crypto =
        QuicClientConfig::try_from(tls).map_err(|error| DialError::Configuration(error.to_string()))?;
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
pub async fn connect(server: &str, config: ClientConfig) -> Result<(Endpoint, Connection), DialError> {
    let resolve = |found: String| DialError::Resolve { server: server.to_owned(), found };
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host(server).await.map_err(|error| resolve(error.to_string()))?.take(8).collect();
    let mut last = resolve("no address".to_owned());
    for address in addresses {
        match connect_to(server, address, config.clone()).await {
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
) -> Result<(Endpoint, Connection), DialError> {
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
        Ok(Err(error)) => Err(failed(error.to_string(), remedy(&error).unwrap_or(REACH))),
        Err(_) => Err(failed(format!("no answer within {} s", HANDSHAKE.as_secs()), REACH)),
    }
}

/// What to do about a failed handshake, where more is known than that nobody answered.
pub fn remedy(error: &quinn::ConnectionError) -> Option<&'static str> {
    use quinn::ConnectionError::{ConnectionClosed, TransportError};
    let code = match error {
        TransportError(error) => u64::from(error.code),
        ConnectionClosed(close) => u64::from(close.error_code),
        _ => return None,
    };
    // QUIC carries a TLS alert as 0x100 + its number.
    match code.checked_sub(0x100)? {
        42..=46 | 48 => Some(
            "one side does not accept the other's certificate: this agent joined another control plane, or its \
             certificate expired; join again with a new token, and check both clocks",
        ),
        116 => Some("the server wants a client certificate: join with a token first"),
        120 => Some("the server does not speak this protocol: check that --server names the agent listener"),
        _ => None,
    }
}
