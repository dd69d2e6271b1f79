//! The TLS configuration of the listeners. Agents get TLS 1.3 only, with a post-quantum hybrid key exchange offered
//! first.

use std::path::Path;
use std::sync::Arc;

use nimbus_platform::read_regular;
use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::ca::{Authority, Leaf};
use crate::files::MAX_FILE;
use crate::not_before::BeforeItsTime;

/// Largest file with a given certificate's chain that is read, in bytes: some hold a whole bundle.
const MAX_CHAIN: u64 = 1 << 20;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A given certificate or key cannot be used.
    #[error("the given TLS certificate cannot be used: {file}: {what}")]
    Given {
        /// The file.
        file: String,
        /// What was found.
        what: String,
    },
    /// The library refused.
    #[error("TLS could not be set up: {0}")]
    Setup(String),
}

fn setup(error: impl std::fmt::Display) -> TlsError {
    TlsError::Setup(error.to_string())
}

/// The cryptography used everywhere: AWS-LC. No process-wide default is relied upon.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// For agents. A certificate is optional here, because enrolment has none yet; one that is not of our own CA, or
/// has expired, fails the handshake. The session protocol asks for one afterwards.
pub fn for_agents(authority: &Authority, leaf: Arc<Leaf>) -> Result<ServerConfig, TlsError> {
    let verifier = agents_verifier(authority)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(leaf);
    config.alpn_protocols = vec![ALPN_SESSION.to_vec(), ALPN_ENROL.to_vec()];
    // A replayed first flight must not be possible.
    config.max_early_data_size = 0;
    // Each session proves its certificate anew: a resumed one would outlive the certificate's expiry.
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The same for agents that come over TCP.
pub fn for_agents_over_tcp(quic: &ServerConfig) -> ServerConfig {
    let mut config = quic.clone();
    config.alpn_protocols = vec![nimbus_protocol::tcp::ALPN.to_vec()];
    config
}

/// Verifies agents' certificates: of our own CA, and not over.
fn agents_verifier(authority: &Authority) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).map_err(setup)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(setup)?;
    Ok(Arc::new(BeforeItsTime(verifier)))
}

/// For operators, with the own CA's certificate.
pub fn for_operators(leaf: Arc<Leaf>) -> Result<ServerConfig, TlsError> {
    operators(leaf)
}

/// For operators, with a given certificate chain and key (PEM files).
pub fn for_operators_given(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let given = |file: &Path, what: &dyn std::fmt::Display| TlsError::Given {
        file: file.display().to_string(),
        what: what.to_string(),
    };
    let read = |file: &Path, most| {
        read_regular(file, most).map_err(|error| given(file, &format_args!("{error}; name a file in PEM")))
    };
    let chain = CertificateDer::pem_slice_iter(&read(certificate, MAX_CHAIN)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| given(certificate, &error))?;
    if chain.is_empty() {
        return Err(given(certificate, &"expected a certificate in PEM, found none"));
    }
    let private = Zeroizing::new(read(key, MAX_FILE)?);
    let private = PrivateKeyDer::from_pem_slice(&private).map_err(|error| given(key, &error))?;
    let certified = rustls::sign::CertifiedKey::from_der(chain, private, &provider())
        .map_err(|error| given(key, &error))?;
    operators(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
}

fn operators(resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::UnixTime;

    use super::*;

    #[test]
    fn an_agents_certificate_of_a_clock_that_was_ahead_is_taken_and_an_expired_one_is_not() {
        const DAY: u64 = 86_400;
        let dir = tempfile::tempdir().unwrap();
        let now = nimbus_platform::now();
        let authority = Authority::open(&dir.path().join("ca.pem"), &dir.path().join("ca.key"), now).unwrap();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        let agent = "agt_00000000000000000000000000000001".parse().unwrap();
        let ahead = now + jiff::SignedDuration::from_hours(2 * 365 * 24);
        let issued = authority.issue_agent(agent, &csr, ahead, Duration::from_secs(90 * DAY)).unwrap();
        let verifier = agents_verifier(&authority).unwrap();
        let at = |days: u64| {
            let seconds = u64::try_from(now.as_second()).unwrap() + days * DAY;
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            verifier.verify_client_cert(&issued.chain[0].clone().into(), &[], time).is_ok()
        };
        assert!(at(0) && at(2 * 365 + 1), "before its time and in it");
        assert!(!at(2 * 365 + 91), "over");
    }
}
