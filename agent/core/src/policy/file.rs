//! The syntax of a policy file. Unknown fields and paths that can never match are errors rather than silently ignored.
//!
//! An entry of `allow`, `auto` or `diff_paths` that this version does not understand allows nothing. One anywhere else may forbid
//! or limit something, so the file is refused: using the rest of it would do what its author ruled out.

use std::collections::BTreeSet;

use nimbus_protocol::ActionKind;
use serde::Deserialize;
use toml::Spanned;

use super::Policy;
use crate::path;
use crate::unit;

/// A policy file that cannot be used; the agent then observes only and says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {message}")]
pub struct PolicyError {
    /// Line, from 1.
    pub line: usize,
    /// The field, what was expected and what was found.
    pub message: String,
}

/// An entry of a usable file that allows nothing, because this version does not understand it: the rest of the file is
/// in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {}", .list.found(.word))]
pub struct PolicyWarning {
    /// Line, from 1.
    pub line: usize,
    /// Where it stands.
    pub list: WarnedList,
    /// The entry, cut to 64 characters.
    pub word: String,
}

/// A list of which an entry that is not understood allows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarnedList {
    /// `allow`.
    Allow,
    /// `auto`.
    Auto,
    /// `diff_paths`.
    DiffPaths,
}

impl WarnedList {
    fn found(self, word: &str) -> String {
        match self {
            Self::Allow => format!(
                "allow: found {word:?}, which allows nothing; the rest of the file is in force. Correct the word, or \
                 upgrade this agent to a version that knows it. Expected one of {}",
                ActionKind::WORDS.join(", ")
            ),
            Self::Auto => format!(
                "auto: found {word:?}, for which a person is asked; the rest of the file is in force. Correct the word, or \
                 upgrade this agent to a version that knows it. Expected one of {}",
                ActionKind::WORDS.join(", ")
            ),
            Self::DiffPaths => format!(
                "diff_paths: found {word:?}, for which no contents are shown; the rest of the file is in force. Correct \
                 the entry: expected {PLAIN}; a directory stands for all below it, and patterns such as * are not \
                 understood"
            ),
        }
    }
}

/// What an entry of `paths`, `deny_paths`, `diff_paths` and `deny_diff_paths` must be.
const PLAIN: &str = "an absolute path without `.`, `..`, `//` or a slash at the end";
/// Most characters of an entry that is quoted.
const QUOTED: usize = 64;

type Words = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    /// Of any form: a later version may say more of an action than its word.
    #[serde(default)]
    allow: Vec<Spanned<toml::Value>>,
    /// Of any form, too.
    #[serde(default)]
    auto: Vec<Spanned<toml::Value>>,
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
    /// Of any form, too: what is not understood shows nothing.
    #[serde(default)]
    diff_paths: Vec<Spanned<toml::Value>>,
    #[serde(default)]
    deny_diff_paths: Words,
    #[serde(default)]
    units: Words,
    #[serde(default)]
    deny_units: Words,
    jobs_per_hour: Option<u16>,
}

