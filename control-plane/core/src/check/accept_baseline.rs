//! The independent check of `accept_baseline` plans: the file must still be in the state that the plan accepts.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1;

use super::{ActionRules, Authority, Location, Violations, file, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;

impl ActionRules for v1::AcceptBaseline {
    fn authority(&self) -> Authority {
        Authority::Requester
    }

    fn acts_in(&self) -> Location {
        Location::Host
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[]
    }

    fn node(&self) -> Option<&str> {
        None
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(expect) = &self.expect_current else {
            return require(found, 3, false, || "the plan does not say what it expects".to_owned());
        };
        file::file(found, plan, snapshot, (&self.root, &self.path), expect, None);
    }

    fn check_at_dispatch(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}
