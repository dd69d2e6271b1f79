//! Decides what is written when a person sets a rule, and when one takes it away.

use jiff::Timestamp;

use super::record::Record;
use crate::model::{AnyDocument, ChangeSet, Removed, Versioned};
use crate::rulebook::{Book, Rule, RuleText};
use crate::rules::{MAX_RULES, WrongRule, validate};

/// The rule as it will be, and what is written. A rule that says already what is set stays as it is.
pub fn set_rule(
    rules: &Book,
    text: RuleText,
    by: &str,
    now: Timestamp,
) -> Result<(Rule, ChangeSet), WrongRule> {
    validate(&text)?;
    let mut record = Record::new(now);
    let before = rules.named(&text.name).map(|entry| &entry.rule);
    if let Some(before) = before.filter(|before| before.doc.text == text && before.doc.problem.is_none()) {
        return Ok((before.doc.clone(), record.changes));
    }
    if before.is_none() && rules.entries().len() >= MAX_RULES {
        let (expected, found) = (format!("at most {MAX_RULES} rules"), "one more".to_owned());
        return Err(WrongRule { field: "name", expected, found });
    }
    let rule = Rule {
        version: before.map_or(1, |before| before.doc.version.saturating_add(1)),
        created_at: before.map_or(now, |before| before.doc.created_at),
        set_by: by.to_owned(),
        set_at: now,
        problem: None,
        text,
    };
    record.audit_by(by, "autonomous.rule_set", &rule.text.name, "", words(&rule));
    let version = before.map_or(0, |before| before.version);
    record.changes.documents.push(Versioned { version, doc: AnyDocument::of(&rule) });
    Ok((rule, record.changes))
}

/// Takes a rule away. One that took the place of a built-in rule gives it back.
pub fn delete_rule(rule: &Versioned<Rule>, by: &str, now: Timestamp) -> ChangeSet {
    let mut record = Record::new(now);
    let text = format!("deleted; it was {}", words(&rule.doc));
    record.audit_by(by, "autonomous.rule_deleted", &rule.doc.text.name, "", text);
    record.changes.removed.push(Removed::of(rule));
    record.changes
}

/// All that a rule says, on one line, so that the audit log tells what was in force when.
fn words(rule: &Rule) -> String {
    // A rule is texts, numbers and lists of them.
    let text = serde_json::to_string(&rule.text).unwrap_or_else(|error| error.to_string());
    let problem = rule
        .problem
        .as_ref()
        .map_or_else(String::new, |why| format!(" (not all of it is understood: {why})"));
    format!("version {}: {text}{problem}", rule.version)
}
