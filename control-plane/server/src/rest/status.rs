//! `GET /api/v1/status`: shows an overview of the whole fleet.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{
    AgentCounts, AgentProblems, BoundReached, ClusterHealth, ControlPlaneReplica, IncidentCounts, Status,
    StorageStatus,
};
use nimbus_control_core::leadership::replicas::Part;
use nimbus_control_core::model::{
    Agent, ApprovalState, Incident, IncidentKind, IncidentState, Mode, Severity,
};
use nimbus_control_core::{calendar, quorum, remediation};

use super::error::ApiError;
use super::extract::{Nothing, Params};
use super::view::{self, Fleet, number};
use crate::app::App;

/// The whole fleet at a glance
#[utoipa::path(
    get, path = "/api/v1/status", operation_id = "status", tag = "fleet",
    responses((status = 200, description = "The fleet", body = Status))
)]
pub async fn status(State(app): State<Arc<App>>, _: Params<Nothing>) -> Result<Json<Status>, ApiError> {
    let fleet = Fleet::read(&app).await?;
    let clusters = clusters(&fleet);
    let agents = agents(&fleet);
    let checked = app.checked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let storage = StorageStatus {
        kind: if app.store().address().starts_with("sqlite") { "sqlite" } else { "postgresql" }.to_owned(),
        log_position: app.view.stored(),
        log_applied: app.view.applied(),
        checked_at: checked.at,
        damage: checked.damage,
    };
    let control_planes = control_planes(&app).await?;
    let of_settings = of_settings(&app, &fleet).await?;
    let reviews_owed = app.reviews.owed(app.store()).await?;
    let waiting_for = waiting_for(&app, &fleet, &clusters, &storage);
    let docs = &fleet.docs;
    let pending = docs.approvals.iter().filter(|approval| approval.doc.state == ApprovalState::Pending);
    let in_flight = docs.jobs.iter().filter(|job| !job.doc.state.is_final());
    let drifted = docs.incidents.iter().filter(|incident| incident.doc.kind == IncidentKind::FileDrift);
    Ok(Json(Status {
        ready: waiting_for.is_empty(),
        waiting_for,
        paused: docs.pauses.iter().map(|pause| super::autonomous::pauses::pause(&pause.doc)).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: app.now(),
        started_at: app.started_at,
        agents,
        agent_problems: agent_problems(&fleet),
        incidents: incidents(docs.incidents.iter().map(|incident| &incident.doc)),
        waiting_approvals: number(pending.count()),
        reviews_owed,
        jobs_in_flight: number(in_flight.count()),
        drifted_files: number(drifted.count()),
        clusters,
        bounds: bounds(&app, &fleet),
        notices: paused_agents(&fleet)
            .into_iter()
            .chain(of_settings)
            .chain(app.notices.texts(std::time::Instant::now()))
            .collect(),
        storage,
        control_planes,
    }))
}

/// Those on the same database. Only one that leads answers here, so its epoch is the newest.
async fn control_planes(app: &App) -> Result<Vec<ControlPlaneReplica>, ApiError> {
    let shown = |replica: nimbus_store::Replica| ControlPlaneReplica {
        id: replica.name.id,
        name: replica.name.name,
        address: replica.name.address,
        version: replica.name.build,
        state: Part::of(replica.epoch, app.epoch).as_str().to_owned(),
        since: replica.since,
        last_seen: replica.seen,
    };
    Ok(app.store().replicas().await?.into_iter().map(shown).collect())
}

/// The bounds of the decisions, and that of agents at the same time.
fn bounds(app: &App, fleet: &Fleet) -> Vec<BoundReached> {
    let reached = app.with_snapshot_as(&fleet.docs, &fleet.connected, |s| remediation::bounds(s, app.now()));
    let shown = |reached: remediation::BoundReached| BoundReached {
        kind: reached.kind.as_str().to_owned(),
        place: reached.place,
        bound: reached.bound,
        left_out: reached.left_out,
        text: reached.text,
    };
    let agents = app.sessions.crowded(std::time::Instant::now()).map(|crowded| BoundReached {
        kind: "agents".to_owned(),
        place: String::new(),
        bound: crowded.most as u64,
        left_out: crowded.refused,
        text: format!(
            "{} agents are connected at the same time, the most that may be (--max-connections); others were refused {} \
             times since the start, and what they watch is unknown",
            crowded.most, crowded.refused
        ),
    });
    reached.into_iter().map(shown).chain(agents).collect()
}

fn clusters(fleet: &Fleet) -> Vec<ClusterHealth> {
    let health = |cluster: nimbus_api::Cluster| ClusterHealth {
        id: cluster.id,
        name: cluster.name,
        state: cluster.state,
        reason: cluster.reason,
        mode: cluster.mode,
        open_incidents: cluster.open_incidents,
    };
    fleet.docs.clusters.iter().map(|cluster| health(view::cluster(&cluster.doc, fleet))).collect()
}

