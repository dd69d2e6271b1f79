//! Release keys: Ed25519 in the PEM forms that OpenSSL writes (`openssl genpkey -algorithm ed25519`, `openssl pkey
//! -pubout`), so that a company can sign and verify with what it has.

use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Why a text is no such key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A private key was given where the public one belongs. Its text is not repeated.
    #[error("expected a public key, found a private one: give the file that `openssl pkey -pubout` writes")]
    Private,
    /// Something else.
    #[error("expected an Ed25519 public key as PEM (BEGIN PUBLIC KEY), found {0}")]
    NotPublic(String),
    /// Something else, where a private key was expected.
    #[error("expected an Ed25519 private key as PEM (BEGIN PRIVATE KEY), found something else")]
    NotPrivate,
}

/// A public key from PEM.
pub fn public(pem: &str) -> Result<VerifyingKey, Wrong> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(Wrong::Private);
    }
    let key = VerifyingKey::from_public_key_pem(pem.trim()).map_err(|error| {
        Wrong::NotPublic(if pem.contains("BEGIN PUBLIC KEY") {
            format!("another kind of key, or one that was cut off ({error})")
        } else {
            "something else".to_owned()
        })
    })?;
    // A weak key verifies a signature that nobody made.
    if key.is_weak() {
        return Err(Wrong::NotPublic("a weak key".to_owned()));
    }
    Ok(key)
}

/// A private key from PEM. The error never repeats its text.
pub fn private(pem: &str) -> Result<SigningKey, Wrong> {
    SigningKey::from_pkcs8_pem(pem.trim()).map_err(|_| Wrong::NotPrivate)
}

/// A key's name: `sha256:` and the SHA-256 of its 32 bytes.
pub fn id(key: &VerifyingKey) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(key.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`, for this test alone.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEID61B26FaTZYB5PaCIwpuqZCgmtY/Eq60oLXc+4U/jx8\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPRjT9EX2cxN58IPSmAJWCMm1ipV03icMXkQ8oCqLLIw=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn keys_of_openssl_are_read() {
        assert_eq!(private(PRIVATE).unwrap().verifying_key(), public(PUBLIC).unwrap());
        assert!(id(&public(PUBLIC).unwrap()).starts_with("sha256:"));
    }

    #[test]
    fn what_is_no_key_is_said_and_a_private_one_never_repeated() {
        assert_eq!(public(PRIVATE), Err(Wrong::Private));
        assert!(matches!(public("ssh-ed25519 AAAA"), Err(Wrong::NotPublic(_))));
        assert!(matches!(public(&PUBLIC.replace("MC", "MB")), Err(Wrong::NotPublic(_))));
        let Err(wrong) = private(&PRIVATE.replace("MC", "MB")) else { panic!("it was changed") };
        assert!(!wrong.to_string().contains("MB"));
    }
}
