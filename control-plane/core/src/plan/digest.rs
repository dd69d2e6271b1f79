//! A plan's digest: what an approval is bound to and a job carries.
//!
//! Over everything that decides what will happen and for whom; not over the plan's id, its time or its words, so
//! that an identical re-plan keeps its approval and any difference needs a new one.

use sha2::{Digest as _, Sha256};

use crate::audit::to_hex;
use crate::model::{Action, FileFacts, Plan, Target};

/// SHA-256 (hex) over incident, cluster, agent, action with its preconditions, object, whether a person has to
/// approve, and who wants it. Every field goes in behind its length.
pub fn digest(plan: &Plan) -> String {
    let mut canonical = Canonical(Sha256::new());
    canonical.text("nimbus-plan-1");
    canonical.text(plan.incident_id.as_str());
    canonical.text(plan.cluster_uid.as_deref().unwrap_or_default());
    canonical.text(plan.agent_id.as_ref().map_or("", |id| id.as_str()));
    canonical.action(&plan.action);
    for field in [&plan.object.kind, &plan.object.namespace, &plan.object.name, &plan.object.uid] {
        canonical.text(field);
    }
    canonical.number(i64::from(plan.needs_approval));
    canonical.text(&plan.requested_by);
    to_hex(&canonical.0.finalize())
}

struct Canonical(Sha256);

impl Canonical {
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    fn target(&mut self, target: &Target) {
        for field in [&target.namespace, &target.name, &target.uid] {
            self.text(field);
        }
    }

    fn facts(&mut self, facts: &FileFacts) {
        self.text(&facts.kind);
        for number in [facts.mode, facts.uid, facts.gid] {
            self.number(number.into());
        }
        self.text(&facts.sha256);
    }

    fn action(&mut self, action: &Action) {
        self.text(action.kind().as_str());
        match action {
            Action::RestartPod { pod, owner, node, avoid_node, container, min_restarts } => {
                self.target(pod);
                self.target(owner);
                self.text(node);
                self.number(i64::from(*avoid_node));
                self.text(container);
                self.number(i64::from(*min_restarts));
            }
            Action::RollbackDeployment {
                deployment,
                generation,
                current_template_hash,
                to_replica_set,
                to_revision,
                to_template_hash,
            } => {
                self.target(deployment);
                self.number(*generation);
                self.text(current_template_hash);
                self.target(to_replica_set);
                self.text(&to_revision.to_string());
                self.text(to_template_hash);
            }
            Action::RestoreFile { root, path, expect_current, restore_to } => {
                self.text(root);
                self.text(path);
                self.facts(expect_current);
                self.facts(restore_to);
            }
            Action::AcceptBaseline { root, path, expect_current } => {
                self.text(root);
                self.text(path);
                self.facts(expect_current);
            }
        }
    }
}
