//! The built-in rules in the form of those that people set: one for each remedy that Nimbus plans by itself.

use crate::model::{ActionKind, RuleText};
use crate::remedies::{self, Consent};

/// What the built-in rule of a remedy is called. A rule of that name takes its place.
pub fn name(action: ActionKind) -> &'static str {
    match action {
        ActionKind::RestartPod => "restart-pod",
        ActionKind::RollbackDeployment => "rollback-deployment",
        ActionKind::RestoreFile => "restore-file",
        ActionKind::AcceptBaseline => "accept-baseline",
        ActionKind::UncordonNode => "uncordon-node",
        ActionKind::WithdrawBaseline => "withdraw-baseline",
        ActionKind::RaiseMemoryLimit => "raise-memory-limit",
        ActionKind::RestartUnit => "restart-unit",
        ActionKind::ExpandVolume => "expand-volume",
    }
}

/// The remedy whose built-in rule is called so.
pub fn action_of(rule: &str) -> Option<ActionKind> {
    ActionKind::ALL.iter().copied().find(|action| name(*action) == rule)
}

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
        name: name(action).to_owned(),
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
