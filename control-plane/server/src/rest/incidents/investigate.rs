//! `GET /api/v1/incidents/{id}/investigation`: puts together what is known around an incident.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Investigation, Known};
use nimbus_control_core::investigation::{self, BEFORE, is_of_place};
use nimbus_control_core::model::{Incident, IncidentState, Job, Scope, Versioned};

use crate::app::App;
use crate::documents::Docs;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::view::{self, number};

/// Most incidents that are over and are looked at beside those that are open, the newest: of the place, and as many of all places.
const MOST_OTHERS: u32 = 500;

/// What is known around an incident: a timeline with sources, and how what it is about is now
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/investigation", operation_id = "investigation", tag = "incidents",
    params(("id" = String, Path, description = "`inc_…`")),
    description = "Of its own story, the jobs on the same workload or object, other incidents of the same or opened near to it (of a \
                   cluster also those of its hosts), what was written in the cluster since a day before (who wrote the pod template, \
                   ConfigMaps and Secrets that its pods refer to, revisions), and the present picture of its cluster or host, with the time \
                   as of which it is so. Nothing is guessed: what is not known is said. Logs are not collected.",
    responses((status = 200, description = "What is known", body = Investigation))
)]
pub async fn investigate(
    State(app): State<Arc<App>>,
    Segment(id): Segment,
    _: Params<Nothing>,
) -> Result<Json<Investigation>, ApiError> {
    let found = super::find(&app, &id).await?.doc;
    let docs = app.docs().await?;
    // One that is over is no longer among the documents that decisions are made from.
    let own = app.store().jobs_of(&[found.id]).await?;
    let over = Over::read(&app, &docs, &found).await?;

    let of_place = docs.jobs.iter().filter(|job| job.doc.scope == found.scope);
    let jobs: BTreeMap<_, &Job> = of_place.chain(&own).map(|job| (job.doc.id, &job.doc)).collect();
    let jobs: Vec<&Job> = jobs.into_values().collect();
    let is_near = |other: &&Versioned<Incident>| is_of_place(&other.doc.scope, &found.scope, &docs.agents);
    let all = over.incidents.iter().chain(&docs.incidents).filter(is_near);
    let others: BTreeMap<_, &Incident> = all.map(|other| (other.doc.id, &other.doc)).collect();
    let others: Vec<&Incident> = others.into_values().collect();
    let mut known = app.with_snapshot(&docs, |s| investigation::investigate(&found, &others, &jobs, s));
    known.unknown.extend(over.gaps);
    Ok(Json(Investigation {
        incident: view::incident(&found),
        timeline: known.timeline.into_iter().map(line).collect(),
        left_out: number(known.left_out),
        as_of: known.as_of,
        now: known.now.into_iter().map(line).collect(),
        unknown: known.unknown,
    }))
}

fn line(known: investigation::Known) -> Known {
    Known { at: known.at, text: known.text, source: known.source.to_string(), of: known.of }
}

/// Incidents that are over.
struct Over {
    incidents: Vec<Versioned<Incident>>,
    /// That they do not go as far back as the investigation looks.
    gaps: Vec<String>,
}

impl Over {
    /// The newest of the place; where hosts belong to it, the newest of all places as well, as no list is of its hosts alone.
    async fn read(app: &App, docs: &Docs, found: &Incident) -> Result<Self, ApiError> {
        let mut places = vec![(format!("of {}", found.cluster), Some(found.cluster.clone()))];
        if has_hosts(docs, &found.scope) {
            places.push(("of all places, its hosts among them,".to_owned(), None));
        }
        let from = found.created_at.checked_sub(BEFORE).unwrap_or(found.created_at);
        let mut over = Self { incidents: Vec::new(), gaps: Vec::new() };
        for (what, cluster) in places {
            let mut filter = crate::rest::lists::newest(Some(MOST_OTHERS), None);
            filter.states = vec![IncidentState::Resolved.to_string()];
            filter.cluster = cluster;
            let page = app.store().list::<Incident>(&filter).await?;
            // A list that has an end goes back to the first of all.
            let oldest = page.items.last().filter(|_| page.next.is_some()).map(|last| last.doc.created_at);
            over.gaps.extend(oldest.filter(|oldest| *oldest > from).map(|oldest| {
                format!(
                    "of the incidents {what} that are over the newest {MOST_OTHERS} are looked at, which were opened since {oldest:.0}: \
                     what was wrong before that is unknown"
                )
            }));
            over.incidents.extend(page.items);
        }
        Ok(over)
    }
}

/// Has it hosts of its own, as a cluster has with agents?
fn has_hosts(docs: &Docs, scope: &Scope) -> bool {
    scope.cluster_uid().is_some_and(|uid| docs.agents.bound_to(uid).next().is_some())
}
