//! The policy file: unknown fields, unknown actions and paths that can never match are errors, not silence.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::{ACTIONS, Policy};
use crate::path;

/// A policy file that cannot be used; the agent then observes only and says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {message}")]
pub struct PolicyError {
    /// Line, from 1.
    pub line: usize,
    /// The field, what was expected and what was found.
    pub message: String,
}

type Words = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    allow: Words,
    #[serde(default)]
    deny: Words,
    #[serde(default)]
    clusters: Words,
    #[serde(default)]
    namespaces: Words,
    deny_namespaces: Option<Words>,
    #[serde(default)]
    paths: Words,
    #[serde(default)]
    deny_paths: Words,
    #[serde(default = "jobs_per_hour")]
    jobs_per_hour: u16,
}

fn jobs_per_hour() -> u16 {
    60
}

pub(super) fn parse(text: &str) -> Result<Policy, PolicyError> {
    let at = |offset: usize| 1 + text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count();
    let file: PolicyFile = toml::from_str(text).map_err(|e| {
        let line = at(e.span().map_or(0, |span| span.start));
        let shown: String = text.lines().nth(line - 1).unwrap_or("").trim().chars().take(80).collect();
        PolicyError { line, message: format!("{} in `{shown}`", e.message()) }
    })?;
    let check = |field: &str, words: Words, expected: &str, good: &dyn Fn(&str) -> bool| {
        let bad = words.iter().find(|word| !good(word.get_ref()));
        match bad {
            Some(word) => Err(PolicyError {
                line: at(word.span().start),
                message: format!("{field}: expected {expected}, found {:?}", word.get_ref()),
            }),
            None => Ok(words.into_iter().map(Spanned::into_inner).collect::<BTreeSet<String>>()),
        }
    };
    let actions = format!("one of {}", ACTIONS.join(", "));
    let action = |word: &str| ACTIONS.contains(&word);
    let uid = |word: &str| !word.is_empty() && !word.contains(['*', ' ']);
    let name = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let deny_namespaces = match file.deny_namespaces {
        Some(words) => check("deny_namespaces", words, "a namespace's whole name", &name)?,
        None => BTreeSet::from(["kube-system".to_owned()]),
    };
    let plain = "an absolute path without `.`, `..`, `//` or a slash at the end";
    Ok(Policy {
        allow: check("allow", file.allow, &actions, &action)?,
        deny: check("deny", file.deny, &actions, &action)?,
        clusters: check("clusters", file.clusters, "a cluster's UID", &uid)?,
        namespaces: check("namespaces", file.namespaces, "\"*\" or a namespace's whole name", &|word| {
            word == "*" || name(word)
        })?,
        deny_namespaces,
        paths: check("paths", file.paths, plain, &path::is_plain)?,
        deny_paths: check("deny_paths", file.deny_paths, plain, &path::is_plain)?,
        jobs_per_hour: file.jobs_per_hour.into(),
    })
}
