//! `GET /api/v1/drift`: lists the drifted files.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{DEFAULT_LIMIT, Drift, DriftQuery, List};
use nimbus_control_core::model::{Incident, IncidentKind, Plan};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::incidents::{ACTIVE, by_state};
use crate::rest::lists;

/// Most pages of incidents that are looked through for one page of drifted files. At the bound the page may be
/// short, or empty, and `next` leads on.
const MAX_PAGES: usize = 20;

/// Drifted files, newest first
#[utoipa::path(
    get, path = "/api/v1/drift", operation_id = "drifts", tag = "drift", params(DriftQuery),
    description = "A page may be shorter than its limit; only `next` says whether there is more.",
    responses((status = 200, description = "A page of drifted files", body = List<Drift>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<DriftQuery>,
) -> Result<Json<List<Drift>>, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    let mut filter = lists::newest(Some(limit), query.after);
    by_state(&mut filter, Some(query.state.as_deref().unwrap_or(ACTIVE)))?;
    filter.cluster = lists::cluster_name(&app, query.cluster).await?;
    let mut incidents: Vec<Incident> = Vec::new();
    let mut next = None;
    for _ in 0..MAX_PAGES {
        // Never more than is still missing, so that a page ends where its cursor says.
        filter.limit = limit - u32::try_from(incidents.len()).unwrap_or(limit);
        let page = app.store().list::<Incident>(&filter).await?;
        let files = page.items.into_iter().map(|incident| incident.doc);
        incidents.extend(files.filter(|incident| incident.kind == IncidentKind::FileDrift));
        next = page.next;
        if next.is_none() || incidents.len() >= limit as usize {
            break;
        }
        filter.after.clone_from(&next);
    }
    let ids = incidents.iter().filter_map(|incident| incident.plan_id);
    let plans = app.store().many::<Plan>(ids).await?;
    let plans: BTreeMap<_, _> = plans.iter().map(|plan| (plan.doc.id, &plan.doc)).collect();
    let docs = app.docs().await?;
    let item = |incident: &Incident| {
        let plan = incident.plan_id.and_then(|id| plans.get(&id)).copied();
        super::shown(&app, &docs, incident, plan)
    };
    Ok(Json(List { items: incidents.iter().map(item).collect(), next }))
}
