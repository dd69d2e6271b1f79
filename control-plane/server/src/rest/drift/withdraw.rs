//! `DELETE /api/v1/drift/baselines/{id}`: withdraws an accepted baseline, so that the one before it applies again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{DryRunQuery, MAX_LIMIT, Started};
use nimbus_control_core::model::{Job, JobState, Plan};
use nimbus_control_core::remediation;
use nimbus_protocol::ids::JobId;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Params, Segment};
use crate::rest::retry::until_alone;
use crate::rest::{lists, view};

use super::baselines;

/// Take back an accepted baseline; the order itself is the decision
#[utoipa::path(
    delete, path = "/api/v1/drift/baselines/{id}", operation_id = "withdraw_baseline", tag = "drift",
    params(("id" = String, Path, description = "`job_…`, as the list of baselines has it"), DryRunQuery),
    description = "The agent keeps what was a file's baseline before the last acceptance; it refuses where another baseline \
                   is in force, or where it keeps none. Answers 409 `not_accepted` for anything but an acceptance that \
                   succeeded, and 409 `not_in_force` where another baseline is known to hold. With `dry_run` it writes nothing.",
    responses((status = 200, description = "What was set in motion, or would be", body = Started))
)]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    Params(query): Params<DryRunQuery>,
) -> Result<Json<Started>, ApiError> {
    Ok(Json(until_alone(|| attempt(&app, &caller, &id, query.dry_run)).await?))
}

async fn attempt(app: &App, caller: &Principal, id: &str, dry_run: bool) -> Result<Started, ApiError> {
    let missing =
        || ApiError::not_found("accepted baseline", id, "`nimbus drift baseline list` shows those there are");
    let job = app.store().get::<Job>(id).await?.ok_or_else(missing)?.doc;
    let plan = app.store().get::<Plan>(job.plan_id).await?.ok_or_else(missing)?.doc;
    if let Some(newer) = newer_decision(app, &plan).await? {
        let detail =
            format!("a newer decision on {} holds, by job {newer}; nothing was changed", plan.object);
        return Err(ApiError::conflict("not_in_force", detail)
            .remedy("`nimbus drift baseline list` shows the decisions, newest first"));
    }
    let docs = app.docs().await?;
    let changes = app.with_snapshot(&docs, |s| {
        let (now, ids) = (app.now(), &mut app.ids());
        remediation::withdraw_baseline(s, (&plan, &job), caller.name(), now, ids)
    })?;
    if !dry_run {
        app.commit(&changes).await?;
    }
    // Asked again, nothing changes: the order is in force already.
    let of_file = docs.incidents.iter().find(|i| i.doc.scope == plan.scope && i.doc.object == plan.object);
    let incident = changes.incidents.first().or(of_file).ok_or_else(missing)?;
    let in_force = docs.plans.iter().find(|plan| Some(plan.doc.id) == incident.doc.plan_id);
    Ok(Started {
        dry_run,
        incident: view::incident(&incident.doc),
        plan: changes.plans.first().or(in_force).map(|plan| view::plan(&plan.doc)),
        approval_id: None,
    })
}

/// The job of a later decision on the same file that was carried out: one acceptance can be taken back, the last one. The
/// agent compares states, and the same state may have been accepted twice.
async fn newer_decision(app: &App, accepted: &Plan) -> Result<Option<JobId>, ApiError> {
    let mut after = None;
    loop {
        let (decisions, next) = baselines::decisions(app, lists::newest(Some(MAX_LIMIT), after)).await?;
        for (plan, job) in decisions {
            if plan.id == accepted.id || plan.created_at < accepted.created_at {
                return Ok(None);
            }
            let same = plan.scope == accepted.scope && plan.object == accepted.object;
            if same && job.state == JobState::Succeeded {
                return Ok(Some(job.id));
            }
        }
        if next.is_none() {
            return Ok(None);
        }
        after = next;
    }
}
