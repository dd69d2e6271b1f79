//! What the built-in rules are called.

use crate::model::ActionKind;

/// What the built-in rule of a remedy is called. A rule of that name takes its place.
pub fn name_of(action: ActionKind) -> &'static str {
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
        ActionKind::RaiseAutoscalerMaximum => "raise-autoscaler-maximum",
        ActionKind::ScaleWorkload => "scale-workload",
        ActionKind::RenewCertificate => "renew-certificate",
    }
}

/// The remedy whose built-in rule is called so.
pub fn action_of(rule: &str) -> Option<ActionKind> {
    ActionKind::ALL.iter().copied().find(|action| name_of(*action) == rule)
}
