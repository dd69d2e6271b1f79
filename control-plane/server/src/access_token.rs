//! The text of an access token: `nba_`, its id, and 32 random bytes. Only the hash of these is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use nimbus_control_core::model::AccessToken;
use nimbus_protocol::ids::AccessTokenId;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// How one begins, so that a leaked one is recognised.
pub const PREFIX: &str = "nba_";
/// The length of an id: `acc_` and 32 digits.
const ID_LENGTH: usize = 36;
/// Bytes of the secret.
const SECRET: usize = 32;

/// What somebody shows: which token it says it is, and the hash of the secret beside that.
pub struct Shown {
    /// Which one.
    pub id: AccessTokenId,
    sha256: [u8; 32],
}

impl Shown {
    /// Reads one; `None` for whatever has another form.
    pub fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (id, secret) = (rest.get(..ID_LENGTH)?, rest.get(ID_LENGTH..)?.strip_prefix('_')?);
        let secret = Zeroizing::new(BASE64.decode(secret).ok()?);
        (secret.len() == SECRET).then_some(())?;
        Some(Self { id: id.parse().ok()?, sha256: nimbus_protocol::sha256(&secret) })
    }

    /// Is it this one? Takes the same time for every wrong secret.
    pub fn is(&self, token: &AccessToken) -> bool {
        let Ok(kept) = hex::decode(&token.secret_sha256) else { return false };
        self.id == token.id && bool::from(self.sha256.as_slice().ct_eq(&kept))
    }
}

/// A new secret for this token: the text that is shown once, and the hash (hex) that is kept.
pub fn make(id: AccessTokenId) -> (String, String) {
    let secret = Zeroizing::new(rand::random::<[u8; SECRET]>());
    let text = format!("{PREFIX}{id}_{}", BASE64.encode(secret.as_slice()));
    (text, hex::encode(nimbus_protocol::sha256(secret.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_secret_and_nothing_else_is_one() {
        let id = AccessTokenId::new(&mut || uuid::Uuid::from_u128(5));
        let (text, hash) = make(id);
        let at = jiff::Timestamp::UNIX_EPOCH;
        let token = AccessToken {
            id,
            name: "ann".into(),
            groups: Vec::new(),
            secret_sha256: hash,
            created_at: at,
            created_by: "operator".into(),
            expires_at: at,
            revoked_at: None,
        };
        assert!(Shown::read(&text).unwrap().is(&token));
        let (other, _) = make(id);
        assert!(!Shown::read(&other).unwrap().is(&token), "another secret");
        let spoilt = AccessToken { secret_sha256: "x".into(), ..token };
        assert!(!Shown::read(&text).unwrap().is(&spoilt));
        let cut = &text[..text.len() - 1];
        for wrong in ["", "nba_", "nba_acc_1_x", cut, &format!("{text}A"), &text.replace("nba_", "nbo_")] {
            assert!(Shown::read(wrong).is_none(), "{wrong}");
        }
    }
}
