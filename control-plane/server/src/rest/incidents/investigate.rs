//! `GET /api/v1/incidents/{id}/investigation`: puts together what is known around an incident.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{Investigation, Known};
use nimbus_control_core::investigation;
use nimbus_control_core::model::{Incident, Job};

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};
use crate::rest::view::{self, number};

/// Incidents of the place that are looked at beside those that are open, the newest.
const MOST_OTHERS: u32 = 500;

/// What is known around an incident: a timeline with sources, and how what it is about is now
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/investigation", operation_id = "investigation", tag = "incidents",
    params(("id" = String, Path, description = "`inc_…`")),
    description = "Of its own story, the jobs on the same workload or object, other incidents of the same or opened near to it, what was \
                   written in the cluster since a day before (who wrote the pod template, ConfigMaps and Secrets that its pods refer to, \
                   revisions), and the present picture. Nothing is guessed: what is not known is said. Logs are not collected.",
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
    let mut jobs: BTreeMap<_, Job> = docs.jobs.iter().map(|job| (job.doc.id, job.doc.clone())).collect();
    jobs.extend(own.into_iter().map(|job| (job.doc.id, job.doc)));
    let mut filter = crate::rest::lists::newest(Some(MOST_OTHERS), None);
    filter.cluster = Some(found.cluster.clone());
    let newest = app.store().list::<Incident>(&filter).await?;
    let open = docs.incidents.iter().map(|incident| incident.doc.clone());
    let others: BTreeMap<_, Incident> =
        newest.items.into_iter().map(|incident| incident.doc).chain(open).map(|it| (it.id, it)).collect();
    let (others, jobs): (Vec<Incident>, Vec<Job>) =
        (others.into_values().collect(), jobs.into_values().collect());
    let known = app.with_snapshot(&docs, |s| investigation::investigate(&found, &others, &jobs, s));
    Ok(Json(Investigation {
        incident: view::incident(&found),
        timeline: known.timeline.into_iter().map(line).collect(),
        left_out: number(known.left_out),
        now: known.now.into_iter().map(line).collect(),
        unknown: known.unknown,
    }))
}

fn line(known: investigation::Known) -> Known {
    Known { at: known.at, text: known.text, source: known.source.to_string(), of: known.of }
}
