//! `GET /api/v1/autonomous/rules`: what Nimbus does about each kind of incident, and the rules that people set beside that, with the
//! figures that limit them and where they are enabled.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use nimbus_api::{List, Rule};
use nimbus_control_core::Settings;
use nimbus_control_core::model::ActionKind;
use nimbus_control_core::rulebook::{Entry, RuleText, action_of, name_of};
use nimbus_control_core::rules;
use nimbus_control_core::settings::calendar::Period;

use crate::app::App;
use crate::documents::Docs;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params};

/// When the rules of this version came into the product (2026-11-22), microseconds since the epoch.
const SINCE_US: i64 = 1_795_305_600_000_000;

/// That moment.
pub(super) fn since() -> Timestamp {
    nimbus_protocol::from_micros(SINCE_US)
}

/// What Nimbus does about each kind of incident
#[utoipa::path(
    get, path = "/api/v1/autonomous/rules", operation_id = "rules", tag = "autonomous",
    description = "The built-in rules, or what somebody set in their place, and after them the rules that people set beside them.",
    responses((status = 200, description = "Every rule", body = List<Rule>))
)]
pub async fn list(State(app): State<Arc<App>>, _: Params<Nothing>) -> Result<Json<List<Rule>>, ApiError> {
    let docs = app.docs().await?;
    let all = rules::all();
    let mut items: Vec<Rule> = all.iter().map(|rule| shown(rule, &docs, &app.settings)).collect();
    let beside = docs.rules.entries().iter().filter(|entry| !is_in_place(&entry.rule.doc.text));
    items.extend(beside.map(|entry| own(entry, &all, &docs, &app.settings)));
    Ok(Json(List::whole(items)))
}

/// Does it take the place of a built-in rule?
fn is_in_place(text: &RuleText) -> bool {
    action_of(&text.name).is_some()
}

fn shown(rule: &rules::Rule, docs: &Docs, settings: &Settings) -> Rule {
    let state = match rule.action {
        None => "recommend",
        Some(_) if rule.needs_approval => "approval",
        Some(_) => "automatic",
    };
    let built_in = rule.action.filter(|action| rules::built_in::of(*action).is_some());
    let name = built_in.map(name_of);
    let instead = name.and_then(|name| docs.rules.named(name));
    Rule {
        id: rule.action.map_or_else(|| rule.incident.to_string(), |action| action.to_string()),
        created_at: instead.map_or_else(since, |entry| entry.rule.doc.created_at),
        version: instead.map_or(0, |entry| entry.rule.doc.version),
        name: name.map(ToOwned::to_owned),
        kind: rule.incident.to_string(),
        state: instead.map_or(state, |entry| state_of(&entry.rule.doc.text)).to_owned(),
        action: rule.action.map(|action| action.to_string()),
        summary: match instead {
            None => rule.what.to_owned(),
            Some(entry) => format!("{}; {}", rule.what, cases(&entry.rule.doc.text)),
        },
        limits: rule.action.map(|_| limits(rule, settings)).unwrap_or_default(),
        per_cluster: rule.per_cluster,
        enabled_in: rule
            .action
            .filter(|_| rule.per_cluster)
            .map(|it| enabled_in(it, docs))
            .unwrap_or_default(),
    }
}

/// A rule beside the built-in ones. One for an action that this version does not know is listed with no kind of incident.
fn own(entry: &Entry, all: &[rules::Rule], docs: &Docs, settings: &Settings) -> Rule {
    let text = &entry.rule.doc.text;
    let of = all.iter().find(|rule| rule.action.is_some() && rule.action == text.kind());
    Rule {
        id: text.name.clone(),
        created_at: entry.rule.doc.created_at,
        version: entry.rule.doc.version,
        name: Some(text.name.clone()),
        kind: of.map(|rule| rule.incident.to_string()).unwrap_or_default(),
        state: state_of(text).to_owned(),
        action: Some(text.action.clone()),
        summary: format!("{} {}", of.map_or("", |rule| rule.what), cases(text)).trim().to_owned(),
        limits: of.map(|rule| limits(rule, settings)).unwrap_or_default(),
        per_cluster: of.is_some_and(|rule| rule.per_cluster),
        enabled_in: of
            .filter(|rule| rule.per_cluster)
            .and_then(|rule| Some(enabled_in(rule.action?, docs)))
            .unwrap_or_default(),
    }
}

fn state_of(text: &RuleText) -> &'static str {
    match (text.enabled, text.auto_approve) {
        (false, _) => "off",
        (true, true) => "automatic",
        (true, false) => "approval",
    }
}

/// For which cases it is, in words.
fn cases(text: &RuleText) -> String {
    let mut cases = Vec::new();
    let several =
        |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
    cases.extend(several("in", &text.clusters));
    cases.extend(several("in namespace", &text.namespaces));
    if !text.labels.is_empty() {
        let labels: Vec<String> = text.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        cases.push(format!("with {}", labels.join(", ")));
    }
    if !text.condition.is_empty() {
        cases.push(format!("where {}", text.condition));
    }
    if cases.is_empty() {
        cases.push("in every case".to_owned());
    }
    let windows: Vec<String> = text.windows.iter().map(Period::words).collect();
    let by_itself =
        if windows.is_empty() { String::new() } else { format!("; by itself {}", windows.join(" and ")) };
    format!("{}{by_itself}", cases.join(" "))
}

fn enabled_in(action: ActionKind, docs: &Docs) -> Vec<String> {
    let clusters = docs.clusters.iter().map(|cluster| &cluster.doc);
    clusters.filter(|cluster| cluster.enables(action)).map(|cluster| cluster.name.clone()).collect()
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
