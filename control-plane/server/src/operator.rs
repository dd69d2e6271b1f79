//! The operator's bearer token: generated once, kept in one file, and compared by hash in constant time.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use nimbus_platform::write_atomic;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::files::{FileError, read_secret};

/// How a token of this kind begins, so that a leaked one is recognised.
pub const PREFIX: &str = "nbo_";

/// What the process keeps of the token: its SHA-256.
pub struct OperatorToken {
    sha256: [u8; 32],
}

impl OperatorToken {
    /// Reads the token file, or makes a token of 32 random bytes and writes it with mode 0600.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let text = if let Some(text) = read_secret(path)? {
            text
        } else {
            let secret = Zeroizing::new(rand::random::<[u8; 32]>());
            let text = Zeroizing::new(format!("{PREFIX}{}\n", BASE64.encode(secret.as_slice())));
            write_atomic(path, text.as_bytes(), 0o600).map_err(|error| FileError::io(path, error))?;
            text
        };
        if text.trim().len() < 32 {
            return Err(FileError::Content {
                path: path.to_owned(),
                what: "expected a token of at least 32 characters, found a shorter one; delete the file and start \
                       again to get a new one",
            });
        }
        Ok(Self { sha256: nimbus_protocol::sha256(text.trim().as_bytes()) })
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

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorToken(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_is_accepted_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        let token = OperatorToken::open(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.trim();
        assert!(text.starts_with(PREFIX) && text.len() == PREFIX.len() + 43, "{text}");
        assert!(token.matches(text) && OperatorToken::open(&path).unwrap().matches(text));
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
        assert!(OperatorToken::open(&path).is_err());
    }
}
