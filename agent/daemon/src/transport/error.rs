//! Why there is no connection, in words for an operator.

use std::net::SocketAddr;

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
    /// The proxy does not connect this agent. Neither its user nor its password is shown.
    #[error(
        "expected the proxy {proxy} (HTTPS_PROXY or ALL_PROXY) to connect to {server}, found: {found}; {remedy}"
    )]
    Proxy {
        /// `HOST:PORT` of the proxy.
        proxy: String,
        /// `HOST:PORT` of the control plane.
        server: String,
        /// What came instead.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Behind the proxy nobody answers as a control plane.
    #[error("expected a control plane at {server} through the proxy {proxy}, found: {found}; {remedy}")]
    BehindProxy {
        /// `HOST:PORT` of the proxy.
        proxy: String,
        /// `HOST:PORT` of the control plane.
        server: String,
        /// What came instead.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Neither way leads there.
    #[error("over {first_way}: {first}; over {other_way}: {other}")]
    Neither {
        /// The way that was tried first.
        first_way: &'static str,
        /// Why not that one.
        first: Box<DialError>,
        /// The other way.
        other_way: &'static str,
        /// Why not the other.
        other: Box<DialError>,
    },
}
