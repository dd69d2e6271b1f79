//! The agent's rules for `accept_baseline`, the action that makes the present state of a watched file its new baseline.

use nimbus_protocol::v1;

use super::{AgentRules, Permission, Place, Requester, Touched, file};
use crate::refusal::Refusal;

impl AgentRules for v1::AcceptBaseline {
    /// The file as it is now.
    type Found<'a> = &'a v1::FileState;

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
        file::below_root("accept_baseline", &self.root, &self.path)?;
        file::acceptable("accept_baseline.expect_current", self.expect_current.as_ref())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Path { root: &self.root, path: &self.path }]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        file::as_expected(self.expect_current.as_ref(), found)
    }

    fn permissions() -> &'static [Permission] {
        &[]
    }
}
