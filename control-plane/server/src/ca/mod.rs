//! The control plane's certificate authority, which issues the certificates of agents and of the control plane itself.
//!
//! One ECDSA P-256 root, valid ten years, whose key is a file with mode 0600. Of an agent's certificate request
//! only the public key is taken; subject, names, use and validity are ours. Revocation is not decided here: the
//! gateway looks every agent up.

mod leaf;
mod peer;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nimbus_control_core::model::PodOrigin;
use nimbus_platform::{read_regular_text, write_atomic};
use nimbus_protocol::ids::AgentId;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

pub use leaf::Leaf;
pub use peer::{Peer, PeerError, peer};

use crate::files::{FileError, MAX_FILE, read_secret};

/// The name that agents verify in the server's certificate, whatever address they dial.
pub const SERVER_NAME: &str = "nimbus-control-plane";
/// Longest certificate request that is looked at.
pub const MAX_CSR: usize = 8 * 1024;
/// How long an agent's certificate holds.
pub const AGENT_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// How long the certificate of a pod's agent holds: an hour, renewed after forty minutes. It proves a place that can be gone
/// tomorrow.
pub const POD_LIFETIME: Duration = Duration::from_hours(1);
/// How long the server's certificate holds.
pub const SERVER_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// How long the root holds.
const CA_LIFETIME: Duration = Duration::from_hours(3653 * 24);
/// Certificates hold from a little before they are made, for peers whose clock is behind.
const BACKDATED: Duration = Duration::from_mins(5);

/// Why the authority cannot be opened or cannot issue.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Only one of the two files is there.
    #[error(
        "expected ca.pem and ca.key together, found only {found}; restore the other one from a backup, or remove \
         both: then every agent has to join again"
    )]
    Half {
        /// The file that is there.
        found: &'static str,
    },
    /// The files do not hold what they should.
    #[error("{file} is not usable: {what}; restore it from a backup")]
    Unusable {
        /// The file.
        file: &'static str,
        /// What was found.
        what: String,
    },
    /// The request cannot be honoured.
    #[error("expected a PKCS#10 certificate request with a P-256, P-384 or Ed25519 key, found {0}")]
    Request(String),
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Issue(String),
}

/// A certificate for an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// DER, the leaf first, then the root.
    pub chain: Vec<Vec<u8>>,
    /// SHA-256 (hex) of the leaf's public key (SubjectPublicKeyInfo).
    pub key_sha256: String,
}

