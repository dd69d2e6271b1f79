//! The independent check of `renew_certificate` plans: the Certificate is as it was planned on, its renewal is overdue, issuing it failed some
//! time ago, nobody is at work at it, and its issuer can issue.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};

use super::{ActionRules, Authority, Location, Violations, require};
use crate::model::Plan;
use crate::snapshot::Snapshot;
use crate::world::{Certificate, Inventory};

impl ActionRules for v1::RenewCertificate {
    fn authority(&self) -> Authority {
        Authority::Rule
    }

    fn acts_in(&self) -> Location {
        Location::Cluster
    }

    fn needs(&self) -> &'static [ObjectKind] {
        &[ObjectKind::Certificate, ObjectKind::Issuer, ObjectKind::ClusterIssuer]
    }

    fn node(&self) -> Option<&str> {
        None
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let Some(inventory) = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default())
        else {
            return require(found, 3, false, || format!("nothing is known of cluster {}", plan.scope));
        };
        let Some(target) = &self.certificate else {
            return require(found, 3, false, || "the plan names no Certificate".to_owned());
        };
        let name = &target.name;
        require(found, 3, plan.object.uid() == target.uid, || {
            format!("the plan is about {}, and would renew {name}", plan.object)
        });
        let Some(now) = inventory.certificates.get(&target.uid) else {
            return require(found, 3, false, || format!("Certificate {name} no longer exists"));
        };
        require(found, 3, is_as_planned(self, now), || {
            format!("Certificate {name} is another one by now, or was issued, or failed, since")
        });
    }

    fn check_at_dispatch(&self, found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>) {
        let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
        let Some((inventory, target)) = inventory.zip(self.certificate.as_ref()) else { return };
        let Some(now) = inventory.certificates.get(&target.uid) else { return };
        let name = &target.name;
        require(found, 3, now.issuing != "True", || format!("cert-manager is at work at Certificate {name}"));
        require(found, 3, can_issue(self, target, inventory), || {
            format!("{} {} is not known to be ready", self.issuer_kind, self.issuer_name)
        });
        let clock = snapshot.now.as_second();
        let failed = self.last_failure_us / 1_000_000;
        let least = i64::from(snapshot.settings.certificates.retry_s);
        require(found, 5, self.last_failure_us > 0 && clock - failed >= least, || {
            format!("issuing Certificate {name} did not fail, or within the last {least} s")
        });
        require(found, 3, is_overdue(now, snapshot.now, snapshot.settings.certificates.warn_s), || {
            format!("Certificate {name} is not due to be renewed")
        });
    }
}

fn is_as_planned(action: &v1::RenewCertificate, now: &Certificate) -> bool {
    let by = now.issuer_group == action.issuer_group
        && now.issuer_kind == action.issuer_kind
        && now.issuer_name == action.issuer_name;
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    let issued = now.issued.is_some_and(|issued| {
        issued.revision == action.revision && issued.not_after.as_microsecond() == action.not_after_us
    });
    by && issued && !now.meta.deleting && micros(now.last_failure) == Some(action.last_failure_us)
}

/// An issuer of cert-manager's own says that it is ready. Of another's nobody here knows.
fn can_issue(action: &v1::RenewCertificate, target: &v1::Target, inventory: &Inventory) -> bool {
    if action.issuer_group != "cert-manager.io" {
        return true;
    }
    match action.issuer_kind.as_str() {
        "Issuer" => inventory.issuers.values().any(|one| {
            one.meta.namespace == target.namespace
                && one.meta.name == action.issuer_name
                && one.ready == "True"
        }),
        "ClusterIssuer" => inventory
            .cluster_issuers
            .values()
            .any(|one| one.0.meta.name == action.issuer_name && one.0.ready == "True"),
        _ => false,
    }
}

/// Was its renewal due before now, or, where that is not told, does it end within the time in which people are warned?
fn is_overdue(now: &Certificate, at: Timestamp, warn_s: u32) -> bool {
    now.issued.is_some_and(|issued| match issued.renewal {
        Some(due) => due.as_second() < at.as_second(),
        None => issued.not_after.as_second() - at.as_second() <= i64::from(warn_s),
    })
}
