//! Join tokens as the API shows them: neither the secret, which nobody keeps, nor its hash.

use jiff::Timestamp;
use nimbus_api as api;
use nimbus_control_core::model::{JoinTokenRecord, TokenEnd};

use crate::documents::Docs;

/// A join token, with whether it can be used at `now`.
pub fn token(token: &JoinTokenRecord, docs: &Docs, now: Timestamp) -> api::JoinTokenItem {
    let cluster_uid = token.cluster.clone().or_else(|| token.first_cluster.clone());
    let known = docs.clusters.iter().find(|cluster| Some(&cluster.doc.uid) == cluster_uid.as_ref());
    api::JoinTokenItem {
        id: token.id.to_string(),
        created_at: token.created_at,
        created_by: token.created_by.clone(),
        name: token.name.clone(),
        kind: token.kind.to_string(),
        state: token.state(now).to_string(),
        reason: match token.ended(now) {
            None => String::new(),
            Some(TokenEnd::Revoked(at)) => format!("revoked at {at}"),
            Some(TokenEnd::Used(at)) => format!("used up at {at}"),
            Some(TokenEnd::Expired(at)) => format!("expired at {at}"),
        },
        // One that no agent has reported yet has no name.
        cluster: known.map(|cluster| cluster.doc.name.clone()).or_else(|| cluster_uid.clone()),
        cluster_uid,
        uses: token.uses,
        used: token.times_used(),
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
    }
}
