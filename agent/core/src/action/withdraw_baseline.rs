//! The agent's rules for `withdraw_baseline`, the action that makes the baseline before an accepted one apply again.

use nimbus_protocol::v1;

use super::{AgentRules, Permission, Place, Requester, Touched, file, unexpected};
use crate::refusal::Refusal;

/// What the agent keeps of a path, read right before it acts.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// The baseline in force.
    pub baseline: &'a v1::FileState,
    /// Is the baseline before it kept?
    pub has_earlier: bool,
}

impl AgentRules for v1::WithdrawBaseline {
    type Found<'a> = Kept<'a>;

    fn place(&self) -> Place {
        Place::Host
    }

    /// The file stays as it is, and a person asked for it.
    fn needs_approval(&self) -> bool {
        false
    }

    /// What counts as true is a person's decision.
    fn requester(&self) -> Requester {
        Requester::Person
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        file::below_root("withdraw_baseline", &self.root, &self.path)?;
        file::acceptable("withdraw_baseline.expect_baseline", self.expect_baseline.as_ref())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Path { root: &self.root, path: &self.path }]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        file::as_expected(self.expect_baseline.as_ref(), found.baseline).map_err(|mut refusal| {
            refusal.reason = format!("the accepted baseline is not the one in force: {}", refusal.reason);
            refusal
        })?;
        if found.has_earlier {
            return Ok(());
        }
        Err(unexpected(
            "expected the baseline before the accepted one, found none kept: one acceptance can be withdrawn, the last \
             one"
            .to_owned(),
        ))
    }

    fn permissions() -> &'static [Permission] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Code;

    #[test]
    fn only_the_acceptance_in_force_is_withdrawn_and_only_where_there_is_something_to_go_back_to() {
        let facts = v1::FileFacts {
            kind: "file".into(),
            mode: 0o644,
            uid: 1,
            gid: 2,
            sha256: vec![1; 32],
            ..Default::default()
        };
        let state = |hash| v1::FileState {
            kind: "file".into(),
            mode: 0o644,
            uid: 1,
            gid: 2,
            size: 5,
            sha256: vec![hash; 32],
            problem: String::new(),
            attributes: None,
        };
        let action = v1::WithdrawBaseline { expect_baseline: Some(facts), ..Default::default() };
        let ask =
            |baseline: &v1::FileState, has_earlier| action.preconditions(Kept { baseline, has_earlier });
        assert_eq!(ask(&state(1), true), Ok(()));
        let other = ask(&state(2), true).unwrap_err();
        assert!(other.code == Code::PreconditionFailed && other.reason.contains("in force"), "{other:?}");
        assert!(ask(&state(1), false).unwrap_err().reason.contains("none kept"));
        let nothing_said = v1::WithdrawBaseline::default();
        assert!(nothing_said.preconditions(Kept { baseline: &state(1), has_earlier: true }).is_err());
    }
}
