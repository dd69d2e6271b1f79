//! Whether a rule that a person wrote can be taken: each field has its bound, and what is wrong is said with its place.

use super::built_in;
use crate::model::{ActionKind, Agent, Mode, Scope};
use crate::remedies::{self, Consent, Place};
use crate::rulebook::facts::OF_CONTROLLERS;
use crate::rulebook::{Condition, RuleText, action_of};
use crate::settings::calendar;
use crate::snapshot::Snapshot;

/// Most rules that people can set.
pub const MAX_RULES: usize = 200;
/// Most clusters, and most namespaces, of one rule.
pub const MAX_PLACES: usize = 64;
/// Most labels of one rule.
pub const MAX_LABELS: usize = 16;
/// Most windows of one rule.
pub const MAX_WINDOWS: usize = 16;
/// Longest name, characters.
const MAX_NAME: usize = 63;
/// Longest name of a cluster or a host, characters.
const MAX_PLACE: usize = 253;
/// Longest key of a label, with its prefix, characters.
const MAX_KEY: usize = 317;

/// Most agents that are named as letting less go.
const MOST_NARROWER: usize = 20;

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRule {
    /// The field.
    pub field: &'static str,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

fn wrong(field: &'static str, expected: impl Into<String>, found: impl Into<String>) -> WrongRule {
    WrongRule { field, expected: expected.into(), found: found.into() }
}

/// Is every field of a rule in order by itself?
pub fn validate(text: &RuleText) -> Result<(), WrongRule> {
    let is_name = |name: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=MAX_NAME).contains(&name.len())
            && name.chars().all(plain)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    if !is_name(&text.name) {
        let expected = format!("1 to {MAX_NAME} small letters, digits and dashes, no dash first or last");
        return Err(wrong("name", expected, format!("{:?}", cut(&text.name))));
    }
    let Some(action) = text.kind() else {
        return Err(wrong("action", planned_words(), format!("{:?}", cut(&text.action))));
    };
    match remedies::of(action).consent() {
        Consent::Rule | Consent::Approval => {}
        Consent::Command => {
            return Err(wrong("action", planned_words(), format!("{action}, which only a person orders")));
        }
    }
    if let Some(other) = action_of(&text.name).filter(|other| *other != action) {
        let expected = format!("{other}, as the rule takes the place of the built-in one of that name");
        return Err(wrong("action", expected, action.as_str()));
    }
    words("clusters", &text.clusters, MAX_PLACE)?;
    words("namespaces", &text.namespaces, MAX_NAME)?;
    if text.labels.len() > MAX_LABELS {
        return Err(wrong("labels", format!("at most {MAX_LABELS}"), text.labels.len().to_string()));
    }
    let odd = |word: &String, longest| word.chars().count() > longest || word.chars().any(char::is_control);
    let wrong_label =
        |(key, value): &(&String, &String)| key.is_empty() || odd(key, MAX_KEY) || odd(value, MAX_NAME);
    if let Some((key, _)) = text.labels.iter().find(wrong_label) {
        return Err(wrong("labels", "labels as Kubernetes has them", format!("{:?}", cut(key))));
    }
    let of_controllers = OF_CONTROLLERS.into_iter().find(|key| text.labels.contains_key(*key));
    if let Some(key) = of_controllers {
        return Err(wrong("labels", "labels that people give: by others controllers tell pods apart", key));
    }
    if let Some(key) = OF_CONTROLLERS.into_iter().find(|key| text.condition.contains(key)) {
        return Err(wrong("condition", "no label by which controllers tell pods apart", key));
    }
    if !text.condition.is_empty() {
        Condition::compile(&text.condition).map_err(|why| wrong("condition", "a condition", why))?;
    }
    windows(text)
}

fn windows(text: &RuleText) -> Result<(), WrongRule> {
    if text.windows.len() > MAX_WINDOWS {
        return Err(wrong("windows", format!("at most {MAX_WINDOWS}"), text.windows.len().to_string()));
    }
    if !text.windows.is_empty() && !text.auto_approve {
        return Err(wrong(
            "windows",
            "none, as they say when nobody is asked and `auto_approve` is false",
            "some",
        ));
    }
    calendar::validate(&text.windows).map_err(|(expected, found)| wrong("windows", expected, found))?;
    for period in &text.windows {
        if !period.actions.is_empty() || !period.clusters.is_empty() {
            let found = format!("window {:?} with its own", period.name);
            return Err(wrong("windows", "the rule's own action and clusters alone", found));
        }
    }
    Ok(())
}

fn words(field: &'static str, words: &[String], longest: usize) -> Result<(), WrongRule> {
    if words.len() > MAX_PLACES {
        return Err(wrong(field, format!("at most {MAX_PLACES}"), words.len().to_string()));
    }
    let bad = |word: &&String| {
        word.is_empty() || word.chars().count() > longest || word.chars().any(char::is_control)
    };
    match words.iter().find(bad) {
        None => Ok(()),
        Some(word) => Err(wrong(
            field,
            "whole names; patterns such as * are not understood",
            format!("{:?}", cut(word)),
        )),
    }
}

