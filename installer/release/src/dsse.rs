//! A DSSE envelope (Dead Simple Signing Envelope, version 1.0.2): a payload, what kind it is, and signatures over both.
//!
//! The signature covers the pre-authentication encoding: `DSSEv1 LENGTH TYPE LENGTH PAYLOAD`, so that no payload can be
//! taken for one of another type.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::MOST_BYTES;
use crate::key::id;

/// What a release's envelope holds: the bytes of its list of sums.
pub const TYPE: &str = "application/vnd.nimbus.release.sha256sums";

/// The most signatures that an envelope may carry.
pub const MOST_SIGNATURES: usize = 16;

/// The envelope as JSON has it. Members that this version does not know are passed over, as DSSE asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Signature {
    /// A hint, which decides nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
    sig: String,
}

/// Why an envelope says nothing that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Longer than any envelope may be.
    #[error("expected at most {limit} bytes, found {0}", limit = 2 * MOST_BYTES)]
    TooLong(u64),
    /// Not an envelope.
    #[error("expected a DSSE envelope as JSON: {0}")]
    Form(String),
    /// The payload is of another kind.
    #[error("expected a payload of the type {TYPE}, found {0:?}")]
    Type(String),
    /// The payload or a signature is not base64.
    #[error("expected base64 in {0}, found something else")]
    Base64(&'static str),
    /// More signatures than are looked at.
    #[error("expected 1 to {MOST_SIGNATURES} signatures, found {0}")]
    Signatures(usize),
    /// No signature is by this key.
    #[error("expected a signature by the key {expected}, found {found}")]
    Key {
        /// The key's id.
        expected: String,
        /// What the signatures say they are by.
        found: String,
    },
}

/// An envelope around a release's list of sums, signed.
pub fn sign(payload: &[u8], key: &SigningKey) -> String {
    let signature = key.sign(&covered(TYPE, payload));
    let envelope = Envelope {
        payload: STANDARD.encode(payload),
        payload_type: TYPE.to_owned(),
        signatures: vec![Signature {
            keyid: id(&key.verifying_key()),
            sig: STANDARD.encode(signature.to_bytes()),
        }],
    };
    // Strings alone: there is nothing in it that JSON cannot say.
    let mut text = serde_json::to_string_pretty(&envelope).unwrap_or_default();
    text.push('\n');
    text
}

/// The payload, if one of the signatures over it is by `key`.
pub fn open(envelope: &[u8], key: &VerifyingKey) -> Result<Vec<u8>, Wrong> {
    // In base64 and with its frame, a list of a megabyte is less than two.
    if envelope.len() as u64 > 2 * MOST_BYTES {
        return Err(Wrong::TooLong(envelope.len() as u64));
    }
    let read: Envelope = serde_json::from_slice(envelope).map_err(|error| Wrong::Form(error.to_string()))?;
    if read.payload_type != TYPE {
        return Err(Wrong::Type(read.payload_type));
    }
    if read.signatures.is_empty() || read.signatures.len() > MOST_SIGNATURES {
        return Err(Wrong::Signatures(read.signatures.len()));
    }
    let payload = bytes(&read.payload).ok_or(Wrong::Base64("the payload"))?;
    let covered = covered(&read.payload_type, &payload);
    for signature in &read.signatures {
        let sig = bytes(&signature.sig).ok_or(Wrong::Base64("a signature"))?;
        let sig = ed25519_dalek::Signature::from_slice(&sig);
        if sig.is_ok_and(|sig| key.verify_strict(&covered, &sig).is_ok()) {
            return Ok(payload);
        }
    }
    Err(Wrong::Key { expected: id(key), found: named(&read.signatures, &id(key)) })
}

/// What the signatures say of themselves, for the message.
fn named(signatures: &[Signature], wanted: &str) -> String {
    if signatures.iter().any(|signature| signature.keyid == wanted) {
        return "one that names this key and does not fit: the list or the signature was changed".to_owned();
    }
    let names: Vec<&str> = signatures
        .iter()
        .map(|signature| match signature.keyid.as_str() {
            "" => "a key without a name",
            name => name,
        })
        .collect();
    format!("one by {}", names.join(", "))
}

/// What a signature covers.
fn covered(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// Base64 of either alphabet, as DSSE asks of who reads it.
fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn what_is_covered_is_as_the_specification_has_it() {
        // The example of the DSSE protocol document.
        assert_eq!(
            covered("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_opens_with_its_key_alone() {
        let envelope = sign(b"payload", &key(1));
        assert_eq!(open(envelope.as_bytes(), &key(1).verifying_key()), Ok(b"payload".to_vec()));
        let Err(Wrong::Key { expected, found }) = open(envelope.as_bytes(), &key(2).verifying_key()) else {
            panic!("another key opened it")
        };
        assert_eq!(expected, id(&key(2).verifying_key()));
        assert!(found.contains(&id(&key(1).verifying_key())), "{found}");
    }

    #[test]
    fn a_second_signature_counts_and_its_name_does_not() {
        let mut envelope: Envelope = serde_json::from_str(&sign(b"payload", &key(1))).unwrap();
        let second: Envelope = serde_json::from_str(&sign(b"payload", &key(2))).unwrap();
        envelope.signatures.extend(second.signatures);
        envelope.signatures[1].keyid = "somebody".to_owned();
        let text = serde_json::to_vec(&envelope).unwrap();
        assert!(open(&text, &key(2).verifying_key()).is_ok());
    }

    #[test]
    fn any_flipped_bit_of_payload_type_or_signature_is_refused() {
        let text = sign(b"a list of sums\n", &key(1)).into_bytes();
        let opened = open(&text, &key(1).verifying_key()).unwrap();
        for at in 0..text.len() * 8 {
            let mut changed = text.clone();
            changed[at / 8] ^= 1 << (at % 8);
            // A changed key id or space decides nothing; what is believed is what was signed.
            if let Ok(payload) = open(&changed, &key(1).verifying_key()) {
                assert_eq!(payload, opened, "bit {at}");
            }
        }
    }

    #[test]
    fn another_type_no_signature_and_too_much_are_refused() {
        let text = sign(b"x", &key(1));
        let with = |from: &str, to: &str| {
            open(text.replace(from, to).as_bytes(), &key(1).verifying_key()).unwrap_err()
        };
        assert_eq!(with(TYPE, "text/plain"), Wrong::Type("text/plain".to_owned()));
        assert!(matches!(with("\"payload\"", "\"other\""), Wrong::Form(_)));
        let none =
            r#"{"payload":"","payloadType":"application/vnd.nimbus.release.sha256sums","signatures":[]}"#;
        assert_eq!(open(none.as_bytes(), &key(1).verifying_key()), Err(Wrong::Signatures(0)));
        let long = vec![b' '; 2 * (1 << 20) + 1];
        assert_eq!(open(&long, &key(1).verifying_key()), Err(Wrong::TooLong(long.len() as u64)));
    }
}
