//! What the rules say of a remedy for an incident: begin it, ask a person, or leave it.
//!
//! The rules that people set come before the built-in one of the remedy. Of those that are for the case all have to agree that nobody is
//! asked. Whether a rule is for it may be unknown; then a person is asked, whatever the others say. Where no rule that somebody set is for
//! it, the built-in one counts, or the one that took its place.

use nimbus_protocol::action::Body;

use super::book::Entry;
use super::built_in;
use super::facts::Facts;
use crate::calendar::{Reading, Stand, stand};
use crate::model::{ActionKind, Incident, RuleRef, RuleText};
use crate::remedies::{self, Consent};
use crate::snapshot::Snapshot;

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody is asked.
    Begin(RuleRef),
    /// A person is asked; and why, where the rule alone does not say so.
    Ask(RuleRef, Option<String>),
    /// No rule is for it: it is not done; why.
    Leave(String),
}

/// Is a rule for the case?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It is.
    Yes,
    /// It is not; what differs.
    No(String),
    /// That is not known; why.
    Unknown(String),
}

/// What the rules say of doing `action` about `incident`.
pub fn verdict(action: &Body, incident: &Incident, s: &Snapshot<'_>) -> Verdict {
    let kind = action.kind();
    let case = Case::of(action, incident, s);
    let own = built_in::name(kind);
    let mut fitting = Vec::new();
    for entry in s.rules.for_action(kind).filter(|entry| entry.rule.doc.text.name != own) {
        if !entry.rule.doc.text.enabled {
            continue;
        }
        match case.fit(entry) {
            Fit::Yes => fitting.push(entry),
            Fit::No(_) => {}
            Fit::Unknown(why) => {
                let why = format!("whether rule {} is for it is unknown: {why}", entry.named());
                return Verdict::Ask(entry.named(), Some(why));
            }
        }
    }
    let said = match fitting.first() {
        Some(first) => {
            let asks = fitting.iter().find_map(|entry| asks(&entry.rule.doc.text, s).map(|why| (entry, why)));
            match asks {
                Some((entry, why)) => Verdict::Ask(entry.named(), why),
                None => Verdict::Begin(first.named()),
            }
        }
        None => case.of_built_in(kind, own, s),
    };
    match said {
        Verdict::Begin(rule) => match needs_more(kind, incident, s) {
            Some(why) => Verdict::Ask(rule, Some(why)),
            None => Verdict::Begin(rule),
        },
        Verdict::Ask(..) | Verdict::Leave(_) => said,
    }
}

/// Why a person is asked although a rule that is for it may be: `None`: nobody is.
#[allow(clippy::option_option, reason = "whether one is asked, and why where the rule alone does not say it")]
fn asks(text: &RuleText, s: &Snapshot<'_>) -> Option<Option<String>> {
    if !text.auto_approve {
        return Some(None);
    }
    let now = |period| matches!(stand(period, Reading::Shortest, s.now), Stand::Now(_));
    if text.windows.is_empty() || text.windows.iter().any(now) {
        return None;
    }
    Some(Some(format!("it is outside the windows of rule {}", text.name)))
}

/// What an agent does on a rule's word where its own rules ask for a person's its policy has to name.
fn needs_more(kind: ActionKind, incident: &Incident, s: &Snapshot<'_>) -> Option<String> {
    match remedies::of(kind).consent() {
        Consent::Rule => return None,
        Consent::Approval | Consent::Command => {}
    }
    let agent = match s.actor(&incident.scope) {
        Ok(agent) => agent,
        Err(why) => return Some(format!("what its policy takes without a person's word is unknown: {why}")),
    };
    let named = agent.automatic_actions.iter().any(|word| word == kind.as_str());
    (!named).then(|| {
        format!(
            "the policy of agent {} does not name {kind} in `auto`, so that it wants a person's word",
            agent.name
        )
    })
}

/// An incident, and what would be done about it.
pub struct Case {
    places: Vec<String>,
    namespace: String,
    facts: Facts,
}

impl Case {
    /// This one.
    pub fn of(action: &Body, incident: &Incident, s: &Snapshot<'_>) -> Self {
        Self {
            places: s.places(incident),
            namespace: incident.object.namespace().to_owned(),
            facts: Facts::of(incident, action, s),
        }
    }

    /// Is a rule for it?
    pub fn fit(&self, entry: &Entry) -> Fit {
        let text = &entry.rule.doc.text;
        if !text.clusters.is_empty() && !text.clusters.iter().any(|name| self.places.contains(name)) {
            return Fit::No(format!("its clusters are {}", text.clusters.join(", ")));
        }
        if !text.namespaces.is_empty() && !text.namespaces.contains(&self.namespace) {
            return Fit::No(format!("its namespaces are {}", text.namespaces.join(", ")));
        }
        if !text.labels.is_empty() {
            let Some(labels) = self.facts.labels() else {
                return Fit::Unknown("the labels of the object are not told".to_owned());
            };
            if let Some((key, value)) =
                text.labels.iter().find(|(key, value)| labels.get(*key) != Some(value))
            {
                return Fit::No(format!("the object has no label {key}={value}"));
            }
        }
        match &entry.condition {
            Ok(None) => Fit::Yes,
            Ok(Some(condition)) => match condition.holds(&self.facts) {
                Ok(true) => Fit::Yes,
                Ok(false) => Fit::No("its condition does not hold".to_owned()),
                Err(why) => Fit::Unknown(format!("its condition: {why}")),
            },
            Err(why) => Fit::Unknown(format!("this version does not understand its condition: {why}")),
        }
    }

    /// What the built-in rule of the remedy says, or the one that took its place.
    fn of_built_in(&self, kind: ActionKind, name: &str, s: &Snapshot<'_>) -> Verdict {
        let built_in = RuleRef { name: name.to_owned(), version: 0 };
        let Some(entry) = s.rules.named(name) else {
            return match remedies::of(kind).consent() {
                Consent::Rule => Verdict::Begin(built_in),
                Consent::Approval | Consent::Command => Verdict::Ask(built_in, None),
            };
        };
        let text = &entry.rule.doc.text;
        let rule = entry.named();
        if !text.enabled {
            return Verdict::Leave(format!("rule {rule} is not enabled, and no other rule is for it"));
        }
        match self.fit(entry) {
            Fit::Yes => match asks(text, s) {
                Some(why) => Verdict::Ask(rule, why),
                None => Verdict::Begin(rule),
            },
            Fit::No(why) => {
                Verdict::Leave(format!("rule {rule} is not for it ({why}), and no other rule is"))
            }
            Fit::Unknown(why) => {
                let why = format!("whether rule {rule} is for it is unknown: {why}");
                Verdict::Ask(rule, Some(why))
            }
        }
    }
}
