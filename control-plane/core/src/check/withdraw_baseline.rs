//! The independent check of `withdraw_baseline` plans: the baseline must be the accepted one in force, as far as the
//! control plane knows.

use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1;

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;

impl ActionRules for v1::WithdrawBaseline {
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

    /// A file that does not differ from its baseline is not reported, and its agent alone knows that baseline; of one that
    /// differs the baseline is known here too.
    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(expect) = &self.expect_baseline else {
            return require(found, 3, false, || {
                "the plan does not say which baseline it takes back".to_owned()
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

    fn check_at_dispatch(&self, _: &mut Violations, _: &Plan, _: &Snapshot<'_>) {}
}
