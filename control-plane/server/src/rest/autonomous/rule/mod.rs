//! The endpoints of one rule, and how rules look in the API.

pub mod delete;
pub mod proposals;
pub mod set;
pub mod show;
pub mod trial;

use nimbus_api::{RuleDetail, RuleText};
use nimbus_control_core::rulebook::{self, Entry, Rule, action_of};
use nimbus_control_core::rules::{self, WrongRule};
use nimbus_control_core::settings::calendar::Period;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rules::since;
use crate::documents::Docs;
use crate::rest::error::ApiError;

const REMEDY: &str = "`nimbus autonomous rules list` shows those there are";

/// The rule of this name, or the built-in one; both spellings of a remedy's word are taken.
fn find(docs: &Docs, name: &str) -> Result<RuleDetail, ApiError> {
    let name = name.replace('_', "-");
    if let Some(entry) = docs.rules.named(&name) {
        return Ok(of_entry(entry));
    }
    let built_in = action_of(&name).and_then(rules::built_in::of);
    let text = built_in.ok_or_else(|| ApiError::not_found("rule", &name, REMEDY))?;
    Ok(RuleDetail {
        id: text.name.clone(),
        created_at: since(),
        version: 0,
        rule: shown(&text).map_err(|error| ApiError::internal("a built-in rule", &error))?,
        set_by: None,
        set_at: None,
        problem: None,
        narrower: Vec::new(),
    })
}

fn of_entry(entry: &Entry) -> RuleDetail {
    let problem = entry.condition.as_ref().err().cloned();
    let unknown = entry.rule.doc.text.kind().is_none();
    let action = unknown.then(|| format!("{:?} is no action of this version", entry.rule.doc.text.action));
    detail(&entry.rule.doc, action.or(problem), Vec::new())
}

fn detail(rule: &Rule, problem: Option<String>, narrower: Vec<String>) -> RuleDetail {
    let (text, odd) = match shown(&rule.text) {
        Ok(text) => (text, None),
        Err(error) => (bare(&rule.text), Some(error.to_string())),
    };
    RuleDetail {
        id: rule.text.name.clone(),
        created_at: rule.created_at,
        version: rule.version,
        rule: text,
        set_by: Some(rule.set_by.clone()),
        set_at: Some(rule.set_at),
        problem: problem.or(odd),
        narrower,
    }
}

/// Core's text of a rule as the API's: they are of one form.
fn shown(text: &rulebook::RuleText) -> Result<RuleText, serde_json::Error> {
    let windows = text.windows.iter().map(converted).collect::<Result<_, _>>()?;
    Ok(RuleText { windows, ..bare(text) })
}

/// Without its windows.
fn bare(text: &rulebook::RuleText) -> RuleText {
    RuleText {
        name: text.name.clone(),
        action: text.action.clone(),
        enabled: text.enabled,
        clusters: text.clusters.clone(),
        namespaces: text.namespaces.clone(),
        labels: text.labels.clone(),
        condition: text.condition.clone(),
        auto_approve: text.auto_approve,
        windows: Vec::new(),
    }
}

/// The API's text of a rule as core's.
fn read(text: RuleText) -> Result<rulebook::RuleText, ApiError> {
    let window = |window| {
        converted::<_, Period>(&window).map_err(|error| {
            ApiError::invalid("windows", "windows as the settings have them", error.to_string())
        })
    };
    Ok(rulebook::RuleText {
        name: text.name,
        action: text.action.replace('-', "_"),
        enabled: text.enabled,
        clusters: text.clusters,
        namespaces: text.namespaces,
        labels: text.labels,
        condition: text.condition.trim().to_owned(),
        auto_approve: text.auto_approve,
        windows: text.windows.iter().map(window).collect::<Result<_, _>>()?,
    })
}

/// A period in one form from the other. What the settings' form has beside it, its actions and clusters, is empty in rules.
fn converted<A: Serialize, B: DeserializeOwned>(from: &A) -> Result<B, serde_json::Error> {
    let mut value = serde_json::to_value(from)?;
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, field| {
            let empty = field.as_array().is_some_and(Vec::is_empty);
            !(empty && (name == "actions" || name == "clusters"))
        });
    }
    serde_json::from_value(value)
}

fn refused(wrong: WrongRule) -> ApiError {
    ApiError::invalid(wrong.field, wrong.expected, wrong.found)
}