pub(super) fn parse(text: &str) -> Result<(Policy, Vec<PolicyWarning>), PolicyError> {
    let lines = Lines(text);
    let file: PolicyFile = toml::from_str(text).map_err(|e| {
        let line = lines.at(e.span().map_or(0, |span| span.start));
        let shown: String = text.lines().nth(line - 1).unwrap_or("").trim().chars().take(80).collect();
        PolicyError { line, message: format!("{} in `{shown}`", e.message()) }
    })?;
    let uid = |word: &str| !word.is_empty() && !word.contains(['*', ' ']);
    let name = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let name_or_all = |word: &str| word == "*" || name(word);
    let whole = "a namespace's whole name";
    let denied = |words| lines.check("deny_namespaces", words, whole, &name);
    let (allow, mut warnings) = lines.actions(file.allow, WarnedList::Allow);
    let (auto, of_auto) = lines.actions(file.auto, WarnedList::Auto);
    warnings.extend(of_auto);
    let diff_paths = lines.shown(file.diff_paths, &mut warnings);
    let policy = Policy {
        allow,
        auto,
        deny: lines.denied(file.deny)?,
        clusters: lines.check("clusters", file.clusters, "a cluster's UID", &uid)?,
        namespaces: lines.check(
            "namespaces",
            file.namespaces,
            "\"*\" or a namespace's whole name",
            &name_or_all,
        )?,
        deny_namespaces: file.deny_namespaces.map(denied).transpose()?,
        paths: lines.check("paths", file.paths, PLAIN, &path::is_plain)?,
        deny_paths: lines.check("deny_paths", file.deny_paths, PLAIN, &path::is_plain)?,
        diff_paths,
        deny_diff_paths: lines.check("deny_diff_paths", file.deny_diff_paths, PLAIN, &path::is_plain)?,
        units: lines.check("units", file.units, unit::EXPECTED, &unit::is_pattern)?,
        deny_units: lines.check("deny_units", file.deny_units, unit::EXPECTED, &unit::is_pattern)?,
        jobs_per_hour: file.jobs_per_hour,
    };
    Ok((policy, warnings))
}

/// The file's text, to say on which line a word stands.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn at(&self, offset: usize) -> usize {
        1 + self.0.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count()
    }

    /// The actions that are known, and a warning for each that is not.
    fn actions(
        &self,
        entries: Vec<Spanned<toml::Value>>,
        list: WarnedList,
    ) -> (BTreeSet<ActionKind>, Vec<PolicyWarning>) {
        let (mut known, mut warnings) = (BTreeSet::new(), Vec::new());
        for entry in entries {
            let line = self.at(entry.span().start);
            let word = entry.get_ref().as_str().map_or_else(|| entry.get_ref().to_string(), str::to_owned);
            match word.parse::<ActionKind>() {
                Ok(kind) => drop(known.insert(kind)),
                Err(unknown) => {
                    warnings.push(PolicyWarning { line, list, word: unknown.found });
                }
            }
        }
        (known, warnings)
    }

    /// The paths whose contents may be shown, and a warning for each entry that is no plain path.
    fn shown(
        &self,
        entries: Vec<Spanned<toml::Value>>,
        warnings: &mut Vec<PolicyWarning>,
    ) -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        for entry in entries {
            let line = self.at(entry.span().start);
            let value = entry.into_inner();
            let plain = value.as_str().filter(|path| path::is_plain(path) && !path.contains(['*', '?']));
            if let Some(path) = plain {
                known.insert(path.to_owned());
                continue;
            }
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let word = word.chars().take(QUOTED).collect();
            warnings.push(PolicyWarning { line, list: WarnedList::DiffPaths, word });
        }
        known
    }

    /// `*` denies every action. What an unknown word forbids is not known: the whole file is refused.
    fn denied(&self, words: Words) -> Result<BTreeSet<ActionKind>, PolicyError> {
        if words.iter().any(|word| word.get_ref() == "*") {
            return Ok(ActionKind::ALL.iter().copied().collect());
        }
        let parse = |word: Spanned<String>| {
            let line = self.at(word.span().start);
            let kind = word.get_ref().parse::<ActionKind>();
            kind.map_err(|unknown| PolicyError { line, message: format!("deny: {unknown}") })
        };
        words.into_iter().map(parse).collect()
    }

    fn check(
        &self,
        field: &str,
        words: Words,
        expected: &str,
        good: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeSet<String>, PolicyError> {
        if let Some(word) = words.iter().find(|word| !good(word.get_ref())) {
            let message = format!("{field}: expected {expected}, found {:?}", word.get_ref());
            return Err(PolicyError { line: self.at(word.span().start), message });
        }
        Ok(words.into_iter().map(Spanned::into_inner).collect())
    }
}
