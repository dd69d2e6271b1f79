//! `GET /api/v1/drift/baselines`: lists the baselines that operators accepted.
//!
//! What is listed is what the documents know: the jobs with which agents did so, as long as retention keeps them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Baseline, List, PageQuery};
use nimbus_control_core::model::{ActionKind, Plan};
use nimbus_store::Filter;

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
    // A plan is found by its action; its job says what became of it.
    let states = [ActionKind::AcceptBaseline, ActionKind::WithdrawBaseline].map(|action| action.to_string());
    let filter = Filter { states: states.into(), ..lists::newest(query.limit, query.after) };
    let page = app.store().list::<Plan>(&filter).await?;
    let incidents: Vec<_> = page.items.iter().map(|plan| plan.doc.incident_id).collect();
    let jobs = app.store().jobs_of(&incidents).await?;
    let of_plan = |plan: &Plan| {
        let own = jobs.iter().map(|job| &job.doc).filter(|job| job.plan_id == plan.id);
        own.filter_map(|job| view::baseline(plan, job)).collect::<Vec<_>>()
    };
    let items = page.items.iter().flat_map(|plan| of_plan(&plan.doc)).collect();
    Ok(Json(List { items, next: page.next }))
}
