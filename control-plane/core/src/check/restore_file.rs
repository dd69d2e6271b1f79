//! The independent check of `restore_file` plans: the file and its baseline must still be as the plan expects.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1;

use super::{ActionRules, Authority, Location, Violations, file, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;

impl ActionRules for v1::RestoreFile {
    fn authority(&self) -> Authority {
        Authority::Approver
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
        let (Some(expect), Some(to)) = (&self.expect_current, &self.restore_to) else {
            return require(found, 3, false, || {
                "the plan does not say what it expects or restores".to_owned()
            });
        };
        file::file(found, plan, snapshot, (&self.root, &self.path), expect, Some(to));
    }

    fn check_at_dispatch(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}
