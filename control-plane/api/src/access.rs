//! The API's access tokens: a name and groups by which a person is known, until there are accounts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words;

/// A new access token. The only answer that ever holds the secret: it is not kept and cannot be shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessToken {
    /// `acc_…`
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who it stands for.
    pub name: String,
    /// The groups that the person is in.
    pub groups: Vec<String>,
    /// From then on it is not accepted.
    pub expires_at: Timestamp,
    /// The token itself.
    #[schema(example = "nba_acc_…_SECRET")]
    pub token: String,
}

/// An access token as lists show it: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessTokenItem {
    /// `acc_…`
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Who it stands for.
    pub name: String,
    /// The groups that the person is in.
    pub groups: Vec<String>,
    /// Whether it can be used.
    #[schema(value_type = words::AccessTokenState)]
    pub state: String,
    /// From then on it is not accepted.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Who asks, as the control plane knows the token that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// The name under which everything is audited.
    pub name: String,
    /// The groups that count for approvals.
    pub groups: Vec<String>,
    /// `operator`: the control plane's own token, which also makes and revokes access tokens. `person`: an access token.
    #[schema(value_type = words::PrincipalKind)]
    pub kind: String,
    /// When the token ends; `null` for the operator's.
    pub expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessToken({}, secret withheld)", self.id)
    }
}
