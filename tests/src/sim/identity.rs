//! Enrolment of a simulated agent, and the TLS client for its identity.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use nimbus_protocol::join::JoinToken;
use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION, sha256, v1, version};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

use super::session::{read_frame, write_frame};

/// The name that every control plane's certificate carries.
pub const SERVER_NAME: &str = "nimbus-control-plane";

/// What an enrolled agent has.
pub struct Identity {
    /// Given by the control plane.
    pub agent_id: String,
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key that never left.
    pub key: PrivateKeyDer<'static>,
    /// The CA that both sides trust.
    pub ca: CertificateDer<'static>,
    /// Keys whose jobs are believed.
    pub job_keys: Vec<ed25519_dalek::VerifyingKey>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            agent_id: self.agent_id.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            ca: self.ca.clone(),
            job_keys: self.job_keys.clone(),
        }
    }
}

/// Trusts exactly the CA whose certificate has this fingerprint.
#[derive(Debug)]
struct Pinned {
    ca_sha256: [u8; 32],
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates.iter().any(|c| sha256(c) == self.ca_sha256);
        if pinned {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another CA".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn quic(mut tls: rustls::ClientConfig, alpn: &[u8]) -> anyhow::Result<quinn::ClientConfig> {
    tls.alpn_protocols = vec![alpn.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
    Ok(quinn::ClientConfig::new(Arc::new(crypto)))
}

/// The client of a session: trusts the CA of `identity`, shows its certificate; without one where `None`.
pub fn client_config(
    ca: &CertificateDer<'static>,
    shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> anyhow::Result<quinn::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.clone())?;
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let tls = match shown {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    quic(tls, ALPN_SESSION)
}

/// A client endpoint on a free loopback port.
pub fn endpoint() -> anyhow::Result<quinn::Endpoint> {
    Ok(quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?)
}

/// Enrols with `token` and this build's protocol versions.
pub async fn enrol(server: SocketAddr, token: &str) -> anyhow::Result<Identity> {
    enrol_with(server, token, version::LOWEST, version::HIGHEST).await
}

/// Enrols, offering the given protocol versions.
pub async fn enrol_with(
    server: SocketAddr,
    token: &str,
    lowest: u32,
    highest: u32,
) -> anyhow::Result<Identity> {
    let parsed: JoinToken = token.parse()?;
    let verifier = Arc::new(Pinned { ca_sha256: parsed.ca_sha256, provider: provider() });
    let tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let endpoint = endpoint()?;
    let connection = endpoint
        .connect_with(quic(tls, ALPN_ENROL)?, server, SERVER_NAME)?
        .await
        .context("enrolment connection")?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let key = rcgen::KeyPair::generate()?;
    let request = v1::EnrolRequest {
        lowest_version: lowest,
        highest_version: highest,
        token: token.to_owned(),
        csr_der: rcgen::CertificateParams::new(Vec::new())?.serialize_request(&key)?.der().to_vec(),
        hostname: "simulated".into(),
        ..Default::default()
    };
    write_frame(&mut send, &v1::AgentFrame { body: Some(v1::agent_frame::Body::Enrol(request)) }).await?;
    let answer: v1::ServerFrame = read_frame(&mut receive).await?;
    // The endpoint's own task says goodbye; waiting for it would take a few round trips for each of many agents.
    connection.close(0u32.into(), b"bye");
    match answer.body {
        Some(v1::server_frame::Body::Enrolled(enrolled)) => identity(enrolled, &key),
        Some(v1::server_frame::Body::Refusal(refusal)) => Err(super::Refused(refusal).into()),
        other => bail!("expected an enrolment answer, found {other:?}"),
    }
}

fn identity(enrolled: v1::EnrolResponse, key: &rcgen::KeyPair) -> anyhow::Result<Identity> {
    let chain: Vec<CertificateDer<'static>> =
        enrolled.certificate_chain_der.into_iter().map(CertificateDer::from).collect();
    let job_keys = enrolled
        .job_keys
        .iter()
        .map(|k| Ok(ed25519_dalek::VerifyingKey::from_bytes(k.as_slice().try_into()?)?))
        .collect::<anyhow::Result<_>>()?;
    Ok(Identity {
        agent_id: enrolled.agent_id,
        ca: chain.last().context("a chain")?.clone(),
        chain,
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        job_keys,
    })
}
