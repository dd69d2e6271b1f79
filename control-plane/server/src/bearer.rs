//! Bearer tokens: the operator's, which is generated once, and the one that reads the figures alone, which is given. Each is
//! kept in one file and compared by hash in constant time.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use nimbus_platform::write_atomic;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::files::{FileError, read_secret};

/// How an operator's token begins, so that a leaked one is recognised.
pub const PREFIX: &str = "nbo_";

/// What the process keeps of a token: its SHA-256.
#[derive(Clone)]
pub struct BearerToken {
    sha256: [u8; 32],
}

impl BearerToken {
    /// Reads the operator's token file, or makes a token of 32 random bytes and writes it with mode 0600.
    pub fn operator(path: &Path) -> Result<Self, FileError> {
        let text = if let Some(text) = read_secret(path)? {
            text
        } else {
            let secret = Zeroizing::new(rand::random::<[u8; 32]>());
            let text = Zeroizing::new(format!("{PREFIX}{}\n", BASE64.encode(secret.as_slice())));
            write_atomic(path, text.as_bytes(), 0o600).map_err(|error| FileError::io(path, error))?;
            text
        };
        Self::of(&text).ok_or_else(|| FileError::Content {
            path: path.to_owned(),
            what: "expected a token of at least 32 characters, found a shorter one; delete the file and start again \
                   to get a new one",
        })
    }

    /// Reads a token that a person made.
    pub fn given(path: &Path) -> Result<Self, FileError> {
        let text = read_secret(path)?.unwrap_or_default();
        Self::of(&text).ok_or_else(|| FileError::Content {
            path: path.to_owned(),
            what: "expected a file with a token of at least 32 characters, found none or a shorter one; write one into \
                   it, for example with `openssl rand -hex 32`",
        })
    }

    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= 32).then(|| Self { sha256: nimbus_protocol::sha256(text.as_bytes()) })
    }

    /// Is `presented` the token? Takes the same time for every wrong one.
    pub fn matches(&self, presented: &str) -> bool {
        nimbus_protocol::sha256(presented.as_bytes()).ct_eq(&self.sha256).into()
    }

    /// Does the value of an `Authorization` header carry the token (`Bearer TOKEN`)?
    pub fn authorises(&self, header: Option<&str>) -> bool {
        let Some((scheme, token)) = header.and_then(|value| value.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer") && self.matches(token.trim())
    }
}

impl std::fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BearerToken(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_is_accepted_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        let token = BearerToken::operator(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.trim();
        assert!(text.starts_with(PREFIX) && text.len() == PREFIX.len() + 43, "{text}");
        assert!(token.matches(text) && BearerToken::operator(&path).unwrap().matches(text));
        assert!(token.authorises(Some(&format!("Bearer {text}"))));
        for wrong in
            ["", "Bearer ", "Bearer nbo_x", text, &format!("Basic {text}"), &format!("Bearer {text}x")]
        {
            assert!(!token.authorises(Some(wrong)), "{wrong}");
        }
        assert!(!token.authorises(None));
    }

    #[test]
    fn an_emptied_file_is_no_open_door() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        write_atomic(&path, b"\n", 0o600).unwrap();
        assert!(BearerToken::operator(&path).is_err());
    }

    #[test]
    fn a_token_that_is_given_is_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics");
        let wrong = BearerToken::given(&path).unwrap_err().to_string();
        assert!(wrong.contains("metrics: expected a file with a token of at least 32 characters"), "{wrong}");
        assert!(!path.exists());
        write_atomic(&path, b"short", 0o600).unwrap();
        assert!(BearerToken::given(&path).is_err());
        let good = "0123456789abcdef".repeat(2);
        write_atomic(&path, format!("{good}\n").as_bytes(), 0o600).unwrap();
        assert!(BearerToken::given(&path).unwrap().matches(&good));
        write_atomic(&path, good.as_bytes(), 0o644).unwrap();
        assert!(BearerToken::given(&path).is_err(), "others may read it");
    }
}
