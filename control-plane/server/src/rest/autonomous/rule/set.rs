//! `POST /api/v1/autonomous/rules`: sets a rule.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{RuleDetail, RuleRequest};
use nimbus_control_core::rulebook::RuleText;
use nimbus_control_core::{remediation, rules};

use super::{detail, read, refused};
use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params};
use crate::rest::retry::until_alone;

/// Set a rule: a new one, another version of one, or one in the place of a built-in one
#[utoipa::path(
    post, path = "/api/v1/autonomous/rules", operation_id = "set_rule", tag = "autonomous", request_body = RuleRequest,
    description = "200 rules at most. A rule that does not compile, names an unknown action, or is wider than the policy of the agents of \
                   every cluster that it is for, or of one that it names, is refused with the place. Of several rules for a case all \
                   have to say that nobody is asked. With `dry_run` it writes nothing.",
    responses((status = 200, description = "The rule as it is now, or would be", body = RuleDetail))
)]
pub async fn set(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    _: Params<Nothing>,
    Body(request): Body<RuleRequest>,
) -> Result<Json<RuleDetail>, ApiError> {
    let text = read(request.rule)?;
    Ok(Json(until_alone(|| attempt(&app, &caller, &text, request.dry_run)).await?))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    text: &RuleText,
    dry_run: bool,
) -> Result<RuleDetail, ApiError> {
    let docs = app.docs().await?;
    let set = remediation::set_rule(&docs.rules, text.clone(), caller.name(), app.now());
    let (rule, changes) = set.map_err(refused)?;
    let narrower = app.with_snapshot(&docs, |s| rules::narrower(text, s)).map_err(refused)?;
    if !dry_run && !changes.is_empty() {
        app.commit(&changes).await?;
    }
    Ok(detail(&rule, None, narrower))
}
