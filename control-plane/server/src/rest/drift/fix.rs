//! `POST /api/v1/drift/{id}/fix`: restores a file by approving the plan that the operator was shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{DriftFixRequest, Started};
use nimbus_control_core::approval::Decision;
use nimbus_control_core::model::Incident;

use crate::app::App;
use crate::rest::approvals::decide::{OperatorAnswer, changes, decide};
use crate::rest::approvals::{self, ApprovalCase};
use crate::rest::caller::Caller;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::view;

/// Put a drifted file back: approve exactly the plan that was shown
#[utoipa::path(
    post, path = "/api/v1/drift/{id}/fix", operation_id = "fix_drift",
    tag = "drift", request_body = DriftFixRequest,
    params(("id" = String, Path, description = "`inc_…`")),
    description = "Answers 409 `plan_changed` when the file changed again since the plan was shown, and 409 \
                   `nothing_to_approve` when no plan waits. With `dry_run` it writes nothing.",
    responses((status = 200, description = "What was set in motion, or would be", body = Started))
)]
pub async fn fix(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<DriftFixRequest>,
) -> Result<Json<Started>, ApiError> {
    let reason = reason(&request.reason)?;
    let incident = super::find(&app, &id).await?.doc;
    let approval = incident.approval_id.ok_or_else(|| nothing_waits(&incident))?.to_string();
    let digest = Some(request.plan_digest.as_str());
    let answer = OperatorAnswer {
        by: &caller,
        decision: Decision::Approve,
        reason: &reason,
        digest,
        breaks_glass: false,
    };
    if request.dry_run {
        let case = approvals::find(&app, &approval).await?;
        changes(&app, &case, answer).await?;
        return Ok(Json(started(&case, &case.incident.doc, true)));
    }
    let case = decide(&app, &approval, answer).await?;
    Ok(Json(started(&case, &case.incident.doc, false)))
}

fn started(case: &ApprovalCase, incident: &Incident, dry_run: bool) -> Started {
    Started {
        dry_run,
        incident: view::incident(incident),
        plan: Some(view::plan(&case.plan)),
        approval_id: Some(case.approval.doc.id.to_string()),
    }
}

fn nothing_waits(incident: &Incident) -> ApiError {
    let detail = format!("no plan for {} waits for an approval: {}", incident.object, incident.reason);
    ApiError::conflict("nothing_to_approve", detail)
        .expected("a drifted file with a plan")
        .found(format!("an incident that is {}", incident.state))
        .remedy("look at it with `nimbus drift show`")
}
