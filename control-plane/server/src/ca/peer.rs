//! Reads which agent a client certificate belongs to. TLS has verified the certificate before.

use jiff::Timestamp;
use nimbus_protocol::ids::AgentId;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The agent that a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The agent named in subject and URI.
    pub agent: AgentId,
    /// SHA-256 (hex) of its public key (SubjectPublicKeyInfo).
    pub key_sha256: String,
    /// When its certificate was issued, to the second.
    pub issued_at: Timestamp,
    /// When its certificate ends, to the second.
    pub ends_at: Timestamp,
}

/// A certificate that names no agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a certificate of an agent, found {0}")]
pub struct PeerError(String);

/// The agent that `certificate` (DER) names, in its subject and in its URI alike.
pub fn peer(certificate: &[u8]) -> Result<Peer, PeerError> {
    let parsed = parse(certificate)?;
    let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let agent: AgentId = name
        .ok_or_else(|| PeerError("a subject without a name".to_owned()))?
        .parse()
        .map_err(|error: nimbus_protocol::ids::IdError| PeerError(error.to_string()))?;
    let uri = format!("nimbus://agent/{agent}");
    let names = parsed.subject_alternative_name().ok().flatten().map(|names| &names.value.general_names);
    if !names.is_some_and(|names| names.iter().any(|name| matches!(name, GeneralName::URI(u) if *u == uri))) {
        return Err(PeerError(format!("no {uri} among its names")));
    }
    let backdated = i64::try_from(super::BACKDATED.as_secs()).unwrap_or(0);
    let at = |second| {
        Timestamp::from_second(second).map_err(|error| PeerError(format!("a time that cannot be: {error}")))
    };
    let issued_at = at(parsed.validity().not_before.timestamp().saturating_add(backdated))?;
    let ends_at = at(parsed.validity().not_after.timestamp())?;
    Ok(Peer { agent, key_sha256: hash(&parsed), issued_at, ends_at })
}

/// SHA-256 (hex) of the public key (SubjectPublicKeyInfo) in `certificate` (DER).
pub fn key_sha256(certificate: &[u8]) -> Result<String, PeerError> {
    parse(certificate).map(|parsed| hash(&parsed))
}

fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, PeerError> {
    X509Certificate::from_der(certificate).map(|(_, parsed)| parsed).map_err(|e| PeerError(e.to_string()))
}

fn hash(certificate: &X509Certificate<'_>) -> String {
    hex::encode(nimbus_protocol::sha256(certificate.tbs_certificate.subject_pki.raw))
}
