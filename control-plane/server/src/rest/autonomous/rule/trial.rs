//! `POST /api/v1/autonomous/rule-trials`: what a rule would do about the incidents that are open now.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use nimbus_api::{RuleRequest, RuleTrial, RuleTrials};
use nimbus_control_core::rules::{self, Outcome, Tried};
use nimbus_control_core::verdict::Fit;

use super::{read, refused};
use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params};
use crate::rest::limits::Limits;
use crate::rest::view::{self, number};

/// Try a rule on the incidents that are open now
#[utoipa::path(
    post, path = "/api/v1/autonomous/rule-trials", operation_id = "try_rule", tag = "autonomous", request_body = RuleRequest,
    description = "Tried on the newest 200 open incidents that its remedy is for. Nothing is written. What holds a plan back whatever the \
                   rules say is not asked: the mode of the cluster, quorums, the settings' windows, caps.",
    responses((status = 200, description = "What it would do about each", body = RuleTrials))
)]
pub async fn trial(
    State(app): State<Arc<App>>,
    Extension(limits): Extension<Limits>,
    _: Params<Nothing>,
    Body(request): Body<RuleRequest>,
) -> Result<Json<RuleTrials>, ApiError> {
    let text = read(request.rule)?;
    rules::validate(&text).map_err(refused)?;
    let docs = app.docs().await?;
    // It plans twice for each of them, with the world at hand: as few at once as walks along the audit log.
    let _room = limits.walk()?;
    Ok(Json(app.with_snapshot(&docs, |s| {
        let (tried, left_out) = rules::tried(&text, s);
        RuleTrials { items: tried.iter().map(shown).collect(), next: None, left_out: number(left_out) }
    })))
}

fn shown(tried: &Tried<'_>) -> RuleTrial {
    let (fits, why) = match &tried.fit {
        None => ("no_plan", String::new()),
        Some(Fit::Yes) => ("yes", String::new()),
        Some(Fit::No(why)) => ("no", why.clone()),
        Some(Fit::Unknown(why)) => ("unknown", why.clone()),
    };
    let (now, of_now, _) = of(&tried.now);
    let (then, of_then, reason) = of(&tried.then);
    RuleTrial {
        id: tried.incident.id.to_string(),
        created_at: tried.incident.created_at,
        cluster: tried.incident.cluster.clone(),
        kind: tried.incident.kind.to_string(),
        object: view::object(&tried.incident.object),
        title: tried.incident.title.clone(),
        fits: fits.to_owned(),
        why,
        now: now.to_owned(),
        then: then.to_owned(),
        action: of_then.or(of_now),
        reason,
    }
}

fn of(outcome: &Outcome) -> (&'static str, Option<String>, String) {
    match outcome {
        Outcome::Begins(action) => ("begins", Some(action.to_string()), String::new()),
        Outcome::Asks(action) => ("asks", Some(action.to_string()), String::new()),
        Outcome::Nothing(why) => ("nothing", None, why.clone()),
    }
}
