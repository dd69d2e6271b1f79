//! Is kubectl there, and of an age that goes with the cluster's?

use super::{Server, Snapshot};
use crate::check::{Check, Judged, Outcome};

/// Minor versions by which kubectl and an API server may differ (Kubernetes' version skew policy).
const SKEW: u32 = 1;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "kubectl", what: "kubectl is there and goes with the cluster's version", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let kubectl = *snapshot.kubectl.as_ref()?;
    let apart = match &snapshot.server {
        Ok(Server::Version(server)) => server.minors_to(kubectl).map(|minors| (minors, *server)),
        Ok(Server::Silent(_)) | Err(_) => None,
    };
    Ok(match apart {
        Some((minors, server)) if minors > SKEW => Outcome::warning(
            format!(
                "kubectl {kubectl}, and the API server is {server}; expected at most one minor version between"
            ),
            format!("install kubectl {}.{}", server.major, server.minor),
        ),
        Some(_) | None => Outcome::pass(format!("kubectl {kubectl}")),
    })
}
