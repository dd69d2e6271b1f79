//! `POST /api/v1/clusters/{cluster}/remove`: forgets a cluster whose agents were taken away.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{RemoveRequest, RemovedCluster};
use nimbus_control_core::model::{Cluster, Versioned};
use nimbus_control_core::remediation;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::lists;
use crate::rest::retry::until_alone;

/// Forget a cluster: its agents are refused from now on, its incidents are over
#[utoipa::path(
    post, path = "/api/v1/clusters/{cluster}/remove", operation_id = "remove_cluster", tag = "clusters",
    request_body = RemoveRequest,
    params(("cluster" = String, Path, description = "UID or name")),
    description = "Answers 409 `agents_connected` while one of its agents is connected, and 409 `job_running` while a job is in \
                   flight there. What was audited stays. An agent that joins from it later makes it known again, as a new \
                   cluster that is only observed. With `dry_run` it writes nothing.",
    responses((status = 200, description = "What went with it, or would", body = RemovedCluster))
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(cluster): Segment,
    _: Params<Nothing>,
    Body(request): Body<RemoveRequest>,
) -> Result<Json<RemovedCluster>, ApiError> {
    let reason = reason(&request.reason)?;
    Ok(Json(until_alone(|| attempt(&app, &caller, &cluster, &reason, request.dry_run)).await?))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    cluster: &str,
    reason: &str,
    dry_run: bool,
) -> Result<RemovedCluster, ApiError> {
    let found: Versioned<Cluster> =
        lists::by_id_or_name(app, cluster, None, "cluster", super::REMEDY).await?;
    let docs = app.docs().await?;
    let by = caller.name();
    let changes =
        app.with_snapshot(&docs, |s| remediation::remove_cluster(s, &found, by, reason, app.now()))?;
    if !dry_run {
        app.commit(&changes).await?;
        // What its agents reported goes too; a replica that takes over knows no cluster of that UID either.
        app.view.write().clusters.remove(&found.doc.uid);
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(RemovedCluster {
        id: found.doc.uid,
        created_at: found.doc.created_at,
        name: found.doc.name,
        agents: count(changes.agents.len()),
        incidents: count(changes.incidents.len()),
        dry_run,
    })
}
