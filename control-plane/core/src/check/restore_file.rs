//! Whether putting a file back still is about what is there.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1;

use super::{ActionRules, Behind, Violations, Where, file, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;

impl ActionRules for v1::RestoreFile {
    fn behind(&self) -> Behind {
        Behind::Approver
    }

    fn acts_in(&self) -> Where {
        Where::Host
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[]
    }

    fn node(&self) -> Option<&str> {
        None
    }

    fn closes(&self) -> bool {
        false
    }

    fn judge(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let (Some(expect), Some(to)) = (&self.expect_current, &self.restore_to) else {
            return require(found, 3, false, || "the order says not what it expects or restores".to_owned());
        };
        file::file(found, plan, snapshot, (&self.root, &self.path), expect, Some(to));
    }

    fn judge_now(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}