fn planned_words() -> String {
    let planned = ActionKind::ALL.iter().filter(|action| built_in::of(**action).is_some());
    let words: Vec<&str> = planned.map(|action| action.as_str()).collect();
    format!("one of {}", words.join(", "))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The agents that let less go by a rule's word than this rule says, each in a sentence. An error where the rule could nowhere do what it
/// says, or names a place where it cannot: it is wider than the agent's own policy.
pub fn narrower(text: &RuleText, s: &Snapshot<'_>) -> Result<Vec<String>, WrongRule> {
    let Some(action) = text.kind() else { return Ok(Vec::new()) };
    let (mut narrower, mut served) = (Vec::new(), 0);
    for (place, named, agent) in acting(action, text, s) {
        match less(text, agent) {
            None => served += 1,
            Some((field, expected, found)) if named => {
                return Err(wrong(field, expected, format!("{found} ({place})")));
            }
            Some((_, _, found)) => narrower.push(format!("{place}: {found}")),
        }
    }
    if served == 0
        && let Some(first) = narrower.first()
    {
        let expected =
            "an agent whose own policy allows it; allow it there, or set the rule for other clusters";
        return Err(wrong("auto_approve", expected, first.clone()));
    }
    narrower.extend(
        text.clusters
            .iter()
            .filter(|name| !is_called(name, s))
            .map(|name| format!("no cluster and no host is called {name:?}")),
    );
    if narrower.len() > MOST_NARROWER {
        let more = narrower.len() - MOST_NARROWER;
        narrower.truncate(MOST_NARROWER);
        narrower.push(format!("and {more} more"));
    }
    Ok(narrower)
}

fn is_called(name: &str, s: &Snapshot<'_>) -> bool {
    s.clusters.iter().any(|cluster| cluster.doc.name == name || cluster.doc.uid == name)
        || s.agents.iter().any(|agent| agent.doc.name == name || agent.doc.id.to_string() == name)
}

/// The connected agents that would act on the rule's word: in words where, whether the rule names that place, and which agent. What an
/// agent that is not connected allows is asked when it acts; it is no reason to refuse a rule.
fn acting<'a>(action: ActionKind, text: &RuleText, s: &Snapshot<'a>) -> Vec<(String, bool, &'a Agent)> {
    let everywhere = text.clusters.is_empty();
    match remedies::of(action).place() {
        Place::Cluster => {
            let clusters = s.clusters.iter().map(|cluster| &cluster.doc);
            let there = clusters.filter_map(|cluster| {
                let named = text.clusters.contains(&cluster.name) || text.clusters.contains(&cluster.uid);
                let enabled = match cluster.mode {
                    Mode::Recommend | Mode::Act => cluster.enabled.contains(&action),
                    Mode::Off | Mode::Observe => false,
                };
                let agent = s.actor(&Scope::Cluster(cluster.uid.clone())).ok()?;
                (named || (everywhere && enabled))
                    .then(|| (format!("cluster {}", cluster.name), named, agent))
            });
            there.collect()
        }
        Place::Host => {
            let agents = s.agents.iter().map(|agent| &agent.doc);
            let there = agents.filter_map(|agent| {
                let named =
                    text.clusters.contains(&agent.name) || text.clusters.contains(&agent.id.to_string());
                // Nobody wants it done on a host whose policy does not allow it at all.
                let allows = agent.allowed_actions.contains(&text.action);
                // The files and units of a cluster's nodes are that cluster's, too.
                let uid = agent.bound_cluster.as_ref().or(agent.cluster_uid.as_ref());
                let of_named = uid.is_some_and(|uid| {
                    let name = s.cluster(uid).map(|cluster| &cluster.name);
                    text.clusters.contains(uid) || name.is_some_and(|name| text.clusters.contains(name))
                });
                let is_it = named || of_named || (everywhere && allows);
                (is_it && s.actor(&Scope::Host(agent.id)).is_ok())
                    .then(|| (format!("host {}", agent.name), named, agent))
            });
            there.collect()
        }
    }
}

/// What the policy of an agent allows less than the rule.
fn less(text: &RuleText, agent: &Agent) -> Option<(&'static str, String, String)> {
    let has = |words: &[String]| words.contains(&text.action);
    if !has(&agent.allowed_actions) {
        let found = format!("agent {} does not allow {}", agent.name, text.action);
        return Some(("action", "what the agent's own policy allows (`allow`)".to_owned(), found));
    }
    let asks = text.kind().is_some_and(|kind| match remedies::of(kind).consent() {
        Consent::Rule => false,
        Consent::Approval | Consent::Command => true,
    });
    if text.auto_approve && asks && !has(&agent.automatic_actions) {
        let expected = "false, or an agent whose own policy names the action in `auto`".to_owned();
        let found =
            format!("true, and agent {} takes {} with a person's word alone", agent.name, text.action);
        return Some(("auto_approve", expected, found));
    }
    None
}
