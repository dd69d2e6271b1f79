//! `GET /api/v1/incidents/{id}`: shows an incident with its plan, approval, job and history.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use nimbus_api::IncidentDetail;
use nimbus_control_core::model::{Approval, Incident, Job, Plan};

use crate::app::App;
use crate::rest::conditional::Conditional;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::view;

/// One incident with all that belongs to it
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", operation_id = "incident", tag = "incidents",
    params(("id" = String, Path, description = "`inc_…`")),
    responses((status = 200, description = "The incident", body = IncidentDetail))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    _: Params<Nothing>,
    condition: Conditional,
) -> Result<Response, ApiError> {
    let found = super::find(&app, &id).await?;
    condition.answer(&detail(&app, &found.doc).await?)
}

/// An incident with all that belongs to it.
pub async fn detail(app: &App, incident: &Incident) -> Result<IncidentDetail, ApiError> {
    let plan = match &incident.plan_id {
        Some(id) => app.store().get::<Plan>(id).await?.map(|plan| plan.doc),
        None => None,
    };
    let job = match &incident.job_id {
        Some(id) => app.store().get::<Job>(id).await?.map(|job| job.doc),
        None => None,
    };
    let approval = approval(app, incident, plan.as_ref()).await?;
    Ok(IncidentDetail {
        incident: view::incident(incident),
        evidence: incident.evidence.clone(),
        symptoms: incident.symptoms.iter().map(view::object).collect(),
        history: view::history(incident),
        plan: plan.as_ref().map(view::plan),
        approval,
        job: job.as_ref().map(view::job),
    })
}

/// The approval in force, with the plan that it is about (which may be an earlier one than the incident's).
async fn approval(
    app: &App,
    incident: &Incident,
    plan: Option<&Plan>,
) -> Result<Option<nimbus_api::Approval>, ApiError> {
    let Some(id) = &incident.approval_id else { return Ok(None) };
    let Some(approval) = app.store().get::<Approval>(id).await?.map(|approval| approval.doc) else {
        return Ok(None);
    };
    if let Some(plan) = plan.filter(|plan| plan.id == approval.plan_id) {
        return Ok(Some(view::approval(&approval, plan, incident)));
    }
    let plan = app.store().get::<Plan>(approval.plan_id).await?;
    Ok(plan.map(|plan| view::approval(&approval, &plan.doc, incident)))
}
