//! The built-in rules in the form of those that people set: one for each remedy that Nimbus plans by itself.

use crate::model::ActionKind;
use crate::remedies::{self, Consent};
use crate::rulebook::{RuleText, name_of};

/// The built-in rule of a remedy; `None` where only a person orders it.
pub fn of(action: ActionKind) -> Option<RuleText> {
    let remedy = remedies::of(action);
    let auto_approve = match remedy.consent() {
        Consent::Rule => true,
        Consent::Approval => false,
        Consent::Command => return None,
    };
    let kinds: Vec<String> = remedy.answers().iter().map(|kind| format!("{:?}", kind.as_str())).collect();
    Some(RuleText {
        name: name_of(action).to_owned(),
        action: action.as_str().to_owned(),
        enabled: true,
        clusters: Vec::new(),
        namespaces: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        condition: format!("finding.kind in [{}]", kinds.join(", ")),
        auto_approve,
        windows: Vec::new(),
    })
}
