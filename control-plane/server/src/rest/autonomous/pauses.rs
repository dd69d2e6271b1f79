//! `GET /api/v1/autonomous/pauses`: what is paused, and what both orders about it have in common.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use nimbus_api::{List, Pause, PauseRequest};
use nimbus_control_core::model::{self, ChangeSet, Document, Versioned};
use nimbus_control_core::remediation::PauseOrder;

use crate::app::App;
use crate::rest::caller::Principal;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, reason};

/// What is paused, the oldest first
#[utoipa::path(
    get, path = "/api/v1/autonomous/pauses", operation_id = "list_pauses", tag = "autonomous",
    description = "One at most for the fleet and one for each cluster, all in one page.",
    responses((status = 200, description = "Every pause that holds", body = List<Pause>))
)]
pub async fn list(State(app): State<Arc<App>>, _: Params<Nothing>) -> Result<Json<List<Pause>>, ApiError> {
    let docs = app.docs().await?;
    Ok(Json(shown(docs.pauses.iter().map(|pause| &pause.doc))))
}

/// A decision about the pauses that there are.
type Decide = fn(&[Versioned<model::Pause>], PauseOrder<'_>, Timestamp) -> ChangeSet;

/// Decides, and commits unless it is a dry run. Answers the pauses that hold then.
pub(super) async fn attempt(
    app: &App,
    caller: &Principal,
    request: &PauseRequest,
    decide: Decide,
) -> Result<List<Pause>, ApiError> {
    let reason = reason(&request.reason)?;
    let cluster = match (&request.cluster, request.fleet) {
        (Some(cluster), false) => Some(super::find(app, cluster).await?),
        (None, true) => None,
        (Some(_), true) => return Err(one_of("both")),
        (None, false) => return Err(one_of("neither")),
    };
    let docs = app.docs().await?;
    let cluster = cluster.as_ref().map(|cluster| &cluster.doc);
    let changes = decide(&docs.pauses, PauseOrder { cluster, by: caller.name(), reason: &reason }, app.now());
    if !request.dry_run && !changes.is_empty() {
        app.commit(&changes).await?;
    }
    let ended =
        |pause: &&Versioned<model::Pause>| changes.removed.iter().any(|gone| gone.id == pause.doc.id());
    let held = docs.pauses.iter().filter(|pause| !ended(pause)).chain(&changes.pauses);
    Ok(shown(held.map(|pause| &pause.doc)))
}

fn one_of(found: &str) -> ApiError {
    ApiError::invalid("cluster", "either `cluster` or `fleet: true`", found)
}

fn shown<'a>(pauses: impl Iterator<Item = &'a model::Pause>) -> List<Pause> {
    List { items: pauses.map(pause).collect(), next: None }
}

/// A pause as the API shows it.
pub(in crate::rest) fn pause(pause: &model::Pause) -> Pause {
    Pause {
        id: pause.id(),
        created_at: pause.since,
        cluster: pause.cluster_uid.as_ref().map(|_| pause.cluster.clone()),
        by: pause.by.clone(),
        reason: pause.reason.clone(),
    }
}
