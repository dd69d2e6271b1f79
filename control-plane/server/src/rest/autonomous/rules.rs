//! `GET /api/v1/autonomous/rules`: what Nimbus does about each kind of incident. The rules are part of the
//! product; this only shows them, with the figures that limit them and where they are enabled.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{List, Rule};
use nimbus_control_core::Settings;
use nimbus_control_core::rules;

use crate::app::App;
use crate::documents::Docs;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params};

/// When the rules of this version came into the product (2026-11-22), microseconds since the epoch.
const SINCE_US: i64 = 1_795_305_600_000_000;

/// What Nimbus does about each kind of incident
#[utoipa::path(
    get, path = "/api/v1/autonomous/rules", operation_id = "rules", tag = "autonomous",
    responses((status = 200, description = "Every rule", body = List<Rule>))
)]
pub async fn list(State(app): State<Arc<App>>, _: Params<Nothing>) -> Result<Json<List<Rule>>, ApiError> {
    let docs = app.docs().await?;
    Ok(Json(List::whole(rules::all().iter().map(|rule| shown(rule, &docs, &app.settings)).collect())))
}

fn shown(rule: &rules::Rule, docs: &Docs, settings: &Settings) -> Rule {
    let state = match rule.action {
        None => "recommend",
        Some(_) if rule.needs_approval => "approval",
        Some(_) => "automatic",
    };
    let enables = |action| {
        let clusters = docs.clusters.iter().map(|cluster| &cluster.doc);
        clusters.filter(|cluster| cluster.enables(action)).map(|cluster| cluster.name.clone()).collect()
    };
    Rule {
        id: rule.action.map_or_else(|| rule.incident.to_string(), |action| action.to_string()),
        created_at: nimbus_protocol::from_micros(SINCE_US),
        kind: rule.incident.to_string(),
        state: state.to_owned(),
        action: rule.action.map(|action| action.to_string()),
        summary: rule.what.to_owned(),
        limits: rule.action.map(|_| limits(rule, settings)).unwrap_or_default(),
        per_cluster: rule.per_cluster,
        enabled_in: rule.action.filter(|_| rule.per_cluster).map(enables).unwrap_or_default(),
    }
}

fn limits(rule: &rules::Rule, settings: &Settings) -> Vec<String> {
    let verify_ms = rule.action.map_or(settings.verify_ms, |action| rules::verify_ms(action, settings));
    let caps = &settings.caps;
    let mut limits = vec![
        format!(
            "{} attempts for one owner, {} apart and doubling up to {}; then a person is asked",
            settings.attempts,
            in_words(settings.backoff_base_ms.into()),
            in_words(settings.backoff_max_ms.into())
        ),
        format!("counts as helped when it held for {}", in_words(verify_ms.into())),
        format!(
            "at once {} on one object, {} in one namespace, {} in one cluster, {} everywhere",
            caps.per_target, caps.per_namespace, caps.per_cluster, caps.fleet
        ),
        "only what the agent's own policy allows".to_owned(),
    ];
    if rule.needs_approval {
        let time = in_words(u64::from(settings.approval_ttl_s) * 1_000);
        limits.push(format!("a person has {time} to answer"));
    } else {
        limits.push("nothing automatic in a storm".to_owned());
    }
    if rule.per_cluster {
        limits.push("only where the cluster has it enabled".to_owned());
    }
    limits
}

/// A time in the largest unit of which it is a whole number: `30 s`, `30 min`, `24 h`.
fn in_words(ms: u64) -> String {
    match ms {
        0 => "0 s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{} h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        _ => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn times_are_in_the_largest_whole_unit() {
        let words = [0, 1_500, 30_000, 90_000, 1_800_000, 86_400_000].map(in_words);
        assert_eq!(words, ["0 s", "1500 ms", "30 s", "90 s", "30 min", "24 h"]);
    }

    #[test]
    fn the_rules_are_of_the_day_that_is_written_beside_them() {
        let since: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        assert_eq!(nimbus_protocol::from_micros(SINCE_US), since);
    }
}
