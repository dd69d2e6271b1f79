//! The agent's end of TLS 1.3, the same over QUIC and over TCP: only the ALPN protocol differs.
//!
//! Post-quantum hybrid key exchange is offered first.

use std::sync::Arc;

use nimbus_protocol::tcp;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder};

use super::DialError;
use super::verify::{FingerprintVerifier, against_ca, provider};

/// What the agent connects for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A session.
    Session,
    /// Enrolment.
    Enrol,
}

impl Purpose {
    /// The ALPN protocol over QUIC.
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Session => nimbus_protocol::ALPN_SESSION,
            Self::Enrol => nimbus_protocol::ALPN_ENROL,
        }
    }

    /// The first call over TCP.
    pub fn call(self) -> &'static str {
        match self {
            Self::Session => tcp::SESSION,
            Self::Enrol => tcp::ENROL,
        }
    }
}

/// Who the agent is, and whom it takes for its control plane.
#[derive(Debug, Clone)]
pub struct Tls {
    config: ClientConfig,
    purpose: Purpose,
}

impl Tls {
    /// For enrolment: the agent has no certificate yet, and the server is recognised by its CA's fingerprint.
    pub fn enrol(ca_sha256: [u8; 32]) -> Result<Self, DialError> {
        let verifier = Arc::new(FingerprintVerifier::new(ca_sha256));
        Ok(Self::new(builder(verifier)?.with_no_client_auth(), Purpose::Enrol))
    }

    /// For a session: the agent's certificate `chain` (leaf first) with its `key`, and the only `ca` that is accepted.
    pub fn session(
        ca: CertificateDer<'static>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, DialError> {
        let verifier = against_ca(ca).map_err(|error| DialError::Configuration(error.to_string()))?;
        let config = builder(verifier)?
            .with_client_auth_cert(chain, key)
            .map_err(|error| DialError::Configuration(error.to_string()))?;
        Ok(Self::new(config, Purpose::Session))
    }

    fn new(mut config: ClientConfig, purpose: Purpose) -> Self {
        // A session ticket would outlive a revocation's reach and saves nothing for a connection that lasts days.
        config.resumption = rustls::client::Resumption::disabled();
        Self { config, purpose }
    }

    /// What for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The configuration for QUIC.
    pub fn over_quic(&self) -> ClientConfig {
        self.with(self.purpose.alpn())
    }

    /// The configuration for TCP.
    pub fn over_tcp(&self) -> ClientConfig {
        self.with(tcp::ALPN)
    }

    fn with(&self, alpn: &[u8]) -> ClientConfig {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }
}

type Builder = ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn builder(verifier: Arc<dyn ServerCertVerifier>) -> Result<Builder, DialError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| DialError::Configuration(error.to_string()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

/// The number of the TLS alert that says that a certificate ended.
pub const CERTIFICATE_EXPIRED: u64 = 45;

/// What to do about a TLS alert with this number, where more is known than that nobody answered.
///
/// One CA is called as every other one, so a certificate of another control plane comes as a bad signature (51) as well as of an
/// unknown CA (48).
pub fn remedy(alert: u64, purpose: Purpose) -> Option<&'static str> {
    match (alert, purpose) {
        (42..=46 | 48 | 51, Purpose::Session) => Some(
            "one side does not accept the other's certificate: this agent joined another control plane, or its \
             certificate expired; join again with a new token, and check both clocks",
        ),
        (42..=46 | 48 | 51, Purpose::Enrol) => Some(
            "that is another control plane than the one that made the join token, or one of the clocks is wrong: check --server, or make a \
             token there with `nimbus agents token create --name NAME`",
        ),
        (116, _) => Some("the server wants a client certificate: join with a token first"),
        (120, _) => {
            Some("the server does not speak this protocol: check that --server names the agent listener")
        }
        _ => None,
    }
}
