//! The agent's rules for `rollback_deployment`, the action that returns a Deployment's pod template to that of an
//! earlier revision.

use nimbus_protocol::v1;

use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::refusal::Refusal;

/// The Deployment and the ReplicaSet to go back to, as read now; `None` for what no longer exists.
#[derive(Debug, Clone, Copy)]
pub struct RolloutNow<'a> {
    /// The Deployment.
    pub deployment: Option<&'a v1::Deployment>,
    /// The ReplicaSet of the good revision.
    pub to_replica_set: Option<&'a v1::ReplicaSet>,
}

impl AgentRules for v1::RollbackDeployment {
    type Found<'a> = RolloutNow<'a>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// It takes away what somebody rolled out on purpose.
    fn needs_approval(&self) -> bool {
        true
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        object::named("rollback_deployment.deployment", self.deployment.as_ref())?;
        object::named("rollback_deployment.to_replica_set", self.to_replica_set.as_ref())?;
        let hashes = [&self.current_template_hash, &self.to_template_hash];
        if hashes.iter().any(|h| h.len() != 32) || hashes[0] == hashes[1] {
            return malformed("rollback_deployment", "two different template hashes of 32 bytes");
        }
        object::same_namespace(self.deployment.as_ref(), self.to_replica_set.as_ref())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        let objects = [self.deployment.as_ref(), self.to_replica_set.as_ref()];
        objects.map(|target| Touched::Namespace(object::namespace(target))).to_vec()
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let wanted = self.deployment.as_ref();
        let Some(deployment) = found.deployment else {
            return Err(unexpected(format!("expected Deployment {}, found none", object::name(wanted))));
        };
        let meta = object::same("Deployment", wanted, deployment.meta.as_ref())?;
        // The templates are what was approved: scaling, which makes another generation too, changes nothing about them.
        if self.generation != 0 && deployment.generation != self.generation {
            let found = deployment.generation;
            return Err(unexpected(format!("expected generation {}, found {found}", self.generation)));
        }
        if deployment.template_hash != self.current_template_hash {
            return Err(unexpected(
                "expected the pod template that was planned on, found another".to_owned(),
            ));
        }
        if deployment.paused {
            return Err(unexpected(
                "expected a Deployment that is not paused, found a paused one".to_owned(),
            ));
        }
        if !deployment.manager.is_empty() {
            return Err(unexpected(format!(
                "expected a Deployment that nobody else manages, found {} ({})",
                deployment.manager, deployment.manager_evidence
            )));
        }
        let wanted = self.to_replica_set.as_ref();
        let Some(good) = found.to_replica_set else {
            return Err(unexpected(format!("expected ReplicaSet {}, found none", object::name(wanted))));
        };
        let good_meta = object::same("ReplicaSet", wanted, good.meta.as_ref())?;
        if good_meta.owner_uid != meta.uid {
            let owner = &good_meta.owner_name;
            return Err(unexpected(format!(
                "expected a ReplicaSet of this Deployment, found owner {owner:?}"
            )));
        }
        if good.revision != self.to_revision || good.template_hash != self.to_template_hash {
            return Err(unexpected(format!(
                "expected revision {} with its pod template, found revision {}",
                self.to_revision, good.revision
            )));
        }
        Ok(())
    }

    fn permissions() -> &'static [Permission] {
        &[
            Permission { group: "apps", resource: "deployments", verbs: &["get", "patch"] },
            Permission { group: "apps", resource: "replicasets", verbs: &["get"] },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::tests::{meta, target};
    use super::*;
    use crate::refusal::Code;

    fn rollback() -> (v1::RollbackDeployment, v1::Deployment, v1::ReplicaSet) {
        let action = v1::RollbackDeployment {
            deployment: target("d1"),
            generation: 7,
            current_template_hash: vec![1; 32],
            to_replica_set: target("r1"),
            to_revision: 3,
            to_template_hash: vec![2; 32],
        };
        let deployment = v1::Deployment {
            meta: meta("d1", ""),
            generation: 7,
            template_hash: vec![1; 32],
            ..Default::default()
        };
        let good = v1::ReplicaSet {
            meta: meta("r1", "d1"),
            revision: 3,
            template_hash: vec![2; 32],
            ..Default::default()
        };
        (action, deployment, good)
    }

    #[test]
    fn an_unchanged_rollout_may_be_rolled_back() {
        let (action, deployment, good) = rollback();
        assert_eq!(action.well_formed(), Ok(()));
        let now = RolloutNow { deployment: Some(&deployment), to_replica_set: Some(&good) };
        assert_eq!(action.preconditions(now), Ok(()));
    }

    #[test]
    fn without_a_generation_only_the_templates_are_bound() {
        let (action, deployment, good) = rollback();
        let action = v1::RollbackDeployment { generation: 0, ..action };
        assert_eq!(action.well_formed(), Ok(()));
        let scaled = v1::Deployment { generation: 99, desired: 12, ..deployment };
        let now = RolloutNow { deployment: Some(&scaled), to_replica_set: Some(&good) };
        assert_eq!(action.preconditions(now), Ok(()));
        let changed = v1::Deployment { template_hash: vec![9; 32], ..scaled };
        let now = RolloutNow { deployment: Some(&changed), to_replica_set: Some(&good) };
        assert_eq!(action.preconditions(now).unwrap_err().code, Code::PreconditionFailed);
    }

    #[test]
    fn any_change_of_the_rollout_refuses() {
        let (action, deployment, good) = rollback();
        let changes: [fn(&mut v1::Deployment, &mut v1::ReplicaSet); 10] = [
            |d, _| d.meta = meta("d2", ""),
            |d, _| d.meta.as_mut().unwrap().deleting_since_us = 1,
            |d, _| d.generation = 8,
            |d, _| d.template_hash = vec![9; 32],
            |d, _| d.paused = true,
            |d, _| d.manager = "argocd".into(),
            |_, r| r.meta = meta("r2", "d1"),
            |_, r| r.meta = meta("r1", "d2"),
            |_, r| r.revision = 4,
            |_, r| r.template_hash = vec![9; 32],
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (mut deployment, mut good) = (deployment.clone(), good.clone());
            change(&mut deployment, &mut good);
            let now = RolloutNow { deployment: Some(&deployment), to_replica_set: Some(&good) };
            action.preconditions(now).expect_err(&number.to_string());
        }
        for now in [
            RolloutNow { deployment: None, to_replica_set: Some(&good) },
            RolloutNow { deployment: Some(&deployment), to_replica_set: None },
        ] {
            assert_eq!(action.preconditions(now).unwrap_err().code, Code::PreconditionFailed);
        }
    }
}
