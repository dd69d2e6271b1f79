//! `GET /api/v1/autonomous/pauses`: what is paused, and what both orders about it have in common.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use nimbus_api::{List, Pause, PauseBeneath, PauseRequest};
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

/// How long a pause may be that ends by itself: as a silence.
const SECONDS: std::ops::RangeInclusive<u64> = 60..=2_592_000;

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
    let docs = app.docs().await?;
    let cluster = match (&request.cluster, request.fleet) {
        (Some(cluster), false) => Some(match super::find(app, cluster).await {
            Ok(found) => found,
            // One that was removed meanwhile: what is paused of it can be ended.
            Err(unknown) => {
                docs.pauses.iter().find_map(|pause| of_pause(&pause.doc, cluster)).ok_or(unknown)?
            }
        }),
        (None, true) => None,
        (Some(_), true) => return Err(one_of("both")),
        (None, false) => return Err(one_of("neither")),
    };
    let doc = cluster.as_ref().map(|cluster| &cluster.doc);
    // One moment for both: how long a pause lasts tells an order that was sent again.
    let now = app.now();
    let until = until(request.for_seconds, now)?;
    let order = PauseOrder { cluster: doc, by: caller.name(), reason: &reason, until };
    let mut changes = decide(&docs.pauses, order, now);
    if let (false, Some(cluster)) = (changes.pauses.is_empty(), cluster.filter(|it| it.version > 0)) {
        // Unchanged: one that is removed at the same moment is not paused, or its removal is decided anew. One that is gone is not
        // made anew.
        changes.clusters.push(cluster);
    }
    if !request.dry_run && !changes.is_empty() {
        app.commit(&changes).await?;
        // It is stored, whatever this brings: where the commit could not be followed, agents are told with the next reading.
        drop(app.docs().await);
    }
    let removed = changes.removed.iter().map(|gone| gone.id.clone());
    let written: Vec<String> = changes.pauses.iter().map(|pause| pause.doc.id()).chain(removed).collect();
    let held = docs.pauses.iter().filter(|pause| !written.contains(&pause.doc.id())).chain(&changes.pauses);
    Ok(shown(held.map(|pause| &pause.doc)))
}

/// When a pause of so many seconds ends.
fn until(seconds: Option<u64>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    let Some(seconds) = seconds else { return Ok(None) };
    if !SECONDS.contains(&seconds) {
        let expected = format!("{} to {} seconds, or null", SECONDS.start(), SECONDS.end());
        return Err(ApiError::invalid("for_seconds", expected, seconds.to_string()));
    }
    // At most thirty days from now: representable until the year 9999.
    Ok(Some(now + SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default())))
}

/// The cluster of a pause that is called so, as far as the pause knows it.
fn of_pause(pause: &model::Pause, called: &str) -> Option<Versioned<model::Cluster>> {
    let uid = pause.cluster_uid.clone().filter(|uid| uid == called || pause.cluster == called)?;
    Some(Versioned::new(model::Cluster {
        uid,
        name: pause.cluster.clone(),
        created_at: pause.since,
        mode: model::Mode::Off,
        enabled: Vec::new(),
        identity: None,
    }))
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
        until: pause.until,
        beneath: pause.beneath.iter().map(beneath).collect(),
    }
}

fn beneath(pause: &model::Pause) -> PauseBeneath {
    PauseBeneath { by: pause.by.clone(), reason: pause.reason.clone(), until: pause.until }
}
