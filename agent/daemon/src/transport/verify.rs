//! Decides which server certificate the agent accepts as its control plane's.
//!
//! Before enrolment: only one whose chain ends in the CA whose fingerprint the join token names, and whose leaf that CA
//! signed for the name `nimbus-control-plane`. Afterwards: only one with a certificate of that CA.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The name that every control plane's certificate carries, whatever address it is reached at.
pub const SERVER_NAME: &str = "nimbus-control-plane";

/// The one provider: aws-lc-rs, which offers a post-quantum hybrid key exchange first.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Verifies a server against one CA.
pub fn against_ca(ca: CertificateDer<'static>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca)?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

/// Verifies a server against the fingerprint of its CA.
#[derive(Debug)]
pub struct FingerprintVerifier {
    ca_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl FingerprintVerifier {
    /// Accepts only the CA whose DER has this SHA-256.
    pub fn new(ca_sha256: [u8; 32]) -> Self {
        Self { ca_sha256, provider: provider() }
    }
}

impl ServerCertVerifier for FingerprintVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (ca, between) =
            chain.split_last().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        if nimbus_protocol::sha256(ca) != self.ca_sha256 {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        against_ca(ca.clone().into_owned())?.verify_server_cert(leaf, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("expected TLS 1.3, found TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
