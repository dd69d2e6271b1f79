//! The rules that people set, each with its condition compiled once.

use super::condition::Condition;
use super::rule::Rule;
use crate::model::{ActionKind, RuleRef, Versioned};

/// Every rule that somebody set, in the order of their names.
#[derive(Debug, Default)]
pub struct Book(Vec<Entry>);

/// One of them.
#[derive(Debug)]
pub struct Entry {
    /// As it is stored.
    pub rule: Versioned<Rule>,
    /// Its condition: `Ok(None)` where it has none, and an error where this build does not understand it or another part of the rule,
    /// which is unknown and not no condition.
    pub condition: Result<Option<Condition>, String>,
}

impl Entry {
    fn of(rule: Versioned<Rule>) -> Self {
        let text = &rule.doc.text.condition;
        let condition = match &rule.doc.problem {
            Some(problem) => Err(problem.clone()),
            None if text.is_empty() => Ok(None),
            None => Condition::compile(text).map(Some),
        };
        Self { rule, condition }
    }

    /// How plans and the audit log name it.
    pub fn named(&self) -> RuleRef {
        RuleRef { name: self.rule.doc.text.name.clone(), version: self.rule.doc.version }
    }
}

/// Two are the same where the same rules are stored.
impl PartialEq for Book {
    fn eq(&self, other: &Self) -> bool {
        self.documents().eq(other.documents())
    }
}

impl Book {
    /// Compiles these.
    pub fn of(rules: Vec<Versioned<Rule>>) -> Self {
        let mut entries: Vec<Entry> = rules.into_iter().map(Entry::of).collect();
        entries.sort_by(|a, b| a.rule.doc.text.name.cmp(&b.rule.doc.text.name));
        Self(entries)
    }

    /// The rules as they are stored.
    pub fn documents(&self) -> impl Iterator<Item = &Versioned<Rule>> {
        self.0.iter().map(|entry| &entry.rule)
    }

    /// All of them.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The rule of this name.
    pub fn named(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.rule.doc.text.name == name)
    }

    /// Those for this remedy.
    pub fn for_action(&self, action: ActionKind) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter(move |entry| entry.rule.doc.text.action == action.as_str())
    }
}
