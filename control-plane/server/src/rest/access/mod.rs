//! The endpoints of access tokens, by which people have names and groups until there are accounts.

pub mod create;
pub mod list;
pub mod revoke;

use nimbus_api::AccessTokenItem;
use nimbus_control_core::model::AccessToken;

use crate::app::App;

fn item(token: &AccessToken, app: &App) -> AccessTokenItem {
    AccessTokenItem {
        id: token.id.to_string(),
        created_at: token.created_at,
        created_by: token.created_by.clone(),
        name: token.name.clone(),
        groups: token.groups.clone(),
        state: token.state(app.now()).to_string(),
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
    }
}
