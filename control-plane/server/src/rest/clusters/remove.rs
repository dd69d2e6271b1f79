//! `POST /api/v1/clusters/{cluster}/remove`: forgets a cluster whose agents were taken away.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{RemoveRequest, RemovedCluster};
use nimbus_control_core::gateway::CloseReason;
use nimbus_control_core::model::{Cluster, JoinTokenRecord, Versioned};
use nimbus_control_core::remediation::{self, Removal};

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment, reason};
use crate::rest::lists;
use crate::rest::retry::{AMONG_AGENTS, until_alone_within};

/// Forget a cluster: its agents are refused from now on, its incidents are over
#[utoipa::path(
    post, path = "/api/v1/clusters/{cluster}/remove", operation_id = "remove_cluster", tag = "clusters",
    request_body = RemoveRequest,
    params(("cluster" = String, Path, description = "UID or name")),
    description = "Answers 409 `job_running` while a job is in flight there; and, unless `force` is set, 409 `agents_connected` \
                   while one of its agents is connected, and 409 `agents_come_back` for two minutes after the control plane \
                   began to serve. Join tokens that are for it alone are revoked, and nothing proves a pod of it any more. What was audited stays. An agent that joins from it later makes it known again, as a new \
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
    // Whatever enrols is here before it, and goes with it, or comes after it, and is refused where its token or its keys went.
    let _enrolling = if request.dry_run { None } else { Some(app.removal.write().await) };
    Ok(Json(until_alone_within(AMONG_AGENTS, || attempt(&app, &caller, &cluster, &reason, &request)).await?))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    cluster: &str,
    reason: &str,
    request: &RemoveRequest,
) -> Result<RemovedCluster, ApiError> {
    let found: Versioned<Cluster> =
        lists::by_id_or_name(app, cluster, None, "cluster", super::REMEDY).await?;
    let docs = app.docs().await?;
    let tokens = app.store().all::<JoinTokenRecord>().await?;
    let removal =
        Removal { by: caller.name(), reason, is_forced: request.force, serves_since: app.started_at };
    // Every session counts, also that of an agent that still sends what it had to keep.
    let changes = app.with_snapshot_as(&docs, &app.sessions.connected(), |s| {
        remediation::remove_cluster(s, &found, &tokens, removal, app.now())
    })?;
    if !request.dry_run {
        app.commit(&changes).await?;
        for agent in &changes.agents {
            app.sessions.close(agent.doc.id, CloseReason::Revoked);
        }
        // What its agents reported goes too; a replica that takes over knows no cluster of that UID either.
        app.view.write().clusters.remove(&found.doc.uid);
        // The last snapshot has it still, and would bring it back at a start.
        app.snapshot_is_due();
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(RemovedCluster {
        id: found.doc.uid,
        created_at: found.doc.created_at,
        name: found.doc.name,
        agents: count(changes.agents.len()),
        watch_files: count(changes.agents.iter().filter(|agent| !agent.doc.roots.is_empty()).count()),
        tokens: count(changes.tokens.len()),
        incidents: count(changes.incidents.len()),
        dry_run: request.dry_run,
    })
}
