//! `DELETE /api/v1/autonomous/rules/{name}`: takes a rule away.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{DryRunQuery, RuleDetail};
use nimbus_control_core::rulebook::action_of;
use nimbus_control_core::{remediation, rules};

use super::{REMEDY, of_entry};
use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Params, Segment};
use crate::rest::retry::until_alone;

/// Take a rule away; one in the place of a built-in rule gives that back
#[utoipa::path(
    delete, path = "/api/v1/autonomous/rules/{name}", operation_id = "delete_rule", tag = "autonomous",
    params(("name" = String, Path, description = "Its name"), DryRunQuery),
    description = "A built-in rule cannot be taken away: set one of its name that is not enabled (409 `built_in`). With `dry_run` it \
                   writes nothing.",
    responses((status = 200, description = "The rule as it was", body = RuleDetail))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(name): Segment,
    Params(query): Params<DryRunQuery>,
) -> Result<Json<RuleDetail>, ApiError> {
    Ok(Json(until_alone(|| attempt(&app, &caller, &name, query.dry_run)).await?))
}

async fn attempt(app: &App, caller: &Principal, name: &str, dry_run: bool) -> Result<RuleDetail, ApiError> {
    let name = name.replace('_', "-");
    let docs = app.docs().await?;
    let Some(entry) = docs.rules.named(&name) else {
        if action_of(&name).and_then(rules::built_in::of).is_some() {
            let detail = format!("rule {name} is built in, and nobody set one in its place");
            return Err(ApiError::conflict("built_in", detail).remedy(
                "set a rule of that name with `enabled: false` to switch it off; `nimbus autonomous rules show` prints it",
            ));
        }
        return Err(ApiError::not_found("rule", &name, REMEDY));
    };
    let changes = remediation::delete_rule(&entry.rule, caller.name(), app.now());
    if !dry_run {
        app.commit(&changes).await?;
    }
    Ok(of_entry(entry))
}