/// The authority: its certificate and its key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads the root from its two files, or makes one when neither is there.
    pub fn open(pem: &Path, key: &Path, now: Timestamp) -> Result<Self, CaError> {
        match (pem.exists(), read_secret(key)?) {
            (true, Some(key)) => Self::read(pem, &key),
            (false, None) => Self::create(pem, key, now),
            (true, None) => Err(CaError::Half { found: "ca.pem" }),
            (false, Some(_)) => Err(CaError::Half { found: "ca.key" }),
        }
    }

    fn read(pem: &Path, key: &str) -> Result<Self, CaError> {
        let text = read_regular_text(pem, MAX_FILE).map_err(|error| FileError::io(pem, error))?;
        let unusable =
            |file, what: &dyn std::fmt::Display| CaError::Unusable { file, what: what.to_string() };
        let certificate =
            CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| unusable("ca.pem", &error))?;
        let key = KeyPair::from_pem(key).map_err(|error| unusable("ca.key", &error))?;
        let expected = peer::key_sha256(&certificate).map_err(|error| unusable("ca.pem", &error))?;
        if expected != hex::encode(nimbus_protocol::sha256(&spki(&key))) {
            return Err(unusable("ca.key", &"the key of another certificate than ca.pem"));
        }
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|error| unusable("ca.pem", &error))?;
        Ok(Self { certificate, issuer })
    }

    fn create(pem: &Path, key_path: &Path, now: Timestamp) -> Result<Self, CaError> {
        let key = new_key()?;
        let mut params = params("Nimbus control plane CA", now, CA_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(issue)?;
        // The key first: a crash in between leaves a half that is named, never a root without its key in use.
        write_atomic(key_path, Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)
            .map_err(|error| FileError::io(key_path, error))?;
        write_atomic(pem, certificate.pem().as_bytes(), 0o644).map_err(|error| FileError::io(pem, error))?;
        let der = certificate.der().clone();
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(issue)?;
        Ok(Self { certificate: der, issuer })
    }

    /// The root's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the root's DER: what join tokens carry.
    pub fn fingerprint(&self) -> [u8; 32] {
        nimbus_protocol::sha256(&self.certificate)
    }

    /// A new key and certificate for the server, for `names` (DNS names or IP addresses) and [`SERVER_NAME`].
    pub fn issue_server(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CaError> {
        let key = new_key()?;
        let mut params = params(SERVER_NAME, now, SERVER_LIFETIME);
        for name in std::iter::once(SERVER_NAME).chain(names.iter().map(String::as_str)) {
            let san = match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.to_owned().try_into().map_err(issue)?),
            };
            if !params.subject_alt_names.contains(&san) {
                params.subject_alt_names.push(san);
            }
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer).map_err(issue)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(issue)?;
        Ok((vec![leaf.der().clone(), self.certificate.clone()], key))
    }

    /// A certificate for `agent` over the public key in `csr_der`, valid for `lifetime`.
    pub fn issue_agent(
        &self,
        agent: AgentId,
        csr_der: &[u8],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Issued, CaError> {
        self.issue(agent, &[], csr_der, now, lifetime)
    }

    /// A certificate for the `agent` of `pod` in the cluster with this UID, valid for [`POD_LIFETIME`]: it names cluster,
    /// node and pod too.
    pub fn issue_pod_agent(
        &self,
        agent: AgentId,
        cluster: &str,
        pod: &PodOrigin,
        csr_der: &[u8],
        now: Timestamp,
    ) -> Result<Issued, CaError> {
        let mut names = vec![
            format!("nimbus://cluster/{cluster}"),
            format!("nimbus://pod/{}/{}/{}", pod.namespace, pod.name, pod.uid),
        ];
        names.extend(pod.node.as_ref().map(|node| format!("nimbus://node/{node}")));
        self.issue(agent, &names, csr_der, now, POD_LIFETIME)
    }

    fn issue(
        &self,
        agent: AgentId,
        places: &[String],
        csr_der: &[u8],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Issued, CaError> {
        let csr = request(csr_der)?;
        let mut params = params(&agent.to_string(), now, lifetime);
        let uris = std::iter::once(format!("nimbus://agent/{agent}")).chain(places.iter().cloned());
        params.subject_alt_names =
            uris.map(|uri| uri.try_into().map(SanType::URI).map_err(issue)).collect::<Result<Vec<_>, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&csr.public_key, &self.issuer).map_err(issue)?;
        let key_sha256 = peer::key_sha256(leaf.der()).map_err(|error| CaError::Issue(error.to_string()))?;
        Ok(Issued { chain: vec![leaf.der().to_vec(), self.certificate.to_vec()], key_sha256 })
    }
}

/// SHA-256 (hex) of the public key in a certificate request whose sender holds the key.
pub fn requested_key(csr_der: &[u8]) -> Result<String, CaError> {
    let csr = request(csr_der)?;
    let spki = rcgen::PublicKeyData::subject_public_key_info(&csr.public_key);
    Ok(hex::encode(nimbus_protocol::sha256(&spki)))
}

/// Reads a certificate request, which also checks that its sender holds the key.
fn request(csr_der: &[u8]) -> Result<CertificateSigningRequestParams, CaError> {
    if csr_der.len() > MAX_CSR {
        return Err(CaError::Request(format!("{} bytes; at most {MAX_CSR} are read", csr_der.len())));
    }
    let csr = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr_der))
        .map_err(|error| CaError::Request(error.to_string()))?;
    let known = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    if !known.contains(&csr.public_key.algorithm()) {
        return Err(CaError::Request(format!("a key of {:?}", csr.public_key.algorithm())));
    }
    Ok(csr)
}

fn new_key() -> Result<KeyPair, CaError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(issue)
}

fn spki(key: &KeyPair) -> Vec<u8> {
    rcgen::PublicKeyData::subject_public_key_info(key)
}

fn issue(error: impl std::fmt::Display) -> CaError {
    CaError::Issue(error.to_string())
}

/// What every certificate of ours has: a random serial, one name, a validity that starts a little in the past.
fn params(common_name: &str, now: Timestamp, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    // Negative only for a clock before 1970: then the certificate holds from 1970 on.
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + lifetime;
    params.use_authority_key_identifier_extension = true;
    params
}

#[cfg(test)]
mod tests;
