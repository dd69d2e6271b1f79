//! The agent's private key: generated on this machine, kept with mode 0600 and never sent; only its certificate request
//! leaves the machine.

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::IdentityError;

/// An ECDSA P-256 key.
pub struct AgentKey(KeyPair);

impl std::fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AgentKey(withheld)")
    }
}

impl AgentKey {
    /// A new key.
    pub fn generate() -> Result<Self, IdentityError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(|e| IdentityError::Key(e.to_string()))
    }

    /// The key of a PKCS#8 PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        KeyPair::from_pem(pem).map(Self).map_err(|e| IdentityError::Key(e.to_string()))
    }

    /// PKCS#8 PEM: what is kept on disk.
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// For TLS.
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialize_der()))
    }

    /// A PKCS#10 request (DER) for a certificate of this key. The control plane decides the names in the certificate;
    /// `common_name` is only for people.
    pub fn certificate_request(&self, common_name: &str) -> Result<Vec<u8>, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let request = params.serialize_request(&self.0).map_err(|e| IdentityError::Key(e.to_string()))?;
        Ok(request.der().to_vec())
    }

    /// The public key's SubjectPublicKeyInfo, DER.
    pub fn public_spki(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }
}
