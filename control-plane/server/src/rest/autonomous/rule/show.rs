//! `GET /api/v1/autonomous/rules/{name}`: one rule, in the form in which it can be set.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::RuleDetail;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params, Segment};

/// One rule, in the form in which it can be set
#[utoipa::path(
    get, path = "/api/v1/autonomous/rules/{name}", operation_id = "rule", tag = "autonomous",
    params(("name" = String, Path, description = "Its name; of a built-in one also the remedy's word")),
    responses((status = 200, description = "The rule", body = RuleDetail))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    _: Params<Nothing>,
) -> Result<Json<RuleDetail>, ApiError> {
    let docs = app.docs().await?;
    let mut found = super::find(&docs, &name)?;
    if found.version > 0 {
        let text = super::read(found.rule.clone())?;
        let narrower = app.with_snapshot(&docs, |s| nimbus_control_core::rules::narrower(&text, s));
        // Set when it was not: a policy may have become narrower since.
        found.narrower = narrower.unwrap_or_else(|wrong| vec![wrong.found]);
    }
    Ok(Json(found))
}
