//! Is the cluster's Kubernetes one that Nimbus is made for?

use super::{Server, Snapshot};
use crate::check::{Check, Judged, Open, Outcome, Unread};
use crate::version::Version;

/// The oldest: both charts ask for it (`kubeVersion`).
const OLDEST: Version = Version::new(1, 25, 0);
/// The newest that Nimbus was tried with; a newer one is likely to do.
const NEWEST: Version = Version::new(1, 37, 0);

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "kubernetes-version", what: "the cluster runs Kubernetes 1.25 to 1.37", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let found = match snapshot.server.as_ref()? {
        Server::Version(server) => server.version,
        Server::Silent(_) => {
            return Err(Open::Unread(Unread::new(
                "the API server does not answer",
                "see the check `cluster`, then run this again",
            )));
        }
    };
    let minor = (found.major, found.minor);
    Ok(if minor < (OLDEST.major, OLDEST.minor) {
        Outcome::failure(
            format!(
                "Kubernetes {found}; expected 1.25 or newer, and helm refuses both charts on an older one"
            ),
            "upgrade the cluster first",
        )
    } else if minor > (NEWEST.major, NEWEST.minor) {
        Outcome::warning(
            format!("Kubernetes {found}; this version of Nimbus was made for 1.25 to 1.37"),
            "look for a newer Nimbus, or try it in a cluster that may fail first",
        )
    } else {
        Outcome::pass(format!("Kubernetes {found}"))
    })
}
