//! `GET /api/v1/drift/baselines`: lists the baselines that operators accepted.
//!
//! What is listed is what the documents know: the jobs with which agents did so, as long as retention keeps them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Baseline, List, PageQuery};
use nimbus_control_core::model::{ActionKind, Job, Plan};
use nimbus_store::{Filter, StoreError};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::Params;
use crate::rest::{lists, view};

/// The baselines that somebody accepted or took back, newest first
#[utoipa::path(
    get, path = "/api/v1/drift/baselines", operation_id = "baselines", tag = "drift", params(PageQuery),
    description = "An agent has done it once the job's state is `succeeded`; of one file the newest such row counts. A page \
                   may be shorter than its limit; only `next` says whether there is more.",
    responses((status = 200, description = "A page of accepted baselines", body = List<Baseline>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Params(query): Params<PageQuery>,
) -> Result<Json<List<Baseline>>, ApiError> {
    let (decisions, next) = decisions(&app, lists::newest(query.limit, query.after)).await?;
    let items = decisions.iter().filter_map(|(plan, job)| view::baseline(plan, job)).collect();
    Ok(Json(List { items, next }))
}

/// What was decided of baselines, newest first, each with the job that carries it out, and where the next page begins.
pub(super) async fn decisions(
    app: &App,
    page: Filter,
) -> Result<(Vec<(Plan, Job)>, Option<String>), StoreError> {
    // A plan is found by its action; its job says what became of it.
    let states = [ActionKind::AcceptBaseline, ActionKind::WithdrawBaseline].map(|action| action.to_string());
    let page = app.store().list::<Plan>(&Filter { states: states.into(), ..page }).await?;
    let incidents: Vec<_> = page.items.iter().map(|plan| plan.doc.incident_id).collect();
    let jobs = app.store().jobs_of(&incidents).await?;
    let mut decisions = Vec::new();
    for plan in page.items {
        let own = jobs.iter().map(|job| &job.doc).filter(|job| job.plan_id == plan.doc.id);
        decisions.extend(own.map(|job| (plan.doc.clone(), job.clone())));
    }
    Ok((decisions, page.next))
}
