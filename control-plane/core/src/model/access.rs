//! The model of an access token: a name and groups by which a person is known, until there are accounts.

use jiff::Timestamp;
use nimbus_protocol::ids::AccessTokenId;
use serde::{Deserialize, Serialize};

use super::words;

words! {
    /// Whether an access token can be used.
    AccessTokenState {
        /// Now.
        Usable = "usable",
        /// Its time is over.
        Expired = "expired",
        /// Somebody took it back.
        Revoked = "revoked",
    }
}

/// An access token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Names the token.
    pub id: AccessTokenId,
    /// Who it stands for: no other usable token has this name.
    pub name: String,
    /// The groups that the person is in.
    pub groups: Vec<String>,
    /// SHA-256 (hex) of the secret.
    pub secret_sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Not accepted from this moment on.
    pub expires_at: Timestamp,
    /// A person took it back: it is not accepted any more. Who did is in the audit log.
    pub revoked_at: Option<Timestamp>,
}

impl AccessToken {
    /// Whether it can be used now.
    pub fn state(&self, now: Timestamp) -> AccessTokenState {
        match self.revoked_at {
            Some(at) if at < self.expires_at => AccessTokenState::Revoked,
            // One that made room for another of its name once its time was over was taken back by nobody.
            Some(_) => AccessTokenState::Expired,
            None if now >= self.expires_at => AccessTokenState::Expired,
            None => AccessTokenState::Usable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_at_its_time_and_when_it_is_revoked() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let token = AccessToken {
            id: AccessTokenId::new(&mut || uuid::Uuid::from_u128(1)),
            name: "ann".into(),
            groups: Vec::new(),
            secret_sha256: String::new(),
            created_at: at(0),
            created_by: "operator".into(),
            expires_at: at(10),
            revoked_at: None,
        };
        let revoked = AccessToken { revoked_at: Some(at(5)), ..token.clone() };
        assert_eq!(
            [token.state(at(9)), token.state(at(10)), revoked.state(at(9)), revoked.state(at(11))],
            [
                AccessTokenState::Usable,
                AccessTokenState::Expired,
                AccessTokenState::Revoked,
                AccessTokenState::Revoked
            ]
        );
    }
}