fn agents(fleet: &Fleet) -> AgentCounts {
    let mut counts = AgentCounts::default();
    for agent in fleet.docs.agents.iter() {
        if agent.doc.revoked_at.is_some() {
            counts.revoked += 1;
        } else {
            counts.total += 1;
            counts.connected += u32::from(fleet.connected.contains(&agent.doc.id));
        }
    }
    counts
}

/// Most agents that a notice names.
const MOST_NAMED: usize = 5;

/// What the settings need several people for and nobody could approve, what they hold back now, and what of them holds nowhere.
async fn of_settings(app: &App, fleet: &Fleet) -> Result<Vec<String>, ApiError> {
    let quorums = &app.settings.quorum;
    if quorums.is_empty() && !app.settings.has_calendar() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = fleet.docs.agents.iter().map(|agent| agent.doc.id.to_string()).collect();
    let clusters = fleet.docs.clusters.iter().map(|cluster| &cluster.doc);
    let mut places: BTreeSet<&str> =
        clusters.flat_map(|cluster| [cluster.name.as_str(), cluster.uid.as_str()]).collect();
    places.extend(fleet.docs.agents.iter().map(|agent| agent.doc.name.as_str()));
    places.extend(ids.iter().map(String::as_str));
    let mut said = calendar::notices(&app.settings, &places, app.now());
    if !quorums.is_empty() {
        let people = app.people.words(app.store(), app.now()).await?;
        said.extend(quorum::unmet(quorums, &places, &people));
    }
    Ok(said)
}

/// That agents were paused on their own side, which no pause of the control plane's says.
fn paused_agents(fleet: &Fleet) -> Option<String> {
    let agents = fleet.docs.agents.iter().map(|agent| &agent.doc);
    let paused: Vec<&str> = agents
        .filter(|agent| agent.revoked_at.is_none() && agent.paused.is_some())
        .map(|agent| agent.name.as_str())
        .collect();
    let named = paused.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = match paused.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (was, begins) = if paused.len() == 1 { ("was", "begins") } else { ("were", "begin") };
    (!paused.is_empty()).then(|| {
        format!(
            "{named}{more} {was} paused on the agent's own side, and {begins} nothing: `nimbus agents show NAME` says why, \
             `nimbus-agent resume` there lets it go on"
        )
    })
}

/// Connected agents that report problems. What one reported before it went away may be over.
fn agent_problems(fleet: &Fleet) -> Vec<AgentProblems> {
    let connected = fleet.docs.agents.iter().map(|agent| &agent.doc);
    let connected =
        connected.filter(|agent| agent.revoked_at.is_none() && fleet.connected.contains(&agent.id));
    let reported = |agent: &Agent| {
        // A root's problem is among the agent's own, with the root's path before it.
        let first = agent.problems.first()?.clone();
        let count = number(agent.problems.len());
        Some(AgentProblems { id: agent.id.to_string(), name: agent.name.clone(), count, first })
    };
    connected.filter_map(reported).collect()
}

fn incidents<'a>(incidents: impl Iterator<Item = &'a Incident>) -> IncidentCounts {
    let mut counts = IncidentCounts::default();
    for incident in incidents {
        match incident.state {
            IncidentState::Open => counts.open += 1,
            IncidentState::WaitingApproval => counts.waiting_approval += 1,
            IncidentState::Remediating => counts.remediating += 1,
            IncidentState::Escalated => counts.escalated += 1,
            IncidentState::Silenced => {
                counts.silenced += 1;
                continue;
            }
            IncidentState::Resolved => continue,
        }
        counts.total += 1;
        match incident.severity {
            Severity::Critical => counts.critical += 1,
            Severity::Warning => counts.warning += 1,
            Severity::Info => counts.info += 1,
        }
    }
    counts
}

fn waiting_for(app: &App, fleet: &Fleet, clusters: &[ClusterHealth], storage: &StorageStatus) -> Vec<String> {
    let mut waiting = app.health.problems();
    let away = |agent: &Agent| agent.revoked_at.is_none() && !fleet.connected.contains(&agent.id);
    let agents = fleet.docs.agents.iter().map(|agent| &agent.doc).filter(|agent| away(agent));
    waiting.extend(agents.map(|agent| format!("agent {} is not connected", agent.name)));
    // Of one that is switched off nothing is waited for.
    let unknown = clusters.iter().filter(|it| it.state == "unknown" && it.mode != Mode::Off.as_str());
    waiting.extend(unknown.map(|cluster| format!("cluster {}: {}", cluster.name, cluster.reason)));
    let behind = storage.log_position - storage.log_applied;
    if behind > 0 {
        waiting.push(format!("{behind} batches of observations are stored and not applied yet"));
    }
    waiting
}
