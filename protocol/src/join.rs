//! Join tokens, which an operator copies from the control plane to a new agent.
//!
//! `nimbus1.<token id>.<secret>.<CA fingerprint>`: the secret (32 random bytes, base64url) is shown once and only
//! its hash is kept; the fingerprint (SHA-256 of the CA certificate's DER, hex) lets the agent recognise the
//! control plane before it has any certificate, so that the secret never reaches an impostor.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::ids::TokenId;

/// The audience that a service account token has to be made for so that it proves to a control plane which pod an agent
/// runs in.
pub const SERVICE_ACCOUNT_AUDIENCE: &str = "nimbus-control-plane";
/// Longest service account token that is read, bytes; Kubernetes writes about 1,200.
pub const MOST_SERVICE_ACCOUNT_TOKEN: usize = 16 * 1024;
/// Longest set of a cluster's public keys that is read, bytes; two RSA keys are about 900.
pub const MOST_CLUSTER_KEYS: usize = 64 * 1024;

/// A join token, with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Names the token in lists and in the audit log.
    pub id: TokenId,
    /// The secret itself.
    pub secret: [u8; 32],
    /// SHA-256 of the DER of the control plane's CA certificate.
    pub ca_sha256: [u8; 32],
}

/// The text is no join token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a join token such as nimbus1.tok_….SECRET.FINGERPRINT, found {0}; make one with `nimbus agents \
     token create`"
)]
pub struct JoinTokenError(&'static str);

impl JoinToken {
    /// What the control plane keeps of the secret.
    pub fn secret_sha256(&self) -> [u8; 32] {
        crate::sha256(&self.secret)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({}, secret withheld)", self.id)
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nimbus1.{}.{}.", self.id, BASE64.encode(self.secret))?;
        self.ca_sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for JoinToken {
    type Err = JoinTokenError;

    fn from_str(text: &str) -> Result<Self, JoinTokenError> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [version, id, secret, fingerprint] = parts.as_slice() else {
            return Err(JoinTokenError("another number of parts"));
        };
        if *version != "nimbus1" {
            return Err(JoinTokenError("another version"));
        }
        let id = id.parse().map_err(|_| JoinTokenError("no token id"))?;
        let secret = BASE64.decode(secret).ok().and_then(|s| s.try_into().ok());
        let secret = secret.ok_or(JoinTokenError("a secret that is not 32 bytes of base64url"))?;
        let ca_sha256 =
            unhex(fingerprint).ok_or(JoinTokenError("a fingerprint that is not 64 hex digits"))?;
        Ok(Self { id, secret, ca_sha256 })
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_copied_and_hides_its_secret_when_logged() {
        let id = "tok_00000000000000000000000000000001".parse().unwrap();
        let token = JoinToken { id, secret: [7; 32], ca_sha256: [0xab; 32] };
        assert_eq!(format!("  {token}\n").parse::<JoinToken>().unwrap(), token);
        assert!(!format!("{token:?}").contains(&BASE64.encode([7; 32])));
    }

    #[test]
    fn each_wrong_part_is_named() {
        let good = "nimbus1.tok_00000000000000000000000000000001.BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc."
            .to_owned() + &"ab".repeat(32);
        assert!(good.parse::<JoinToken>().is_ok());
        for (bad, word) in [
            ("", "parts"),
            (good.replace("nimbus1", "nimbus9").as_str(), "version"),
            (good.replace("tok_", "job_").as_str(), "id"),
            (good.replace("BwcH", "??").as_str(), "secret"),
            (good.replace("abab", "xx").as_str(), "fingerprint"),
        ] {
            assert!(bad.parse::<JoinToken>().unwrap_err().to_string().contains(word), "{bad}");
        }
    }
}
