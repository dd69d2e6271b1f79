//! Is kubectl there, and of an age that goes with the cluster's?

use super::{Server, Snapshot};
use crate::check::{Check, Judged, Outcome};

/// Minor versions by which kubectl and an API server may differ (Kubernetes' version skew policy).
const SKEW: u32 = 1;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "kubectl", what: "kubectl is there and goes with the cluster's version", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let kubectl = *snapshot.kubectl.as_ref()?;
    let server = match &snapshot.server {
        Ok(Server::Version(server)) => server.version,
        Ok(Server::Silent(_)) | Err(_) => {
            return Ok(Outcome::unknown(
                format!("kubectl {kubectl}, and the API server does not say its version"),
                "run this again where the cluster can be reached",
            ));
        }
    };
    Ok(match server.minors_to(kubectl) {
        None => Outcome::failure(
            format!("kubectl {kubectl}, and the API server is {server}: another major version"),
            format!("install kubectl {}.{}", server.major, server.minor),
        ),
        Some(minors) if minors > SKEW => Outcome::warning(
            format!(
                "kubectl {kubectl}, and the API server is {server}; expected at most one minor version between"
            ),
            format!("install kubectl {}.{}", server.major, server.minor),
        ),
        Some(_) => Outcome::pass(format!("kubectl {kubectl}")),
    })
}
