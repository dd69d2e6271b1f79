//! What the rules say of a remedy for an incident: begin it, ask a person, or leave it.
//!
//! The rules that people set come before the built-in one of the remedy. Of those that are for the case all have to agree that nobody is
//! asked. Whether a rule is for it may be unknown; then a person is asked, whatever the others say. Where no rule that somebody set is for
//! it, the built-in one counts, or the one that took its place.

use jiff::Timestamp;

use crate::calendar::{Reading, Stand, stand};
use crate::model::{ActionKind, Consent, Incident, Intended, RuleRef};
use crate::rulebook::{Entry, Facts, RuleText, name_of};
use crate::snapshot::Snapshot;

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody is asked, until then where the windows of the rules end.
    Begin(RuleRef, Option<Timestamp>),
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

/// What the rules say of what is intended about `incident`. `consent` is what the remedy needs by itself.
pub fn verdict(intended: &Intended<'_>, consent: Consent, incident: &Incident, s: &Snapshot<'_>) -> Verdict {
    let kind = intended.action.kind();
    let said = if s.rules.for_action(kind).next().is_none() {
        built_in(name_of(kind), consent)
    } else {
        by_the_rules(intended, consent, incident, s)
    };
    match said {
        Verdict::Begin(rule, until) => match wants_a_person(kind, consent, incident, s) {
            Some(why) => Verdict::Ask(rule, Some(why)),
            None => Verdict::Begin(rule, until),
        },
        Verdict::Ask(..) | Verdict::Leave(_) => said,
    }
}

fn by_the_rules(intended: &Intended<'_>, consent: Consent, incident: &Incident, s: &Snapshot<'_>) -> Verdict {
    let kind = intended.action.kind();
    let case = Case::of(intended, incident, s);
    let own = name_of(kind);
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
    let Some(first) = fitting.first() else { return case.of_built_in(consent, own, s) };
    let mut until = None;
    for entry in &fitting {
        match word(&entry.rule.doc.text, s) {
            Word::Enough(ends) => until = until.into_iter().chain(ends).min(),
            Word::Asks(why) => return Verdict::Ask(entry.named(), why),
        }
    }
    Verdict::Begin(first.named(), until)
}

fn built_in(name: &str, consent: Consent) -> Verdict {
    let rule = RuleRef { name: name.to_owned(), version: 0 };
    match consent {
        Consent::Rule => Verdict::Begin(rule, None),
        Consent::Approval | Consent::Command => Verdict::Ask(rule, None),
    }
}

/// What a rule that is for the case says of asking.
enum Word {
    /// Nobody is asked, until then where the rule's windows end.
    Enough(Option<Timestamp>),
    /// A person is; and why, where `auto_approve` alone does not say so.
    Asks(Option<String>),
}

fn word(text: &RuleText, s: &Snapshot<'_>) -> Word {
    if !text.auto_approve {
        return Word::Asks(None);
    }
    if text.windows.is_empty() {
        return Word::Enough(None);
    }
    let ends = text.windows.iter().filter_map(|window| match stand(window, Reading::Shortest, s.now) {
        Stand::Now(until) => Some(until.unwrap_or(Timestamp::MAX)),
        Stand::Later(_) => None,
    });
    match ends.max() {
        Some(until) => Word::Enough((until < Timestamp::MAX).then_some(until)),
        None => Word::Asks(Some(format!("it is outside the windows of rule {}", text.name))),
    }
}

/// Why a person is asked whatever the rules say: one denied something for this incident, so many files differ at once, or an agent does on
/// a rule's word, where its own rules ask for a person's, only what its policy names.
fn wants_a_person(
    kind: ActionKind,
    consent: Consent,
    incident: &Incident,
    s: &Snapshot<'_>,
) -> Option<String> {
    if incident.denied_digest.is_some() {
        return Some("a person denied what was planned for this incident before".to_owned());
    }
    if incident.of_many {
        return Some(format!("many files of {} differed at once, as after an upgrade", incident.cluster));
    }
    match consent {
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
    pub fn of(intended: &Intended<'_>, incident: &Incident, s: &Snapshot<'_>) -> Self {
        Self {
            places: s.places(incident),
            namespace: intended.object.namespace().to_owned(),
            facts: s.facts(incident, intended),
        }
    }

    /// Is a rule for it?
    pub fn fit(&self, entry: &Entry) -> Fit {
        let text = &entry.rule.doc.text;
        if !text.clusters.is_empty() && !text.clusters.iter().any(|name| self.places.contains(name)) {
            return Fit::No(format!("its clusters are {}", several(&text.clusters)));
        }
        if !text.namespaces.is_empty() && !text.namespaces.contains(&self.namespace) {
            return Fit::No(format!("its namespaces are {}", several(&text.namespaces)));
        }
        for (key, value) in &text.labels {
            match self.facts.label(key) {
                Some(found) if found == Some(value.as_str()) => {}
                Some(_) => return Fit::No(format!("the object has no label {key}={value}")),
                None => return Fit::Unknown(format!("label {key} of the object is not known")),
            }
        }
        match &entry.condition {
            Ok(None) => Fit::Yes,
            Ok(Some(condition)) => match condition.holds(&self.facts) {
                Ok(true) => Fit::Yes,
                Ok(false) => Fit::No("its condition does not hold".to_owned()),
                Err(why) => Fit::Unknown(format!("its condition: {why}")),
            },
            Err(why) => Fit::Unknown(format!("this version does not understand it: {why}")),
        }
    }

    /// What the built-in rule of the remedy says, or the one that took its place.
    fn of_built_in(&self, consent: Consent, name: &str, s: &Snapshot<'_>) -> Verdict {
        let Some(entry) = s.rules.named(name) else { return built_in(name, consent) };
        let text = &entry.rule.doc.text;
        let rule = entry.named();
        if !text.enabled {
            return Verdict::Leave(format!("rule {rule} is not enabled, and no other rule is for it"));
        }
        match self.fit(entry) {
            Fit::Yes => match word(text, s) {
                Word::Enough(until) => Verdict::Begin(rule, until),
                Word::Asks(why) => Verdict::Ask(rule, why),
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

/// Names for a reason that people read: the first three, and how many more.
fn several(names: &[String]) -> String {
    match names.get(3..) {
        None | Some([]) => names.join(", "),
        Some(more) => format!("{} and {} more", names[..3].join(", "), more.len()),
    }
}
