//! Whether taking back an accepted baseline is about the one in force, as far as the control plane can see.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1;

use super::{ActionRules, Behind, Violations, Where, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;

impl ActionRules for v1::WithdrawBaseline {
    fn behind(&self) -> Behind {
        Behind::Requester
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

    /// A file that does not differ from its baseline is not reported, and its agent alone knows that baseline; of one that
    /// differs the baseline is known here too.
    fn judge(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(expect) = &self.expect_baseline else {
            return require(found, 3, false, || {
                "the order does not say which baseline it takes back".to_owned()
            });
        };
        let host = plan.scope.host().and_then(|agent| snapshot.world.hosts.get(&agent));
        require(found, 3, host.is_some(), || "nothing was reported of that host".to_owned());
        let Some(drifted) = host.and_then(|host| host.files.get(&self.path)) else { return };
        require(found, 3, drifted.root == self.root, || {
            format!("{} is watched under {}, not {}", self.path, drifted.root, self.root)
        });
        require(found, 3, &drifted.baseline == expect, || {
            format!("the baseline of {} is not the accepted one any more", self.path)
        });
    }

    fn judge_now(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}
