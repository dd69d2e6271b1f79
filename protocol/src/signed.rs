//! Signed documents: DSSE envelopes with Ed25519, strict verification.
//!
//! [`sign`] signs the exact bytes; [`verify`] is the only way to a [`Verified`] value, and nothing of the payload
//! is read before the signature holds. The key id in an envelope is a hint for people; it decides nothing.
//! DSSE: <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.

use std::marker::PhantomData;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use prost::Message;

use crate::{sha256, v1};

/// A document that can be signed: its DSSE payload type tells it from every other one.
pub trait Signable: Message + Default {
    /// The DSSE payload type.
    const PAYLOAD_TYPE: &'static str;
}

impl Signable for v1::Job {
    const PAYLOAD_TYPE: &'static str = "application/vnd.nimbus.job.v1+protobuf";
}

/// An envelope that claims to hold a `T`. Nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed<T> {
    envelope: v1::Envelope,
    of: PhantomData<T>,
}

/// A `T` whose signature held. Only [`Signed::verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<T> {
    value: T,
    key_id: String,
    envelope_sha256: [u8; 32],
}

/// Why an envelope is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The payload type is another document's.
    #[error("expected a document of type {expected}, found {found:?}")]
    WrongType {
        /// The type asked for.
        expected: &'static str,
        /// The type in the envelope, cut to 100 characters.
        found: String,
    },
    /// There is no signature, or more than [`MAX_SIGNATURES`].
    #[error("expected 1 to {MAX_SIGNATURES} signatures, found {0}")]
    SignatureCount(usize),
    /// No signature holds under a trusted key.
    #[error("no signature holds under any of the {trusted} trusted keys; the envelope names key {hint:?}")]
    BadSignature {
        /// How many keys were tried.
        trusted: usize,
        /// The key id in the envelope, cut to 32 characters.
        hint: String,
    },
    /// The signature holds, but the payload is no such document.
    #[error("the signed payload is not a {0} of this protocol version")]
    Malformed(&'static str),
}

/// Most signatures an envelope may carry.
pub const MAX_SIGNATURES: usize = 16;

/// The hint that an envelope carries for a key: hex of the first 8 bytes of its SHA-256.
pub fn key_id(key: &VerifyingKey) -> String {
    crate::to_hex(&sha256(key.as_bytes())[..8])
}

/// DSSE's pre-authentication encoding of a type and a payload: what is really signed.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// Signs `document`.
pub fn sign<T: Signable>(document: &T, key: &SigningKey) -> Signed<T> {
    let payload = document.encode_to_vec();
    let signature = key.sign(&pre_authentication_encoding(T::PAYLOAD_TYPE, &payload));
    let envelope = v1::Envelope {
        payload_type: T::PAYLOAD_TYPE.to_owned(),
        payload,
        signatures: vec![v1::Signature {
            key_id: key_id(&key.verifying_key()),
            signature: signature.to_bytes().to_vec(),
        }],
    };
    Signed { envelope, of: PhantomData }
}

impl<T: Signable> Signed<T> {
    /// An envelope from the wire or a store.
    pub fn from_envelope(envelope: v1::Envelope) -> Self {
        Self { envelope, of: PhantomData }
    }

    /// The envelope, to send or store.
    pub fn envelope(&self) -> &v1::Envelope {
        &self.envelope
    }

    /// SHA-256 of the encoded envelope: its name in reports and in the journal.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.envelope.encode_to_vec())
    }

    /// Believes the document if one signature holds strictly under one of `trusted`, and only then reads it.
    pub fn verify(&self, trusted: &[VerifyingKey]) -> Result<Verified<T>, VerifyError> {
        let envelope = &self.envelope;
        if envelope.payload_type != T::PAYLOAD_TYPE {
            let found = envelope.payload_type.chars().take(100).collect();
            return Err(VerifyError::WrongType { expected: T::PAYLOAD_TYPE, found });
        }
        if !(1..=MAX_SIGNATURES).contains(&envelope.signatures.len()) {
            return Err(VerifyError::SignatureCount(envelope.signatures.len()));
        }
        let message = pre_authentication_encoding(T::PAYLOAD_TYPE, &envelope.payload);
        let holds = |key: &&VerifyingKey| {
            envelope.signatures.iter().any(|s| {
                Signature::from_slice(&s.signature).is_ok_and(|sig| key.verify_strict(&message, &sig).is_ok())
            })
        };
        let Some(key) = trusted.iter().find(holds) else {
            let hint = envelope.signatures[0].key_id.chars().take(32).collect();
            return Err(VerifyError::BadSignature { trusted: trusted.len(), hint });
        };
        let value =
            T::decode(envelope.payload.as_slice()).map_err(|_| VerifyError::Malformed(T::PAYLOAD_TYPE))?;
        Ok(Verified { value, key_id: key_id(key), envelope_sha256: self.digest() })
    }
}

impl<T> Verified<T> {
    /// The document.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The trusted key under which it held.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// SHA-256 of the envelope it came in.
    pub fn envelope_sha256(&self) -> [u8; 32] {
        self.envelope_sha256
    }

    /// Gives up the proof and keeps the document.
    pub fn into_inner(self) -> T {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn job() -> v1::Job {
        v1::Job { job_id: "job_1".into(), agent_id: "agt_1".into(), epoch: 3, ..Default::default() }
    }

    #[test]
    fn what_was_signed_is_what_is_verified() {
        let signed = sign(&job(), &key(1));
        let verified = signed.verify(&[key(2).verifying_key(), key(1).verifying_key()]).unwrap();
        assert_eq!(verified.get(), &job());
        assert_eq!(verified.key_id(), key_id(&key(1).verifying_key()));
    }

    #[test]
    fn every_single_bit_of_the_envelope_matters() {
        let bytes = sign(&job(), &key(1)).envelope().encode_to_vec();
        let hint = key_id(&key(1).verifying_key()).into_bytes();
        let hint_at = bytes.windows(hint.len()).position(|w| w == hint).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(envelope) = v1::Envelope::decode(changed.as_slice()) else { continue };
            let believed = Signed::<v1::Job>::from_envelope(envelope).verify(&[key(1).verifying_key()]);
            // The key id (and the tag and length in front of it) is only a hint: a change there must not change the document.
            let in_hint = (hint_at - 2..hint_at + hint.len()).contains(&(bit / 8));
            if let Ok(verified) = believed {
                assert!(in_hint && verified.get() == &job(), "bit {bit} went unnoticed");
            }
        }
    }

    #[test]
    fn a_foreign_key_another_type_and_a_missing_signature_are_told_apart() {
        let signed = sign(&job(), &key(1));
        assert!(matches!(
            signed.verify(&[key(2).verifying_key()]),
            Err(VerifyError::BadSignature { trusted: 1, .. })
        ));
        let mut other = signed.envelope().clone();
        other.payload_type = "text/plain".into();
        let other = Signed::<v1::Job>::from_envelope(other);
        assert!(matches!(other.verify(&[key(1).verifying_key()]), Err(VerifyError::WrongType { .. })));
        let mut none = signed.envelope().clone();
        none.signatures.clear();
        let none = Signed::<v1::Job>::from_envelope(none);
        assert_eq!(none.verify(&[key(1).verifying_key()]), Err(VerifyError::SignatureCount(0)));
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_dsse_specification() {
        // The example of the DSSE protocol document.
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
