//! The endpoints of agents and of the join tokens for new ones.

pub mod list;
pub mod revoke;
pub mod show;
pub mod token;
pub mod token_list;
pub mod token_revoke;

use nimbus_control_core::model::{Agent, Versioned};

use super::error::ApiError;
use super::lists;
use crate::app::App;

/// An agent by its id, or by its name among those that are not revoked.
async fn find(app: &App, text: &str) -> Result<Versioned<Agent>, ApiError> {
    lists::by_id_or_name(app, text, Some("active"), "agent", "`nimbus agents list` shows those there are")
        .await
}
