//! Verifies the signature of a Kubernetes service account token by the public keys of its cluster.
//!
//! Only signatures by the cluster's private key count: RS256, RS384, RS512, ES256 and ES384. An API server with a P-521 key
//! signs by ES512, which is refused by its name. What the token says is judged in `nimbus_control_core::attestation`, by this process's own clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use nimbus_control_core::attestation::Claims;
use nimbus_protocol::join::{MOST_CLUSTER_KEYS, MOST_SERVICE_ACCOUNT_TOKEN};

/// Most keys of one cluster that are tried on a token; an API server publishes one, and two while they are changed.
const MOST_KEYS: usize = 32;
/// By what an API server signs.
const SIGNED_BY: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::ES256, Algorithm::ES384];

/// Why a token, or a set of keys, proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The keys are no key set of an API server.
    #[error("{0}")]
    Keys(String),
    /// The token is none of an API server.
    #[error("{0}")]
    Token(String),
    /// No key of the cluster made it.
    #[error("one that no key of this cluster signed")]
    Signature,
}

/// The keys in a JSON Web Key Set, at least one of a kind that API servers sign with.
pub fn keys(json: &str) -> Result<JwkSet, ProofError> {
    if json.len() > MOST_CLUSTER_KEYS {
        return Err(ProofError::Keys(format!(
            "{} bytes of keys; at most {MOST_CLUSTER_KEYS} are read",
            json.len()
        )));
    }
    let set: KeySet = serde_json::from_str(json)
        .map_err(|error| ProofError::Keys(format!("keys that are no JSON Web Key Set: {error}")))?;
    let found = set.keys.len();
    if found == 0 || found > MOST_KEYS {
        return Err(ProofError::Keys(format!("a set of {found} keys; 1 to {MOST_KEYS} are read")));
    }
    // One of a kind that is not known here says nothing about the others.
    let keys: Vec<Jwk> = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
    if keys.is_empty() {
        return Err(ProofError::Keys(format!(
            "a set of {found} keys, none of them RSA or of an elliptic curve"
        )));
    }
    Ok(JwkSet { keys })
}

/// A JSON Web Key Set whose keys were not looked at yet.
#[derive(serde::Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// Is it one of those by which API servers sign and which are verified here?
fn is_known(by: &str) -> bool {
    SIGNED_BY.iter().any(|known| format!("{known:?}") == by)
}

/// By what a token says that it is signed, where that can be read.
fn signed_by(token: &str) -> Option<String> {
    let head = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let head: serde_json::Value = serde_json::from_slice(&head).ok()?;
    Some(head["alg"].as_str()?.chars().filter(char::is_ascii_alphanumeric).take(16).collect())
}

/// What `token` says, if one of `keys` signed it.
pub fn verified(token: &str, keys: &JwkSet) -> Result<Claims, ProofError> {
    if token.len() > MOST_SERVICE_ACCOUNT_TOKEN {
        let found = format!("{} bytes; at most {MOST_SERVICE_ACCOUNT_TOKEN} are read", token.len());
        return Err(ProofError::Token(found));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| {
        ProofError::Token(match signed_by(token) {
            Some(by) if !is_known(&by) => {
                format!("a token signed by {by}; the API server's signing key has to be RSA, P-256 or P-384")
            }
            Some(_) | None => format!("a text that is no JSON Web Token: {error}"),
        })
    })?;
    if !SIGNED_BY.contains(&header.alg) {
        return Err(ProofError::Token(format!(
            "a token signed by {:?}, which no API server uses",
            header.alg
        )));
    }
    let mut validation = Validation::new(header.alg);
    // Audience and times are judged by the caller, whose clock can be another than the system's.
    validation.validate_aud = false;
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let named = |key: &&jsonwebtoken::jwk::Jwk| match (&header.kid, &key.common.key_id) {
        (Some(wanted), Some(id)) => wanted == id,
        // Without a name each key may be the one.
        (None, _) | (_, None) => true,
    };
    for key in keys.keys.iter().filter(named) {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => {
                if let jsonwebtoken::errors::ErrorKind::Json(why) = error.kind() {
                    let found = format!("a token without a service account's claims: {why}");
                    return Err(ProofError::Token(found));
                }
                // Another key, or none.
            }
        }
    }
    Err(ProofError::Signature)
}

#[cfg(test)]
mod tests;
