//! Is helm there, and new enough?

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::version::Version;

/// The oldest that takes the charts.
const OLDEST: Version = Version::new(3, 8, 0);
/// The oldest whose flags `nimbus enterprise deploy --apply` uses.
const FOR_DEPLOY: Version = Version::new(3, 14, 0);

pub(super) const CHECK: Check<Snapshot> = Check { name: "helm", what: "helm is there, 3.8 or newer", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let helm = *snapshot.helm.as_ref()?;
    Ok(if helm < OLDEST {
        Outcome::failure(format!("helm {helm}; expected 3.8 or newer"), "install a newer helm")
    } else if helm < FOR_DEPLOY {
        Outcome::warning(
            format!("helm {helm} takes the charts; `nimbus enterprise deploy --apply` expects 3.14 or newer"),
            "install a newer helm, or install the charts by hand",
        )
    } else {
        Outcome::pass(format!("helm {helm}"))
    })
}
