//! `GET /api/v1/autonomous/calendar`: the windows and blackouts of the settings, and where each stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use nimbus_api::List;
use nimbus_control_core::calendar::{Reading, Stand, stand};
use nimbus_control_core::settings::calendar::Period;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params};

/// The windows and blackouts, as the settings have them
#[utoipa::path(
    get, path = "/api/v1/autonomous/calendar", operation_id = "list_calendar", tag = "autonomous",
    description = "100 of each at most, all in one page. Where a window is for an action and a place, what it is for is begun only while one \
                   of them is now; in a blackout it is not, also inside a window.",
    responses((status = 200, description = "Every window and every blackout", body = List<nimbus_api::Period>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _: Params<Nothing>,
) -> Result<Json<List<nimbus_api::Period>>, ApiError> {
    let now = app.now();
    let of = |kind: &'static str, reading, periods: &[Period]| {
        periods.iter().map(|period| shown(kind, period, reading, now)).collect::<Vec<_>>()
    };
    let mut all = of("blackout", Reading::Longest, &app.settings.blackout);
    all.extend(of("window", Reading::Shortest, &app.settings.window));
    Ok(Json(List::whole(all)))
}

fn shown(kind: &str, period: &Period, reading: Reading, now: Timestamp) -> nimbus_api::Period {
    let (state, changes_at) = match stand(period, reading, now) {
        Stand::Now(until) => ("now", until),
        Stand::Later(Some(begins)) => ("later", Some(begins)),
        Stand::Later(None) => ("over", None),
    };
    nimbus_api::Period {
        name: period.name.clone(),
        kind: kind.to_owned(),
        state: state.to_owned(),
        changes_at,
        when: period.words(),
        actions: period.actions.iter().map(ToString::to_string).collect(),
        clusters: period.clusters.clone(),
    }
}
