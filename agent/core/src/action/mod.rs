//! The agent's rules for each action: where it runs, whether it needs an approval, whether it is well-formed, what the
//! local policy is asked about, its preconditions, and the RBAC rights that it needs.
//!
//! One file for each action. The list at the end of this file is the only one; [`AgentRules`] has no default method,
//! so an action that is missing here, or answers a question by saying nothing, does not compile.

pub mod accept_baseline;
pub mod budget;
pub mod expand_volume;
pub mod file;
pub mod hold;
pub mod memory_pod;
pub mod memory_room;
pub mod memory_trouble;
mod object;
pub mod raise_autoscaler_maximum;
pub mod raise_memory_limit;
pub mod renew_certificate;
pub mod replica_room;
pub mod restart_pod;
pub mod restart_unit;
pub mod restore_file;
pub mod rights;
pub mod rollback_deployment;
pub mod scale_workload;
pub mod uncordon_node;
pub mod withdraw_baseline;

use nimbus_protocol::ActionKind;
use nimbus_protocol::action::Body;
use nimbus_protocol::v1;

use crate::refusal::{Code, Refusal};

/// Where an action runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the cluster that the agent watches.
    Cluster,
    /// On the agent's own host.
    Host,
}

/// Who may ask for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// The control plane by itself, or a person.
    Anyone,
    /// A person only.
    Person,
}

/// One thing that an action touches: what the local policy is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched<'a> {
    /// An object in this namespace of the job's cluster.
    Namespace(&'a str),
    /// This node of the job's cluster.
    Node(&'a str),
    /// A file below a watched root; both paths are absolute.
    Path {
        /// The watched root.
        root: &'a str,
        /// The file.
        path: &'a str,
    },
    /// This unit of the host's service manager.
    Unit(&'a str),
}

/// Verbs on one resource of the Kubernetes API, as in a rule of a ClusterRole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, such as `pods/eviction`.
    pub resource: &'static str,
    /// The verbs, sorted.
    pub verbs: &'static [&'static str],
}

/// What this agent holds of one action.
pub trait AgentRules {
    /// What is read again right before acting.
    type Found<'a>
    where
        Self: Sized;

    /// Where it runs.
    fn place(&self) -> Place;
    /// Does a person have to approve it, whatever the plan says?
    fn needs_approval(&self) -> bool;
    /// Who may ask for it.
    fn requester(&self) -> Requester;
    /// Is everything there that an executor relies on, and within bounds?
    fn well_formed(&self) -> Result<(), Refusal>;
    /// Everything it touches; never empty.
    fn touches(&self) -> Vec<Touched<'_>>;
    /// Is what it acts on still as the plan expected it? A refusal here names no job yet: see [`Refusal::of`].
    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal>
    where
        Self: Sized;
    /// The rights that it needs on the Kubernetes API, beyond watching; empty on a host.
    fn permissions() -> &'static [Permission]
    where
        Self: Sized;
}

macro_rules! actions {
    ($($name:ident),* $(,)?) => {
        /// The rules of this action.
        pub fn rules(action: &Body) -> &dyn AgentRules {
            match action { $(Body::$name(action) => action),* }
        }

        /// The rights that an action of this kind needs on the Kubernetes API, beyond watching.
        pub fn permissions(kind: ActionKind) -> &'static [Permission] {
            match kind { $(ActionKind::$name => <v1::$name as AgentRules>::permissions()),* }
        }
    };
}

actions! { RestartPod, RollbackDeployment, RestoreFile, AcceptBaseline, UncordonNode, WithdrawBaseline, RaiseMemoryLimit, RestartUnit, ExpandVolume, RaiseAutoscalerMaximum, ScaleWorkload, RenewCertificate }

fn malformed(field: &str, expected: &str) -> Result<(), Refusal> {
    Err(Refusal::new(Code::Malformed, format!("{field}: expected {expected}, found something else")))
}

fn unexpected(reason: String) -> Refusal {
    Refusal::new(Code::PreconditionFailed, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_touches_something_and_only_the_cluster_needs_rights() {
        let bodies = [
            Body::RestartPod(v1::RestartPod::default()),
            Body::RollbackDeployment(v1::RollbackDeployment::default()),
            Body::RestoreFile(v1::RestoreFile::default()),
            Body::AcceptBaseline(v1::AcceptBaseline::default()),
            Body::UncordonNode(v1::UncordonNode::default()),
            Body::WithdrawBaseline(v1::WithdrawBaseline::default()),
            Body::RaiseMemoryLimit(v1::RaiseMemoryLimit::default()),
            Body::RestartUnit(v1::RestartUnit::default()),
            Body::ExpandVolume(v1::ExpandVolume::default()),
            Body::RaiseAutoscalerMaximum(v1::RaiseAutoscalerMaximum::default()),
            Body::ScaleWorkload(v1::ScaleWorkload::default()),
            Body::RenewCertificate(v1::RenewCertificate::default()),
        ];
        assert_eq!(bodies.len(), ActionKind::ALL.len());
        for body in &bodies {
            let (rules, kind) = (rules(body), body.kind());
            assert!(!rules.touches().is_empty(), "{kind}");
            assert_eq!(permissions(kind).is_empty(), rules.place() == Place::Host, "{kind}");
            assert!(rules.well_formed().is_err(), "{kind}: an empty message is no action");
            for permission in permissions(kind) {
                assert!(permission.verbs.is_sorted() && !permission.verbs.is_empty(), "{permission:?}");
            }
        }
    }
}
