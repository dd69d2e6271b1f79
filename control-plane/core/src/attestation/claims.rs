//! What a Kubernetes service account token says, as the API server writes it since version 1.22.
//!
//! The names are those of the token's own JSON: `iss`, `sub`, `aud`, `exp`, `nbf` and `iat` of RFC 7519, in seconds
//! since the Unix epoch, and `kubernetes.io` with what the token is bound to (the node since version 1.30).

use serde::Deserialize;

/// The claims of one token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// Who made it: the issuer's URL of the API server.
    pub iss: String,
    /// Whose it is: `system:serviceaccount:NAMESPACE:NAME`.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// It ends then.
    pub exp: i64,
    /// It holds from then on.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// It was made then.
    #[serde(default)]
    pub iat: Option<i64>,
    /// What it is bound to.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: KubernetesClaims,
}

/// One or several names, as RFC 7519 has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// Is `wanted` among them?
    pub fn includes(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Several(names) => names.iter().any(|name| name == wanted),
        }
    }
}

impl std::fmt::Display for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(name) => f.write_str(name),
            Self::Several(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// What a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KubernetesClaims {
    /// The service account's namespace.
    pub namespace: String,
    /// The service account.
    #[serde(rename = "serviceaccount")]
    pub service_account: Bound,
    /// The pod.
    #[serde(default)]
    pub pod: Option<Bound>,
    /// The pod's node.
    #[serde(default)]
    pub node: Option<Bound>,
}

/// An object that a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Bound {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its UID.
    #[serde(default)]
    pub uid: String,
}
