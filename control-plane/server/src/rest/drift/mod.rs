//! The endpoints of drifted files. A drifted file is an incident of kind `file_drift`; these endpoints add its
//! baseline, its present state and the difference.

pub mod baseline;
pub mod baselines;
pub mod fix;
pub mod list;
pub mod show;
pub mod withdraw;

use nimbus_api::Drift;
use nimbus_control_core::World;
use nimbus_control_core::model::{Incident, IncidentKind, Plan, Versioned};
use nimbus_control_core::world::FileDrift;

use super::error::ApiError;
use super::view;
use crate::app::App;
use crate::documents::Docs;

/// A drifted file by its id; an incident of another kind is not one.
async fn find(app: &App, id: &str) -> Result<Versioned<Incident>, ApiError> {
    let missing = || ApiError::not_found("drifted file", id, "`nimbus drift list` shows those there are");
    let found: Option<Versioned<Incident>> = app.store().get(id).await?;
    found.filter(|incident| incident.doc.kind == IncidentKind::FileDrift).ok_or_else(missing)
}

/// A drifted file with what its agent says of it now.
fn shown(app: &App, docs: &Docs, incident: &Incident, plan: Option<&Plan>) -> Drift {
    let agent = incident.scope.host().and_then(|id| docs.agent(id)).map(|agent| agent.doc.name.as_str());
    view::drift(incident, reported_drift(&app.view.read(), incident), plan, agent)
}

/// What the agent says of the file now.
fn reported_drift<'w>(world: &'w World, incident: &Incident) -> Option<&'w FileDrift> {
    let host = incident.scope.host().filter(|_| incident.is_open()).and_then(|id| world.hosts.get(&id));
    host.and_then(|host| host.drift_of(incident.object.name()))
}
