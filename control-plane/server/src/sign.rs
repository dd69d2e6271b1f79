//! Signs jobs with the Ed25519 key that agents trust.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{SigningKey, VerifyingKey};
use nimbus_platform::write_atomic;
use nimbus_protocol::{sha256, signed, v1};
use prost::Message as _;
use zeroize::Zeroizing;

use crate::files::{FileError, read_secret};

/// An envelope in a job document that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("the stored envelope of a job cannot be read: {0}")]
pub struct EnvelopeError(String);

/// Holds the job key of this control plane.
pub struct Signer {
    key: SigningKey,
}

impl Signer {
    /// Reads the job key (hex of its 32 bytes), or makes one and writes it with mode 0600.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        if let Some(text) = read_secret(path)? {
            let mut bytes = Zeroizing::new([0; 32]);
            let what = "expected 64 hex digits; restore the file from a backup, or delete it: agents then trust the \
                        new key after their next renewal or enrolment";
            let wrong = |_| FileError::Content { path: path.to_owned(), what };
            hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(wrong)?;
            return Ok(Self { key: SigningKey::from_bytes(&bytes) });
        }
        let secret = Zeroizing::new(rand::random::<[u8; 32]>());
        write_atomic(path, Zeroizing::new(hex::encode(secret.as_slice())).as_bytes(), 0o600)
            .map_err(|error| FileError::io(path, error))?;
        Ok(Self { key: SigningKey::from_bytes(&secret) })
    }

    /// The keys whose jobs an agent is to believe, handed out at enrolment and renewal.
    pub fn trusted(&self) -> Vec<VerifyingKey> {
        vec![self.key.verifying_key()]
    }

    /// [`Self::trusted`] as they travel: 32 bytes each.
    pub fn trusted_bytes(&self) -> Vec<Vec<u8>> {
        self.trusted().iter().map(|key| key.as_bytes().to_vec()).collect()
    }

    /// A secret for `purpose` that stays the same over restarts and says nothing of the key.
    pub fn derived_secret(&self, purpose: &str) -> [u8; 32] {
        sha256(&[purpose.as_bytes(), &[0], self.key.to_bytes().as_slice()].concat())
    }

    /// The signed envelope of `job`.
    pub fn sign(&self, job: &v1::Job) -> v1::Envelope {
        signed::sign(job, &self.key).envelope().clone()
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", signed::key_id(&self.key.verifying_key()))
    }
}

/// An envelope as a job document keeps it: base64 of its protobuf bytes.
pub fn to_document(envelope: &v1::Envelope) -> String {
    BASE64.encode(envelope.encode_to_vec())
}

/// The envelope in a job document, byte for byte the one that was signed.
pub fn from_document(text: &str) -> Result<v1::Envelope, EnvelopeError> {
    let bytes = BASE64.decode(text).map_err(|error| EnvelopeError(error.to_string()))?;
    v1::Envelope::decode(bytes.as_slice()).map_err(|error| EnvelopeError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_signs_after_a_restart_and_the_document_keeps_the_envelope() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.key");
        let trusted = Signer::open(&path).unwrap().trusted();
        let job = v1::Job { job_id: "job_1".into(), ..Default::default() };
        let envelope = Signer::open(&path).unwrap().sign(&job);
        let stored = from_document(&to_document(&envelope)).unwrap();
        assert_eq!(stored, envelope);
        let verified = signed::Signed::<v1::Job>::from_envelope(stored).verify(&trusted).unwrap();
        assert_eq!(verified.get(), &job);
    }

    #[test]
    fn a_damaged_key_file_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.key");
        write_atomic(&path, b"not hex", 0o600).unwrap();
        assert!(Signer::open(&path).unwrap_err().to_string().contains("job.key"));
        assert_eq!(std::fs::read(&path).unwrap(), b"not hex");
    }
}
