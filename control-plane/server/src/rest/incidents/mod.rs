//! The endpoints of incidents.

pub mod ack;
pub mod ask;
pub mod investigate;
pub mod list;
pub mod show;
pub mod silence;

use nimbus_control_core::model::{Incident, IncidentState, Versioned};
use nimbus_store::Filter;

use super::error::ApiError;
use super::extract::word;
use crate::app::App;

/// The word for every incident that is not resolved.
pub const ACTIVE: &str = "active";

/// An incident by its id.
pub async fn find(app: &App, id: &str) -> Result<Versioned<Incident>, ApiError> {
    let missing = || ApiError::not_found("incident", id, "`nimbus incidents list` shows those there are");
    app.store().get(id).await?.ok_or_else(missing)
}

/// Narrows a filter to a state, or to [`ACTIVE`].
pub fn by_state(filter: &mut Filter, state: Option<&str>) -> Result<(), ApiError> {
    match state {
        None => {}
        Some(ACTIVE) => filter.not_state = Some(IncidentState::Resolved.to_string()),
        Some(text) => {
            let known: IncidentState = word("state", text)?;
            filter.states = vec![known.to_string()];
        }
    }
    Ok(())
}
