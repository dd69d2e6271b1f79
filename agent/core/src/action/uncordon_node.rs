//! The agent's rules for `uncordon_node`, the action that makes a node schedulable again when one of Nimbus's jobs left
//! it cordoned.

use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;

use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::refusal::Refusal;

impl AgentRules for v1::UncordonNode {
    /// The node of that name; `None` when there is none any more.
    type Found<'a> = Option<&'a v1::Node>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// Whoever closed a node may have had a reason that only a person knows.
    fn needs_approval(&self) -> bool {
        true
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        let named = self
            .node
            .as_ref()
            .is_some_and(|n| n.namespace.is_empty() && !n.name.is_empty() && !n.uid.is_empty());
        if !named {
            return malformed("uncordon_node.node", "a node's name and UID, without a namespace");
        }
        if self.cordoned_by.parse::<JobId>().is_err() {
            return malformed("uncordon_node.cordoned_by", "a job's id");
        }
        Ok(())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Node(self.node.as_ref().map_or("", |node| node.name.as_str()))]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let name = self.node.as_ref().map_or("", |node| node.name.as_str());
        let Some(node) = found else {
            return Err(unexpected(format!("expected node {name}, found none")));
        };
        object::same("node", self.node.as_ref(), node.meta.as_ref())?;
        if self.held {
            let by = node.facts.as_ref().map_or("", |facts| facts.held_by.as_str());
            if by != self.cordoned_by {
                return Err(unexpected(format!(
                    "expected node {name} held by job {}, found its taint {by:?}",
                    self.cordoned_by
                )));
            }
            return Ok(());
        }
        if !node.unschedulable || node.cordoned_by != self.cordoned_by {
            return Err(unexpected(format!(
                "expected node {name} cordoned by job {}, found it {} and its annotation {:?}",
                self.cordoned_by,
                if node.unschedulable { "cordoned" } else { "open" },
                node.cordoned_by
            )));
        }
        Ok(())
    }

    fn permissions() -> &'static [Permission] {
        &[Permission { group: "", resource: "nodes", verbs: &["get", "patch"] }]
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::tests::meta;
    use super::*;
    use crate::refusal::Code;

    fn action() -> v1::UncordonNode {
        let node = v1::Target { namespace: String::new(), name: "n1".into(), uid: "u1".into() };
        v1::UncordonNode { node: Some(node), cordoned_by: format!("job_{:032x}", 7), held: false }
    }

    fn cordoned() -> v1::Node {
        let by = format!("job_{:032x}", 7);
        v1::Node { meta: meta("u1", ""), unschedulable: true, cordoned_by: by, ..Default::default() }
    }

    #[test]
    fn only_the_cordon_of_that_very_job_is_lifted() {
        assert_eq!(action().well_formed(), Ok(()));
        assert_eq!(action().preconditions(Some(&cordoned())), Ok(()));
        let changes: [fn(&mut v1::Node); 4] = [
            |n| n.meta = meta("u2", ""),
            |n| n.unschedulable = false,
            |n| n.cordoned_by.clear(),
            |n| n.cordoned_by = format!("job_{:032x}", 8),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut node = cordoned();
            change(&mut node);
            let refusal = action().preconditions(Some(&node)).expect_err(&number.to_string());
            assert_eq!(refusal.code, Code::PreconditionFailed);
        }
        assert!(action().preconditions(None).is_err());
        // The taint is another thing than the cordon.
        let held = v1::UncordonNode { held: true, ..action() };
        assert!(held.preconditions(Some(&cordoned())).is_err());
        let facts = v1::NodeFacts { held_by: action().cordoned_by, ..Default::default() };
        let tainted = v1::Node { meta: meta("u1", ""), facts: Some(facts), ..Default::default() };
        assert_eq!(held.preconditions(Some(&tainted)), Ok(()));
        assert!(action().preconditions(Some(&tainted)).is_err());
        assert!(v1::UncordonNode { cordoned_by: "me".into(), ..action() }.well_formed().is_err());
    }
}
