//! `GET /api/v1/incidents`: lists the incidents.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Incident, IncidentQuery, List};
use nimbus_control_core::model;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::{lists, view};

/// Incidents, newest first
#[utoipa::path(
    get, path = "/api/v1/incidents", operation_id = "incidents", tag = "incidents", params(IncidentQuery),
    responses((status = 200, description = "A page of incidents", body = List<Incident>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<IncidentQuery>,
) -> Result<Json<List<Incident>>, ApiError> {
    let mut filter = lists::newest(query.limit, query.after);
    super::by_state(&mut filter, query.state.as_deref())?;
    filter.cluster = lists::cluster_name(&app, query.cluster).await?;
    let page = app.store().list::<model::Incident>(&filter).await?;
    let items = page.items.iter().map(|incident| view::incident(&incident.doc)).collect();
    Ok(Json(List { items, next: page.next }))
}
